//! Both sides together: what is written is read, and what is read is written.

mod decode_request;
mod decode_response;
mod encode_request;
mod encode_response;
pub(crate) mod stream_grammar;

use super::{ResponsesInbound, ResponsesOutbound};
use crate::{
    IdGenerator, InboundDialect as _, MAX_ANSWER_BYTES, OutboundDialect as _, ResponseContext,
    StreamFraming, StreamReader, envelope, framing::EventSplitter, json::JsonLimits,
};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Chunk, Collector, Dialect, Inspection, Payload, ProviderRequest,
    RawRequest, Result, StreamEvent,
};
use std::sync::Arc;

/// A call of the caller's own bytes.
fn original(body: &str) -> ProviderRequest {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let envelope = envelope::read(&bytes, &JsonLimits::default()).unwrap();
    let stream = envelope.stream;
    let original = RawRequest::new(Dialect::Responses, bytes, envelope, ResponsesInbound.decode());
    let mut call = ProviderRequest::new(ChatRequest::user("upstream-model", "unused"));
    call.payload = Payload::Raw(Arc::new(original));
    call.stream = stream;
    call.inspection = Inspection::UsageOnly;
    call
}

/// A call of the gateway's own making.
fn composed_request() -> ProviderRequest {
    ProviderRequest::new(ChatRequest::user("m", "hi"))
}

fn reply() -> ResponseContext {
    reply_to(ChatRequest::user("m", "hi"))
}

fn reply_to(request: ChatRequest) -> ResponseContext {
    let payload = Payload::Parsed(Arc::new(request));
    ResponseContext {
        payload,
        model: "m".to_owned(),
        created: 1_700_000_000,
        ids: IdGenerator::new(7),
    }
}

fn reader(call: &ProviderRequest) -> Box<dyn StreamReader> {
    ResponsesOutbound.reader(call, IdGenerator::new(3))
}

/// Reads `stream`, which comes in pieces of `size` bytes.
fn read_cut(call: &ProviderRequest, stream: &[u8], size: usize) -> Result<Vec<Chunk>> {
    let mut reader = reader(call);
    let mut splitter = EventSplitter::new(StreamFraming::Sse, MAX_ANSWER_BYTES);
    let mut blocks = Vec::new();
    for chunk in stream.chunks(size) {
        blocks.extend(splitter.push(Bytes::copy_from_slice(chunk))?);
    }
    blocks.extend(splitter.finish());
    let mut chunks = Vec::new();
    for block in blocks {
        let mut chunk = Chunk::default();
        reader.read(block, &mut chunk)?;
        chunks.push(chunk);
    }
    let mut last = Chunk::default();
    reader.end(&mut last)?;
    assert!(reader.is_complete() && reader.is_finished());
    chunks.push(last);
    Ok(chunks)
}

/// Folds the events of `stream`.
fn read_stream(stream: &[u8]) -> Result<ChatResponse> {
    let chunks = read_cut(&composed_request(), stream, stream.len().max(1))?;
    Ok(fold(chunks.into_iter().flat_map(|chunk| chunk.events)))
}

/// Folds the items of `body`.
fn read_whole(body: &[u8]) -> Result<ChatResponse> {
    let body = Bytes::copy_from_slice(body);
    Ok(fold(ResponsesOutbound.read_whole(&composed_request(), body, IdGenerator::new(3))?.events))
}

fn fold(events: impl IntoIterator<Item = StreamEvent>) -> ChatResponse {
    let mut answer = Collector::default();
    answer.extend(events);
    answer.finish()
}

/// Writes `events` as a stream, one chunk each.
fn write_stream(events: &[StreamEvent]) -> Vec<u8> {
    let mut writer = ResponsesInbound.writer(reply());
    let mut out = Vec::new();
    for event in events {
        writer.write(Chunk::from_events(vec![event.clone()]), &mut out);
    }
    writer.end(&mut out);
    out
}

/// A stream of these events: their data, named by their types.
fn sse(events: &[&str]) -> String {
    let mut out = Vec::new();
    for data in events {
        let name = data.split('"').nth(3).filter(|_| data.starts_with("{\"type\":"));
        crate::sse::write(&mut out, name, data);
    }
    String::from_utf8(out).unwrap()
}
