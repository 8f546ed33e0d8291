//! The side of a dialect that faces an upstream.

use crate::Ids;
use bytes::Bytes;
use gateway_core::{Chunk, Dialect, DroppedParams, GatewayError, ProviderRequest, Result};
use std::time::Duration;

/// Writes requests to an upstream and reads its answers.
pub trait Upstream: Send + Sync {
    /// Which dialect this is.
    fn dialect(&self) -> Dialect;

    /// How a streamed answer is divided into events.
    fn framing(&self) -> Framing {
        Framing::Sse
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
    fn encode(&self, call: &ProviderRequest) -> Result<Encoded>;

    /// Reads a whole answer, the body of a reply with a status of success.
    ///
    /// # Errors
    ///
    /// If the body is no answer, or an error in disguise.
    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: Ids) -> Result<Chunk>;

    /// Begins to read a streamed answer.
    fn reader(&self, call: &ProviderRequest, ids: Ids) -> Box<dyn StreamReader>;

    /// Reads the reply of an upstream that refused or failed.
    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError;
}

/// Writes requests to have tokens counted and reads the counts.
pub trait TokenCounter: Send + Sync {
    /// Writes the body of a request to count the tokens of what `call` asks.
    ///
    /// # Errors
    ///
    /// As [`encode`](Upstream::encode).
    fn encode_count(&self, call: &ProviderRequest) -> Result<Encoded>;

    /// Reads the answer: how many tokens would be read.
    ///
    /// # Errors
    ///
    /// If the body is no answer, or an error in disguise.
    fn read_count(&self, body: &[u8]) -> Result<u64>;
}

/// How a streamed answer is divided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON object a line.
    Lines,
}

/// The body of a request to an upstream.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// The body, in pieces to be sent one after the other: the caller's bytes need no copy when
    /// only the model's name is replaced.
    pub body: Vec<Bytes>,
    /// What could not be carried.
    pub dropped: DroppedParams,
}

impl Encoded {
    /// A body in one piece.
    pub fn whole(body: impl Into<Bytes>, dropped: DroppedParams) -> Self {
        Self { body: vec![body.into()], dropped }
    }

    /// The pieces, joined.
    pub fn to_vec(&self) -> Vec<u8> {
        self.body.concat()
    }
}

/// Reads a streamed answer, some whole events at a time.
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
    /// [`UpstreamTruncated`](gateway_core::ErrorKind::UpstreamTruncated) if the answer was not
    /// complete.
    fn end(&mut self, chunk: &mut Chunk) -> Result<()>;

    /// Whether the model has finished and only accounts may follow: an upstream that falls silent
    /// from here on has done no harm.
    fn is_finished(&self) -> bool;

    /// Whether the dialect's last event was seen: nothing after it counts.
    fn is_complete(&self) -> bool;
}

/// A reply with a status of failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorReply<'a> {
    /// The status.
    pub status: u16,
    /// What the headers say of when to try again.
    pub retry_after: Option<Duration>,
    /// What the headers say of whether to try again: `x-should-retry`.
    pub should_retry: Option<bool>,
    /// The body, perhaps cut short; not necessarily JSON.
    pub body: &'a [u8],
}
