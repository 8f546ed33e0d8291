//! Writes answers: whole, and as chunks of the same shape.

use super::{echo, logprobs::Likelihoods};
use crate::{Caller as _, Reply, StreamWriter, chat::ChatCaller, chat::usage::Written};
use bytes::Bytes;
use gateway_core::{
    ChatResponse, Choice as Said, Chunk, Content, FinishReason, GatewayError, Json, Part, Payload,
    Started, StreamEvent, Usage,
};
use serde::Serialize;
use std::mem;

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<&'a Json>,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: usize,
    logprobs: Option<Likelihoods>,
    finish_reason: Option<&'static str>,
}

/// Writes a whole answer.
pub(super) fn whole(answer: &ChatResponse, mut reply: Reply) -> Vec<u8> {
    let texts: Vec<String> = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let mut text = echo(&reply.payload, index);
            choice.message.parts.iter().for_each(|part| text.push_str(text_of(part)));
            text
        })
        .collect();
    let choices: Vec<Choice<'_>> = answer
        .choices
        .iter()
        .zip(&texts)
        .enumerate()
        .map(|(index, (choice, text))| {
            let logprobs = likelihoods(choice, echo(&reply.payload, index).chars().count());
            let finish = choice.finish.as_ref().map(|finish| word(finish.reason));
            Choice { text, index, logprobs, finish_reason: finish }
        })
        .collect();
    let own_id = reply.ids.next("cmpl-");
    let known = |text: &'_ str| !text.is_empty();
    let answer = Answer {
        id: Some(answer.id.as_str()).filter(|id| known(id)).unwrap_or(&own_id),
        object: OBJECT,
        created: answer.created.unwrap_or(reply.created),
        model: Some(answer.model.as_str()).filter(|it| known(it)).unwrap_or(&reply.model),
        choices: &choices,
        usage: answer.usage.as_ref().map(written),
        system_fingerprint: answer.extra.get("system_fingerprint"),
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}

const OBJECT: &str = "text_completion";

fn written(usage: &Usage) -> Json {
    Json::of(&Written::from(usage))
}

/// What of a part is text that continues the prompt.
fn text_of(part: &Part) -> &str {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => text,
        Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::Reasoning(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Opaque(_) => "",
    }
}

fn likelihoods(choice: &Said, mut offset: usize) -> Option<Likelihoods> {
    let mut all = Likelihoods::default();
    choice.logprobs.iter().for_each(|told| all.add(told, &mut offset));
    all.told()
}

/// The finish: no tool is ever called here.
const fn word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => FinishReason::Stop.as_str(),
        FinishReason::Length | FinishReason::ContentFilter => reason.as_str(),
    }
}

/// Writes chunks.
pub(super) struct Writer {
    reply: Reply,
    started: Option<Started>,
    fingerprint: Option<Json>,
    current: usize,
    choices: Vec<State>,
    usage: Option<Usage>,
    wants_usage: bool,
}

#[derive(Default)]
struct State {
    begun: bool,
    finished: bool,
    /// How many characters of it have likelihoods, or are the prompt's.
    offset: usize,
}

impl Writer {
    pub(super) fn new(reply: Reply) -> Self {
        let wants_usage = match &reply.payload {
            Payload::Raw(original) => original.envelope.stream_usage,
            Payload::Parsed(request) => request.stream_usage,
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

    fn state(&mut self) -> Option<&mut State> {
        const MAX_CHOICES: usize = 256;
        while self.choices.len() <= self.current.min(MAX_CHOICES) {
            self.choices.push(State::default());
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

    fn piece(&mut self, text: &str, logprobs: Option<Likelihoods>, out: &mut Vec<u8>) {
        let choice = Choice { text, index: self.current, logprobs, finish_reason: None };
        self.chunk(&[choice], None, out);
    }

    fn chunk(&mut self, choices: &[Choice<'_>], usage: Option<&Usage>, out: &mut Vec<u8>) {
        let ids = &mut self.reply.ids;
        let started = self.started.get_or_insert_default();
        let id = started.id.get_or_insert_with(|| ids.next("cmpl-"));
        let chunk = Answer {
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
                let mut all = Likelihoods::default();
                if let Some(state) = self.state() {
                    all.add(&told, &mut state.offset);
                }
                if let Some(all) = all.told() {
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
            let finish_reason = Some(word(reason));
            let choice = Choice { text: "", index: self.current, logprobs: None, finish_reason };
            self.chunk(&[choice], None, out);
        }
    }
}

impl StreamWriter for Writer {
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
        out.extend_from_slice(&ChatCaller.write_error(error, ""));
        out.extend_from_slice(b"\n\n");
    }
}
