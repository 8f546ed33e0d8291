//! Streamed answers, as callers read them.

use super::{
    encode_response::{Wire, message_id},
    errors, finish_reason,
    stream_writer_blocks::{Piece, Pieces},
    usage::Counts,
};
use crate::{Reply, StreamWriter, sse};
use bytes::Bytes;
use gateway_core::{Chunk, Finish, GatewayError, StreamEvent, Usage};
use serde::Serialize;

/// Writes a stream of events.
#[derive(Debug)]
pub(super) struct Writer {
    reply: Reply,
    phase: Phase,
    id: String,
    model: String,
    /// What follows belongs to another answer than the first, which this dialect has no place for.
    is_elsewhere: bool,
    refused: bool,
    usage: Usage,
    finish: Finish,
    pieces: Pieces,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nothing was written.
    Fresh,
    /// The answer has begun.
    Begun,
    /// The upstream's own events are passed on, and begin and end the answer.
    Passed,
}

#[derive(Serialize)]
struct MessageStart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: Wire<'a>,
}

#[derive(Serialize)]
struct MessageDelta<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    delta: Stopped<'a>,
    usage: Counts,
}

#[derive(Serialize)]
struct Stopped<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
}

impl Writer {
    pub(super) fn new(reply: Reply) -> Self {
        Self {
            pieces: Pieces::new(reply.ids.clone()),
            reply,
            phase: Phase::Fresh,
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
            StreamEvent::Text(text) => Piece::Text(text),
            StreamEvent::Refusal(text) => {
                self.refused = true;
                Piece::Refusal(text)
            }
            StreamEvent::Reasoning(text) => Piece::Thinking(text),
            StreamEvent::Seal(seal) => Piece::Seal(seal),
            StreamEvent::ToolCall(delta) => Piece::Call(delta),
            StreamEvent::Opaque(opaque) => Piece::Opaque(opaque),
            StreamEvent::Annotation(_) | StreamEvent::Logprobs(_) | StreamEvent::Extra(..) => {
                return;
            }
        };
        self.begin(out);
        self.pieces.push(piece, out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.phase != Phase::Fresh {
            return;
        }
        self.phase = Phase::Begun;
        let id = message_id(&self.id, &mut self.reply);
        let model = if self.model.is_empty() { &self.reply.model } else { &self.model };
        let mut message = Wire::new(&id, model);
        message.usage = Counts::from(&self.usage);
        write(out, "message_start", &MessageStart { kind: "message_start", message });
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, chunk: Chunk, out: &mut Vec<u8>) {
        if let Some(verbatim) = chunk.verbatim {
            self.phase = Phase::Passed;
            out.extend_from_slice(&verbatim);
            return;
        }
        if self.phase == Phase::Passed || chunk.events.is_empty() {
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
        self.phase = Phase::Passed;
        Some(verbatim)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Passed {
            return;
        }
        self.begin(out);
        self.pieces.finish(out);
        let delta = Stopped {
            stop_reason: finish_reason::encode(&self.finish, self.refused),
            stop_sequence: self.finish.stop_sequence.as_deref(),
        };
        let usage = Counts::from(&self.usage);
        write(out, "message_delta", &MessageDelta { kind: "message_delta", delta, usage });
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
