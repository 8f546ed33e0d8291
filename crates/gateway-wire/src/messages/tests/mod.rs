//! The parts of this dialect together.

mod decode_request;
mod decode_response;
mod encode_request;
mod encode_response;
mod passthrough;
mod turn_shapes;

use super::{MessagesInbound, MessagesOutbound};
use crate::{
    EncodedRequest, IdGenerator, InboundDialect as _, OutboundDialect as _, ResponseContext,
};
use bytes::Bytes;
use gateway_core::{
    Capabilities, ChatRequest, ChatResponse, Chunk, Collector, Dialect, Envelope, Inspection,
    ModelCard, Payload, ProviderRequest, RawRequest, ReasoningStyle, Result, StreamEvent,
};
use serde_json::Value;
use std::sync::Arc;

/// Returns a model card with this reasoning style.
fn card(reasoning: Option<ReasoningStyle>) -> ModelCard {
    ModelCard {
        capabilities: Capabilities { reasoning, ..Capabilities::default() },
        ..ModelCard::new("m", "anthropic")
    }
}

/// Returns the encoded `request`, and the dropped parameters.
fn send(request: ChatRequest, card: Option<ModelCard>) -> Result<(Value, String)> {
    let mut call = ProviderRequest::new(request);
    call.target.card = card.map(Arc::new);
    let encoded = MessagesOutbound.encode(&call)?;
    Ok((json(&encoded), encoded.dropped.iter().collect::<Vec<_>>().join(",")))
}

fn json(encoded: &EncodedRequest) -> Value {
    serde_json::from_slice(&encoded.to_vec()).unwrap()
}

fn decode(body: &str) -> Result<ChatRequest> {
    MessagesInbound.decode()(body.as_bytes())
}

/// A call that carries the caller's own bytes.
fn original(body: &str, stream: bool, inspection: Inspection) -> ProviderRequest {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let envelope: Envelope =
        crate::envelope::read(&body, &crate::json::JsonLimits::default()).unwrap();
    let decode = MessagesInbound.decode();
    let original = RawRequest::new(Dialect::Messages, body, envelope, decode);
    let mut call = ProviderRequest::new(ChatRequest::user("upstream-name", "x"));
    call.payload = Payload::Raw(Arc::new(original));
    (call.stream, call.inspection) = (stream, inspection);
    call
}

fn reply() -> ResponseContext {
    let payload = Payload::Parsed(Arc::new(ChatRequest::user("asked", "x")));
    ResponseContext { payload, model: "asked".to_owned(), created: 1, ids: IdGenerator::new(1) }
}

/// Reads a stream in the given blocks, to the end.
fn read(call: &ProviderRequest, blocks: &[&[u8]]) -> (Vec<Chunk>, Result<()>) {
    let mut reader = MessagesOutbound.reader(call, IdGenerator::new(2));
    let mut chunks = Vec::new();
    for block in blocks {
        let mut chunk = Chunk::default();
        let outcome = reader.read(Bytes::copy_from_slice(block), &mut chunk);
        chunks.push(chunk);
        if outcome.is_err() {
            return (chunks, outcome);
        }
    }
    let mut chunk = Chunk::default();
    let outcome = reader.end(&mut chunk);
    chunks.push(chunk);
    (chunks, outcome)
}

fn fold(events: impl IntoIterator<Item = StreamEvent>) -> ChatResponse {
    let mut collector = Collector::default();
    collector.extend(events);
    collector.finish()
}

/// The response that a stream spells.
fn read_all(stream: &str) -> ChatResponse {
    let call = ProviderRequest::new(ChatRequest::user("m", "x"));
    let (chunks, outcome) = read(&call, &[stream.as_bytes()]);
    outcome.unwrap();
    fold(chunks.into_iter().flat_map(|chunk| chunk.events))
}

/// Events as the provider writes them: the data of each, one a line.
fn stream(lines: &str) -> String {
    let event = |line: &str| {
        let data: Value = serde_json::from_str(line).unwrap();
        format!("event: {}\ndata: {line}\n\n", data["type"].as_str().unwrap())
    };
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(event).collect()
}
