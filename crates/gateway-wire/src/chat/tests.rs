//! Tests that need both sides of the dialect.

mod encode_request;
mod encode_response;
mod fixtures;
mod stream_reader;
mod stream_writer;

use super::{ChatInbound, ChatOutbound, Quirks};
use crate::{
    IdGenerator, InboundDialect, MAX_ANSWER_BYTES, OutboundDialect, ResponseContext, StreamFraming,
    StreamReader, StreamWriter, envelope, framing::EventSplitter, json::JsonLimits,
};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Chunk, Collector, Context, Dialect, ErrorKind, Inspection, Payload,
    ProviderRequest, RawRequest, StreamEvent, Target,
};
use serde_json::Value;
use std::sync::Arc;

/// The caller's request of `members` besides a message, in the caller's own bytes.
fn original(members: &str) -> ProviderRequest {
    let comma = if members.is_empty() { "" } else { "," };
    let body = format!(
        r#"{{"model":"asked","messages":[{{"role":"user","content":"hi"}}]{comma}{members}}}"#
    );
    let envelope = envelope::read(body.as_bytes(), &JsonLimits::default()).unwrap();
    let stream = envelope.stream;
    let original = RawRequest::new(Dialect::Chat, body.into(), envelope, ChatInbound.decode());
    call(Payload::Raw(Arc::new(original)), stream)
}

/// The same, decoded: nothing can be passed on.
fn composed_request(members: &str) -> ProviderRequest {
    let call = original(members);
    let request: ChatRequest = call.request().unwrap().clone();
    self::call(Payload::Parsed(Arc::new(request)), call.stream)
}

fn call(payload: Payload, stream: bool) -> ProviderRequest {
    ProviderRequest {
        target: Target { model: "sent".into(), card: None },
        payload,
        stream,
        inspection: Inspection::UsageOnly,
        strict: false,
        context: Context::default(),
    }
}

fn reply(call: &ProviderRequest) -> ResponseContext {
    ResponseContext {
        payload: call.payload.clone(),
        model: "asked".to_owned(),
        created: 7,
        ids: IdGenerator::new(1),
    }
}

/// The result of a decoded stream.
#[derive(Debug, Default, PartialEq)]
struct StreamResult {
    events: Vec<StreamEvent>,
    /// The caller's view.
    out: String,
    error: Option<ErrorKind>,
}

impl StreamResult {
    fn answer(&self) -> ChatResponse {
        let mut answer = Collector::default();
        answer.extend(self.events.iter().cloned());
        answer.finish()
    }

    /// The chunks that the caller reads; checks what holds for all of them.
    #[track_caller]
    fn chunks(&self) -> Vec<Value> {
        let lines = self.out.strip_suffix("data: [DONE]\n\n").expect(&self.out);
        let chunk =
            |line: &str| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
        lines.split_terminator("\n\n").map(chunk).collect()
    }
}

/// Sends `pieces` of a stream through a reader and a writer.
fn run(quirks: Quirks, call: &ProviderRequest, pieces: &[&[u8]]) -> StreamResult {
    let upstream = ChatOutbound { quirks };
    let mut reader = upstream.reader(call, IdGenerator::new(2));
    let mut writer = ChatInbound.writer(reply(call));
    let mut splitter = EventSplitter::new(StreamFraming::Sse, MAX_ANSWER_BYTES);
    let (mut outcome, mut out) = (StreamResult::default(), Vec::new());
    let mut blocks = Vec::new();
    for piece in pieces {
        blocks.extend(splitter.push(Bytes::copy_from_slice(piece)).unwrap());
    }
    let last = splitter.finish();
    let result = read(&mut *reader, (blocks, last), &mut outcome, &mut *writer, &mut out);
    match result {
        Ok(()) => writer.end(&mut out),
        Err(error) => {
            writer.fail(&error, &mut out);
            outcome.error = Some(error.kind());
        }
    }
    outcome.out = String::from_utf8(out).unwrap();
    outcome
}

fn read(
    reader: &mut dyn StreamReader,
    (blocks, last): (Vec<Bytes>, Option<Bytes>),
    outcome: &mut StreamResult,
    writer: &mut dyn StreamWriter,
    out: &mut Vec<u8>,
) -> gateway_core::Result<()> {
    let mut step = |chunk: Chunk| {
        outcome.events.extend(chunk.events.iter().cloned());
        writer.write(chunk, out);
    };
    for block in blocks {
        if reader.is_complete() {
            break;
        }
        let mut chunk = Chunk::default();
        let result = reader.read(block, &mut chunk);
        step(chunk);
        result?;
    }
    // What lacks only its end comes together with the end of all.
    let mut chunk = Chunk::default();
    let result = match last.filter(|_| !reader.is_complete()) {
        Some(block) => reader.read(block, &mut chunk),
        None => Ok(()),
    };
    let result = result.and_then(|()| reader.end(&mut chunk));
    step(chunk);
    result
}
