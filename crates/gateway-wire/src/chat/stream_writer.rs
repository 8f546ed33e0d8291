//! Encodes streamed responses for callers of Chat Completions.

use super::{
    encode_response_parts::{
        self, ExtraContentOutWire, FunctionOutWire, ThinkingBlockWire, ToolCallOutWire,
    },
    errors, usage,
};
use crate::{ResponseContext, StreamWriter};
use bytes::Bytes;
use gateway_core::{
    Chunk, Dialect, Finish, GatewayError, Json, Opaque, Payload, Seal, Started, StreamEvent,
    ToolCallDelta, Usage,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, iter::Peekable, vec};

/// The stream writer of Chat Completions.
pub(super) struct ChatStreamWriter {
    reply: ResponseContext,
    /// The beginning of every chunk, up to its choices.
    prefix: Vec<u8>,
    service_tier: Option<&'static str>,
    system_fingerprint: Option<Json>,
    /// The choice that is being written.
    current: usize,
    choices: Vec<ChunkChoiceState>,
    usage: Option<Usage>,
    /// The caller asked for token counts.
    wants_usage: bool,
    /// The caller spells tools in the legacy form; unknown until it matters.
    legacy: Option<bool>,
    /// Only verbatim upstream bytes were written, which already held the usage.
    passed: bool,
}

#[derive(Default)]
struct ChunkChoiceState {
    begun: bool,
    finished: bool,
    /// Thinking since the last seal.
    thought: String,
    /// The calls that hold free text.
    custom: Vec<u32>,
}

#[derive(Default, Serialize)]
struct ChunkDeltaWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[ThinkingBlockWire<'a>; 1]>,
    #[serde(skip_serializing_if = "encode_response_parts::is_empty")]
    reasoning_details: Vec<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContentOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[&'a Json; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCallOutWire<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<&'a Json>,
}

#[derive(Serialize)]
struct ChunkChoiceWire<'a> {
    index: usize,
    delta: ChunkDeltaWire<'a>,
    logprobs: Option<&'a Json>,
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_finish_reason: Option<&'a str>,
}

/// More choices than any response has.
const MAX_CHOICES: usize = 256;

impl ChatStreamWriter {
    pub(super) fn new(reply: ResponseContext) -> Self {
        let wants_usage = match &reply.payload {
            Payload::Raw(original) => original.envelope.stream_usage,
            Payload::Parsed(request) => request.stream_usage,
            Payload::Relayed(_) => false,
        };
        Self {
            reply,
            prefix: Vec::new(),
            service_tier: None,
            system_fingerprint: None,
            current: 0,
            choices: Vec::new(),
            usage: None,
            wants_usage,
            legacy: None,
            passed: false,
        }
    }

    fn legacy(&mut self) -> bool {
        let payload = &self.reply.payload;
        *self.legacy.get_or_insert_with(|| super::is_legacy(payload))
    }

    /// Every chunk of a response has the same id, time and model.
    fn begin(&mut self, started: Started) {
        #[derive(Serialize)]
        struct ChunkHeadWire<'a> {
            id: &'a str,
            object: &'static str,
            created: u64,
            model: &'a str,
        }
        let id = started.id.unwrap_or_else(|| self.reply.ids.next("chatcmpl-"));
        let head = ChunkHeadWire {
            id: &id,
            object: "chat.completion.chunk",
            created: started.created.unwrap_or(self.reply.created),
            model: started.model.as_deref().unwrap_or(&self.reply.model),
        };
        self.prefix.extend_from_slice(b"data: ");
        // Strings and a number: this cannot fail.
        let _ = serde_json::to_writer(&mut self.prefix, &head);
        // The object goes on.
        self.prefix.pop();
    }

    fn state(&mut self) -> Option<&mut ChunkChoiceState> {
        while self.choices.len() <= self.current {
            self.choices.push(ChunkChoiceState::default());
        }
        self.choices.get_mut(self.current)
    }

    /// Appends a chunk with one choice.
    fn choice(&mut self, mut choice: ChunkChoiceWire<'_>, out: &mut Vec<u8>) {
        let Some(state) = self.state() else { return };
        if !state.begun {
            state.begun = true;
            choice.delta.role = Some("assistant");
            // Without it some clients take the first chunk for something else.
            if choice.finish_reason.is_some() {
                choice.delta.content = Some("");
            }
        }
        self.chunk(&[choice], None, out);
    }

    fn delta(&mut self, delta: ChunkDeltaWire<'_>, logprobs: Option<&Json>, out: &mut Vec<u8>) {
        let choice = ChunkChoiceWire {
            index: self.current,
            delta,
            logprobs,
            finish_reason: None,
            native_finish_reason: None,
        };
        self.choice(choice, out);
    }

    fn chunk(&mut self, choices: &[ChunkChoiceWire<'_>], usage: Option<&Usage>, out: &mut Vec<u8>) {
        if self.prefix.is_empty() {
            self.begin(Started::default());
        }
        out.extend_from_slice(&self.prefix);
        encode_response_parts::member(out, "choices", &choices);
        if let Some(tier) = self.service_tier {
            encode_response_parts::member(out, "service_tier", &tier);
        }
        if let Some(print) = &self.system_fingerprint {
            encode_response_parts::member(out, "system_fingerprint", print);
        }
        if self.wants_usage {
            encode_response_parts::member(out, "usage", &usage.map(usage::ChatUsageOutWire::from));
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn event(
        &mut self,
        event: StreamEvent,
        rest: &mut Peekable<vec::IntoIter<StreamEvent>>,
        out: &mut Vec<u8>,
    ) {
        match event {
            StreamEvent::Started(started) => {
                if self.prefix.is_empty() {
                    self.begin(started);
                }
            }
            StreamEvent::Choice(index) => {
                self.current = usize::try_from(index).unwrap_or(MAX_CHOICES).min(MAX_CHOICES);
            }
            StreamEvent::Text(text) => {
                let delta = ChunkDeltaWire { content: Some(&text), ..ChunkDeltaWire::default() };
                self.delta(delta, logprobs(rest).as_ref(), out);
            }
            StreamEvent::Refusal(text) => {
                let delta = ChunkDeltaWire { refusal: Some(&text), ..ChunkDeltaWire::default() };
                self.delta(delta, logprobs(rest).as_ref(), out);
            }
            StreamEvent::Reasoning(text) => self.reasoning(&text, out),
            StreamEvent::Seal(seal) => self.seal(&seal, out),
            StreamEvent::ToolCall(call) => self.call(&call, out),
            StreamEvent::Annotation(note) => {
                self.delta(
                    ChunkDeltaWire { annotations: Some([&note]), ..ChunkDeltaWire::default() },
                    None,
                    out,
                );
            }
            StreamEvent::Logprobs(logprobs) => {
                self.delta(ChunkDeltaWire::default(), Some(&logprobs), out);
            }
            StreamEvent::Opaque(it) => self.opaque(&it, out),
            StreamEvent::Extra(name, json) => match &*name {
                "service_tier" => self.service_tier = encode_response_parts::service_tier(&json),
                "system_fingerprint" => self.system_fingerprint = Some(json),
                _ => {}
            },
            StreamEvent::Usage(usage) => self.usage = Some(usage),
            StreamEvent::Finished(finish) => self.finish(&finish, out),
        }
    }

    fn reasoning(&mut self, text: &str, out: &mut Vec<u8>) {
        if let Some(state) = self.state() {
            state.thought.push_str(text);
        }
        self.delta(
            ChunkDeltaWire { reasoning_content: Some(text), ..ChunkDeltaWire::default() },
            None,
            out,
        );
    }

    /// Of what only its own dialect knows, ours has two kinds.
    fn opaque(&mut self, it: &Opaque, out: &mut Vec<u8>) {
        let json = |kind: &str| (it.kind == kind).then_some(&it.json);
        if it.dialect == Dialect::Chat {
            let (audio, images) = (json("audio"), json("images"));
            if audio.or(images).is_some() {
                self.delta(
                    ChunkDeltaWire { audio, images, ..ChunkDeltaWire::default() },
                    None,
                    out,
                );
            }
        }
    }

    fn seal(&mut self, seal: &Seal, out: &mut Vec<u8>) {
        let thought = self.state().map(|state| std::mem::take(&mut state.thought));
        let delta = ChunkDeltaWire {
            thinking_blocks: encode_response_parts::block(thought.unwrap_or_default(), seal)
                .map(|block| [block]),
            reasoning_details: encode_response_parts::details(seal),
            extra_content: encode_response_parts::google(seal),
            ..ChunkDeltaWire::default()
        };
        let says = delta.thinking_blocks.is_some()
            || delta.extra_content.is_some()
            || !delta.reasoning_details.is_empty();
        if says {
            self.delta(delta, None, out);
        }
    }

    fn call(&mut self, call: &ToolCallDelta, out: &mut Vec<u8>) {
        let begins = !call.id.is_empty() || !call.name.is_empty();
        if self.legacy() {
            if call.index == 0 {
                let function = FunctionOutWire { name: &call.name, arguments: &call.arguments };
                self.delta(
                    ChunkDeltaWire { function_call: Some(function), ..ChunkDeltaWire::default() },
                    None,
                    out,
                );
            }
            return;
        }
        let custom = self.state().is_some_and(|state| {
            if call.custom && !state.custom.contains(&call.index) {
                state.custom.push(call.index);
            }
            state.custom.contains(&call.index)
        });
        let written = ToolCallOutWire::new(&call.name, &call.arguments, custom);
        let written = if begins { written.begin(&call.id) } else { written };
        let written =
            ToolCallOutWire { index: Some(call.index), ..written.sealed(call.seal.as_ref()) };
        self.delta(
            ChunkDeltaWire { tool_calls: Some([written]), ..ChunkDeltaWire::default() },
            None,
            out,
        );
    }

    fn finish(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        let Some(state) = self.state() else { return };
        if std::mem::replace(&mut state.finished, true) {
            return;
        }
        let legacy = finish.reason == gateway_core::FinishReason::ToolCalls && self.legacy();
        let choice = ChunkChoiceWire {
            index: self.current,
            delta: ChunkDeltaWire::default(),
            logprobs: None,
            finish_reason: Some(encode_response_parts::finish(finish.reason, legacy)),
            native_finish_reason: finish.native.as_deref(),
        };
        self.choice(choice, out);
    }
}

/// The log probabilities of the text just taken, if they follow.
fn logprobs(rest: &mut Peekable<vec::IntoIter<StreamEvent>>) -> Option<Json> {
    match rest.next_if(|next| matches!(next, StreamEvent::Logprobs(_))) {
        Some(StreamEvent::Logprobs(json)) => Some(json),
        _ => None,
    }
}

impl StreamWriter for ChatStreamWriter {
    fn write(&mut self, mut frame: Chunk, out: &mut Vec<u8>) {
        if let Some(bytes) = self.pass(&mut frame) {
            out.extend_from_slice(&bytes);
            return;
        }
        let mut events = frame.events.into_iter().peekable();
        while let Some(event) = events.next() {
            self.event(event, &mut events, out);
        }
    }

    fn pass(&mut self, frame: &mut Chunk) -> Option<Bytes> {
        let bytes = frame.verbatim.take()?;
        self.passed = true;
        Some(bytes)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.wants_usage && !self.passed) {
            self.chunk(&[], Some(&usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        errors::write(error, "", out);
        out.extend_from_slice(b"\n\n");
    }
}
