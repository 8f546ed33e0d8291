//! Encodes streamed responses of the Completions API.

use super::{
    echo,
    encode_response::{CompletionChoiceWire, CompletionWire, OBJECT, written},
    finish_reason,
    logprobs::CompletionLogprobsWire,
};
use crate::{InboundDialect as _, ResponseContext, StreamWriter, chat::ChatInbound};
use bytes::Bytes;
use gateway_core::{Chunk, FinishReason, GatewayError, Json, Payload, Started, StreamEvent, Usage};
use std::mem;

/// The stream writer of the Completions API.
pub(super) struct CompletionStreamWriter {
    reply: ResponseContext,
    started: Option<Started>,
    fingerprint: Option<Json>,
    current: usize,
    choices: Vec<CompletionChoiceState>,
    usage: Option<Usage>,
    wants_usage: bool,
}

#[derive(Default)]
struct CompletionChoiceState {
    begun: bool,
    finished: bool,
    /// The number of characters already covered by log probabilities or by the echoed prompt.
    offset: usize,
}

impl CompletionStreamWriter {
    pub(super) fn new(reply: ResponseContext) -> Self {
        let wants_usage = match &reply.payload {
            Payload::Raw(original) => original.envelope.stream_usage,
            Payload::Parsed(request) => request.stream_usage,
            Payload::Relayed(_) => false,
        };
        Self {
            reply,
            started: None,
            fingerprint: None,
            current: 0,
            choices: Vec::new(),
            usage: None,
            wants_usage,
        }
    }

    fn state(&mut self) -> Option<&mut CompletionChoiceState> {
        const MAX_CHOICES: usize = 256;
        while self.choices.len() <= self.current.min(MAX_CHOICES) {
            self.choices.push(CompletionChoiceState::default());
        }
        self.choices.get_mut(self.current)
    }

    /// Begins the current choice, with its prompt if that is wanted.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let begun = self.state().is_none_or(|state| mem::replace(&mut state.begun, true));
        if begun {
            return;
        }
        let prompt = echo(&self.reply.payload, self.current);
        if prompt.is_empty() {
            return;
        }
        if let Some(state) = self.state() {
            state.offset = prompt.chars().count();
        }
        self.piece(&prompt, None, out);
    }

    fn piece(&mut self, text: &str, logprobs: Option<CompletionLogprobsWire>, out: &mut Vec<u8>) {
        let choice =
            CompletionChoiceWire { text, index: self.current, logprobs, finish_reason: None };
        self.chunk(&[choice], None, out);
    }

    fn chunk(
        &mut self,
        choices: &[CompletionChoiceWire<'_>],
        usage: Option<&Usage>,
        out: &mut Vec<u8>,
    ) {
        let ids = &mut self.reply.ids;
        let started = self.started.get_or_insert_default();
        let id = started.id.get_or_insert_with(|| ids.next("cmpl-"));
        let chunk = CompletionWire {
            id,
            object: OBJECT,
            created: started.created.unwrap_or(self.reply.created),
            model: started.model.as_deref().unwrap_or(&self.reply.model),
            choices,
            usage: self.wants_usage.then(|| usage.map_or_else(Json::null, written)),
            system_fingerprint: self.fingerprint.as_ref(),
        };
        out.extend_from_slice(b"data: ");
        // Strings, numbers and what was JSON before: this cannot fail.
        let _ = serde_json::to_writer(&mut *out, &chunk);
        out.extend_from_slice(b"\n\n");
    }

    fn event(&mut self, event: StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Started(started) => {
                self.started.get_or_insert(started);
            }
            StreamEvent::Choice(index) => {
                self.current = usize::try_from(index).unwrap_or(usize::MAX);
            }
            StreamEvent::Text(text) | StreamEvent::Refusal(text) => {
                self.begin(out);
                self.piece(&text, None, out);
            }
            StreamEvent::Logprobs(told) => {
                self.begin(out);
                let mut all = CompletionLogprobsWire::default();
                if let Some(state) = self.state() {
                    all.add(&told, &mut state.offset);
                }
                if let Some(all) = all.non_empty() {
                    self.piece("", Some(all), out);
                }
            }
            StreamEvent::Extra(name, json) if name == "system_fingerprint" => {
                self.fingerprint = Some(json);
            }
            StreamEvent::Usage(usage) => self.usage = Some(usage),
            StreamEvent::Finished(finish) => self.finish(finish.reason, out),
            StreamEvent::Reasoning(_)
            | StreamEvent::Seal(_)
            | StreamEvent::ToolCall(_)
            | StreamEvent::Annotation(_)
            | StreamEvent::Opaque(_)
            | StreamEvent::Extra(..) => {}
        }
    }

    fn finish(&mut self, reason: FinishReason, out: &mut Vec<u8>) {
        self.begin(out);
        let finished = self.state().is_none_or(|state| mem::replace(&mut state.finished, true));
        if !finished {
            let finish_reason = Some(finish_reason::encode(reason));
            let choice = CompletionChoiceWire {
                text: "",
                index: self.current,
                logprobs: None,
                finish_reason,
            };
            self.chunk(&[choice], None, out);
        }
    }
}

impl StreamWriter for CompletionStreamWriter {
    fn write(&mut self, frame: Chunk, out: &mut Vec<u8>) {
        for event in frame.events {
            self.event(event, out);
        }
    }

    /// No upstream writes this dialect.
    fn pass(&mut self, _: &mut Chunk) -> Option<Bytes> {
        None
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.wants_usage) {
            self.chunk(&[], Some(&usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&ChatInbound.write_error(error, ""));
        out.extend_from_slice(b"\n\n");
    }
}
