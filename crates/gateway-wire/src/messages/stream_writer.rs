//! Streamed responses, as callers read them.

use super::{
    encode_response::{MessageOutWire, message_id},
    errors, finish_reason,
    stream_writer_blocks::{BlockEvent, BlockSequencer},
    usage::MessagesUsageWire,
};
use crate::{ResponseContext, StreamWriter, sse};
use bytes::Bytes;
use gateway_core::{Chunk, Finish, GatewayError, StreamEvent, Usage};
use serde::Serialize;

/// Writes a stream of events.
#[derive(Debug)]
pub(super) struct MessagesStreamWriter {
    reply: ResponseContext,
    phase: StreamPhase,
    id: String,
    model: String,
    /// The current events belong to a further choice, which this dialect cannot express.
    is_elsewhere: bool,
    refused: bool,
    usage: Usage,
    finish: Finish,
    pieces: BlockSequencer,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StreamPhase {
    /// Nothing has been written yet.
    Fresh,
    /// The response has begun.
    Begun,
    /// The upstream's own events are passed on, and begin and end the response.
    Passed,
}

#[derive(Serialize)]
struct MessageStartWire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: MessageOutWire<'a>,
}

#[derive(Serialize)]
struct MessageDeltaWire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    delta: StopReasonWire<'a>,
    usage: MessagesUsageWire,
}

#[derive(Serialize)]
struct StopReasonWire<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
}

impl MessagesStreamWriter {
    pub(super) fn new(reply: ResponseContext) -> Self {
        Self {
            pieces: BlockSequencer::new(reply.ids.clone()),
            reply,
            phase: StreamPhase::Fresh,
            id: String::new(),
            model: String::new(),
            is_elsewhere: false,
            refused: false,
            usage: Usage::default(),
            finish: Finish::default(),
        }
    }

    fn event(&mut self, event: StreamEvent, out: &mut Vec<u8>) {
        let piece = match event {
            StreamEvent::Started(started) => {
                self.id = started.id.unwrap_or_default();
                self.model = started.model.unwrap_or_default();
                return;
            }
            StreamEvent::Choice(index) => {
                self.is_elsewhere = index > 0;
                return;
            }
            StreamEvent::Usage(usage) => {
                self.usage = usage;
                return;
            }
            _ if self.is_elsewhere => return,
            StreamEvent::Finished(finish) => {
                self.finish = finish;
                return;
            }
            StreamEvent::Text(text) => BlockEvent::Text(text),
            StreamEvent::Refusal(text) => {
                self.refused = true;
                BlockEvent::Refusal(text)
            }
            StreamEvent::Reasoning(text) => BlockEvent::Thinking(text),
            StreamEvent::Seal(seal) => BlockEvent::Seal(seal),
            StreamEvent::ToolCall(delta) => BlockEvent::Call(delta),
            StreamEvent::Opaque(opaque) => BlockEvent::Opaque(opaque),
            StreamEvent::Annotation(_) | StreamEvent::Logprobs(_) | StreamEvent::Extra(..) => {
                return;
            }
        };
        self.begin(out);
        self.pieces.push(piece, out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.phase != StreamPhase::Fresh {
            return;
        }
        self.phase = StreamPhase::Begun;
        let id = message_id(&self.id, &mut self.reply);
        let model = if self.model.is_empty() { &self.reply.model } else { &self.model };
        let mut message = MessageOutWire::new(&id, model);
        message.usage = MessagesUsageWire::from(&self.usage);
        write(out, "message_start", &MessageStartWire { kind: "message_start", message });
    }
}

impl StreamWriter for MessagesStreamWriter {
    fn write(&mut self, chunk: Chunk, out: &mut Vec<u8>) {
        if let Some(verbatim) = chunk.verbatim {
            self.phase = StreamPhase::Passed;
            out.extend_from_slice(&verbatim);
            return;
        }
        if self.phase == StreamPhase::Passed || chunk.events.is_empty() {
            return;
        }
        // The first event tells what was read so far, if the upstream tells it in time.
        for event in &chunk.events {
            if let StreamEvent::Usage(usage) = event {
                self.usage = *usage;
            }
        }
        for event in chunk.events {
            self.event(event, out);
        }
        self.begin(out);
    }

    fn pass(&mut self, chunk: &mut Chunk) -> Option<Bytes> {
        let verbatim = chunk.verbatim.take()?;
        self.phase = StreamPhase::Passed;
        Some(verbatim)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.phase == StreamPhase::Passed {
            return;
        }
        self.begin(out);
        self.pieces.finish(out);
        let delta = StopReasonWire {
            stop_reason: finish_reason::encode(&self.finish, self.refused),
            stop_sequence: self.finish.stop_sequence.as_deref(),
        };
        let usage = MessagesUsageWire::from(&self.usage);
        write(out, "message_delta", &MessageDeltaWire { kind: "message_delta", delta, usage });
        sse::write(out, Some("message_stop"), r#"{"type":"message_stop"}"#);
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        write(out, "error", &errors::in_stream(error));
    }
}

/// Appends an event, which must not hold JSON that others wrote: it may have line breaks.
pub(super) fn write(out: &mut Vec<u8>, name: &str, event: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let _: Result<(), _> = serde_json::to_writer(&mut *out, event);
    out.extend_from_slice(b"\n\n");
}
