//! The side of a dialect that faces an upstream.

use crate::{
    IdGenerator,
    seals::{
        filter::{SealFilter, SealMarker},
        release,
    },
};
use bytes::Bytes;
use gateway_core::{Chunk, Dialect, DroppedParams, GatewayError, Payload, ProviderRequest, Result};
use std::time::Duration;

/// The side of a dialect that encodes requests to an upstream and decodes its responses.
pub trait OutboundDialect: Send + Sync {
    /// The dialect that this implementation writes and reads.
    fn dialect(&self) -> Dialect;

    /// The framing of streamed responses. Default: server-sent events.
    fn framing(&self) -> StreamFraming {
        StreamFraming::Sse
    }

    /// Writes the body of a request.
    ///
    /// If the caller's own bytes are in this dialect and nothing was edited, they are taken as they
    /// are, except for the model's name.
    ///
    /// # Errors
    ///
    /// If the caller's request cannot be decoded, or holds something without which it would mean
    /// something else and which this dialect cannot say; the error names it.
    fn encode(&self, call: &ProviderRequest) -> Result<EncodedRequest>;

    /// Returns the payload of `call` with only those reasoning seals that `filter` lets pass;
    /// `None` if it has no others.
    ///
    /// # Errors
    ///
    /// If the request cannot be decoded.
    fn release_seals(
        &self,
        call: &ProviderRequest,
        filter: &mut SealFilter,
    ) -> Result<Option<Payload>> {
        release::release_parsed(call, filter)
    }

    /// Returns what marks the seals in responses; `None` if upstreams of this kind seal nothing.
    fn seal_marker(&self) -> Option<SealMarker> {
        None
    }

    /// Reads a whole response, the body of a response with a status of success.
    ///
    /// # Errors
    ///
    /// If the body is no response, or an error in disguise.
    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: IdGenerator) -> Result<Chunk>;

    /// Whether a whole response of the caller's dialect passes through without any edit, so that its
    /// length is known beforehand.
    fn passes_bytes_unchanged(&self) -> bool {
        false
    }

    /// Begins to read a streamed response.
    fn reader(&self, call: &ProviderRequest, ids: IdGenerator) -> Box<dyn StreamReader>;

    /// Reads the response of an upstream that refused or failed.
    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError;
}

/// The encoder of token-counting requests, and decoder of their responses.
pub trait TokenCounter: OutboundDialect {
    /// Writes the body of a request to count the tokens of what `call` asks.
    ///
    /// # Errors
    ///
    /// As [`encode`](OutboundDialect::encode).
    fn encode_count(&self, call: &ProviderRequest) -> Result<EncodedRequest>;

    /// Reads the response: how many tokens would be read.
    ///
    /// # Errors
    ///
    /// If the body is no response, or an error in disguise.
    fn read_count(&self, body: &[u8]) -> Result<u64>;
}

/// The framing of a streamed response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamFraming {
    /// Server-sent events of the WHATWG.
    Sse,
    /// Newline-delimited JSON: one object per line.
    Lines,
}

/// The body of a request to an upstream.
#[derive(Clone, Debug, Default)]
pub struct EncodedRequest {
    /// The body, in pieces to be sent one after the other: the caller's bytes need no copy when
    /// only the model's name is replaced.
    pub body: Vec<Bytes>,
    /// The parameters that could not be carried.
    pub dropped: DroppedParams,
}

impl EncodedRequest {
    /// A body in one piece.
    pub fn whole(body: impl Into<Bytes>, dropped: DroppedParams) -> Self {
        Self { body: vec![body.into()], dropped }
    }

    /// The pieces joined into one buffer.
    pub fn to_vec(&self) -> Vec<u8> {
        self.body.concat()
    }
}

/// A decoder of a streamed response, fed with blocks of whole events.
pub trait StreamReader: Send {
    /// Reads `block`, one or more whole events, into `chunk`, which is empty.
    ///
    /// # Errors
    ///
    /// If the upstream reports a failure or sends what cannot be read. `chunk` then holds what came
    /// before; nothing after it counts.
    fn read(&mut self, block: Bytes, chunk: &mut Chunk) -> Result<()>;

    /// Learns that the upstream has ended the stream. May add a last chunk.
    ///
    /// # Errors
    ///
    /// [`UpstreamTruncated`](gateway_core::ErrorKind::UpstreamTruncated) if the response was not
    /// complete.
    fn end(&mut self, chunk: &mut Chunk) -> Result<()>;

    /// Returns whether the model has finished and only accounts may follow: an upstream that falls
    /// silent from here on has done no harm.
    fn is_finished(&self) -> bool;

    /// Returns whether the last event of the dialect was read; later bytes are ignored.
    fn is_complete(&self) -> bool;
}

/// A response with a status of failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorReply<'a> {
    /// The HTTP status of the response.
    pub status: u16,
    /// The delay that the headers ask for: `retry-after` and the like.
    pub retry_after: Option<Duration>,
    /// The advice of the header `x-should-retry`, if present.
    pub should_retry: Option<bool>,
    /// The body, perhaps cut short; not necessarily JSON.
    pub body: &'a [u8],
}
