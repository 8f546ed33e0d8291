//! Ollama's own `/api/chat`, as an upstream.
//!
//! Answers are streamed as one JSON object a line, the last of which says `done`. Tool calls come
//! whole, errors are plain strings, and a prompt that does not fit the context is cut in silence:
//! hence [`num_ctx`](OllamaUpstream::num_ctx).

mod embeddings;
mod encode_request;
mod encode_request_messages;
mod errors;
mod stream_reader;

#[cfg(test)]
mod tests;

use crate::{Encoded, ErrorReply, Framing, Ids, StreamReader, Upstream};
use bytes::Bytes;
use gateway_core::{Chunk, Dialect, DroppedParams, GatewayError, ProviderRequest, Result};

/// Speaks `/api/chat` to an upstream.
#[derive(Clone, Debug, Default)]
pub struct OllamaUpstream {
    /// How many tokens prompt and answer may have together; the upstream's default is small.
    pub num_ctx: Option<u64>,
    /// How long the model stays loaded: `5m`, `-1`.
    pub keep_alive: Option<String>,
}

impl Upstream for OllamaUpstream {
    fn dialect(&self) -> Dialect {
        Dialect::Ollama
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn encode(&self, call: &ProviderRequest) -> Result<Encoded> {
        let mut dropped = DroppedParams::default();
        let body = encode_request::encode(self, call, &mut dropped)?;
        Ok(Encoded::whole(body, dropped))
    }

    fn read_whole(&self, _: &ProviderRequest, body: Bytes, ids: Ids) -> Result<Chunk> {
        stream_reader::whole(&body, ids).map(Chunk::from_events)
    }

    fn reader(&self, _: &ProviderRequest, ids: Ids) -> Box<dyn StreamReader> {
        Box::new(stream_reader::Reader::new(ids))
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::read(reply)
    }
}
