//! Gemini's `generateContent`: Google's own API, and Vertex.
//!
//! Requests are whole objects with the conversation in `contents`; the model's name and whether to
//! stream are in the address, see [`path`]. A streamed response is a series of small responses of
//! the same shape; tool calls come whole, token counts with every step, and nothing but the end of
//! the stream says that it is complete.

mod annotations;
mod count_tokens;
mod decode_request;
mod decode_request_config;
mod decode_request_contents;
mod decode_request_tools;
mod decode_request_wire;
mod decode_response;
mod decode_response_wire;
mod embeddings;
mod encode_error;
mod encode_request;
mod encode_request_contents;
mod encode_request_thinking;
mod encode_response;
mod encode_response_notes;
mod errors;
mod finish_reason;
mod inbound;
mod media;
mod passthrough;
mod request_shape;
mod schema;
mod stream_reader;
mod stream_writer;
mod streamed_candidate;
mod tools;
mod usage;

#[cfg(test)]
mod tests;

pub use self::inbound::{GeminiInbound, body_with_address};

use crate::{
    EncodedRequest, ErrorReply, IdGenerator, OutboundDialect, StreamReader,
    seals::{filter::SealMarker, mark},
};
use bytes::Bytes;
use gateway_core::{Chunk, Dialect, DroppedParams, GatewayError, ProviderRequest, Result};
use std::{borrow::Cow, fmt::Write as _};

/// The outbound side of `generateContent`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeminiOutbound;

impl OutboundDialect for GeminiOutbound {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn encode(&self, call: &ProviderRequest) -> Result<EncodedRequest> {
        let mut dropped = DroppedParams::default();
        if let Some(body) = passthrough::body(call) {
            return Ok(EncodedRequest { body, dropped });
        }
        let request = call.request()?;
        if call.original(Dialect::Gemini).is_some() {
            // Of other requests, it was reported already.
            request.unmodelled.iter().for_each(|name| dropped.insert(name.clone()));
        }
        let body = encode_request::encode(request, &call.target, &mut dropped)?;
        Ok(EncodedRequest::whole(body, dropped))
    }

    fn read_whole(&self, _: &ProviderRequest, body: Bytes, ids: IdGenerator) -> Result<Chunk> {
        stream_reader::whole(&body, ids).map(Chunk::from_events)
    }

    fn reader(&self, _: &ProviderRequest, ids: IdGenerator) -> Box<dyn StreamReader> {
        Box::new(stream_reader::GeminiStreamReader::new(ids))
    }

    fn seal_marker(&self) -> Option<SealMarker> {
        Some(|chunk, _, owner| mark::mark_events(&mut chunk.events, owner))
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::read(reply)
    }
}

/// An RPC method of Gemini's API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GeminiMethod {
    /// Generation with a whole response.
    Generate,
    /// A streamed response, as server-sent events.
    Stream,
    /// Counting of the tokens of a request.
    CountTokens,
    /// The vectors of some texts.
    Embed,
}

/// The URL path of a method for `model`, relative to the base URL:
/// `models/gemini-2.5-flash:generateContent`.
pub fn path(model: &str, method: GeminiMethod) -> String {
    let resource = resource(model);
    let (folder, name) = resource.split_once('/').unwrap_or(("models", &resource));
    let mut path = format!("{folder}/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path + match method {
        GeminiMethod::Generate => ":generateContent",
        GeminiMethod::Stream => ":streamGenerateContent?alt=sse",
        GeminiMethod::CountTokens => ":countTokens",
        GeminiMethod::Embed => ":batchEmbedContents",
    }
}

/// The model's name with the folder it is in.
fn resource(model: &str) -> Cow<'_, str> {
    match model.split_once('/') {
        Some(("models" | "tunedModels", _)) => Cow::Borrowed(model),
        _ => Cow::Owned(format!("models/{model}")),
    }
}
