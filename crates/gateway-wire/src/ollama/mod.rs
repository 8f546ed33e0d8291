//! Ollama's own `/api/chat`, as an upstream.
//!
//! Responses are streamed as one JSON object a line, the last of which says `done`. Tool calls come
//! whole, errors are plain strings, and a prompt that does not fit the context is cut in silence:
//! hence [`num_ctx`](OllamaOutbound::num_ctx).

mod decode_response;
mod embeddings;
mod encode_request;
mod encode_request_messages;
mod errors;
mod finish_reason;
mod media;
mod stream_reader;
mod tools;
mod usage;

#[cfg(test)]
mod tests;

use crate::{
    EncodedRequest, ErrorReply, IdGenerator, OutboundDialect, StreamFraming, StreamReader,
};
use bytes::Bytes;
use gateway_core::{Chunk, Dialect, DroppedParams, GatewayError, ProviderRequest, Result};

/// The outbound side of `/api/chat`.
#[derive(Clone, Debug, Default)]
pub struct OllamaOutbound {
    /// The context size in tokens, prompt and response together; the upstream's default is small.
    pub num_ctx: Option<u64>,
    /// The time for which the model stays loaded: `5m`, `-1`.
    pub keep_alive: Option<String>,
}

impl OutboundDialect for OllamaOutbound {
    fn dialect(&self) -> Dialect {
        Dialect::Ollama
    }

    fn framing(&self) -> StreamFraming {
        StreamFraming::Lines
    }

    fn encode(&self, call: &ProviderRequest) -> Result<EncodedRequest> {
        let mut dropped = DroppedParams::default();
        let body = encode_request::encode(self, call, &mut dropped)?;
        Ok(EncodedRequest::whole(body, dropped))
    }

    fn read_whole(&self, _: &ProviderRequest, body: Bytes, ids: IdGenerator) -> Result<Chunk> {
        decode_response::whole(&body, ids).map(Chunk::from_events)
    }

    fn reader(&self, _: &ProviderRequest, ids: IdGenerator) -> Box<dyn StreamReader> {
        Box::new(stream_reader::OllamaStreamReader::new(ids))
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::read(reply)
    }
}
