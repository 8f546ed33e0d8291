//! The request envelope: facts about a request that need no decoding.

use crate::{ChatRequest, Dialect, Result, ServiceTier};
use bytes::Bytes;
use std::{fmt, ops::Range, sync::OnceLock};

/// The outside of a request: read in one pass over the caller's bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Envelope {
    /// The model, as the caller named it.
    pub model: String,
    /// Byte range of the model's name in the body, quotes included.
    pub model_span: Range<usize>,
    /// The caller wants the answer step by step.
    pub stream: bool,
    /// Byte range of the value of `stream_options`, if present.
    pub stream_options: Option<Range<usize>>,
    /// The caller asked for token counts at the end of a stream.
    pub stream_usage: bool,
    /// The session that the request continues, and where the whole member stands in the body.
    pub session: Option<(String, Range<usize>)>,
    /// Byte range of the list of `messages`, if present; an empty range if it is empty.
    pub messages: Option<Range<usize>>,
    /// Byte range of the value of `tools`, if present.
    pub tools: Option<Range<usize>>,
    /// Maximum output tokens, if the request sets them.
    pub max_output: Option<u64>,
    /// The service tier that the request asks for, if that may have a price of its own.
    pub tier: Option<ServiceTier>,
    /// Byte range of the value of `metadata`, if present.
    pub metadata: Option<Range<usize>>,
    /// Byte range of the name of the end user, if present: `user`, else `safety_identifier`.
    pub user: Option<Range<usize>>,
    /// The members that edits depend on; `None` if the envelope was not read from the body.
    pub present: Option<PresentMembers>,
    /// Certainly no object inside the body has a member that holds reasoning in some vendor's form
    /// of Chat Completions. `false` says nothing.
    pub lacks_reasoning: bool,
    /// The memory that the request takes once it is decoded, in bytes beyond its body; zero if that
    /// is little.
    pub decoded_footprint: usize,
}

/// The members of a request's root object whose presence decides whether the body needs an edit or
/// a closer look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PresentMembers(u8);

impl PresentMembers {
    /// The members that are noted, by name.
    const NAMES: [&str; 5] = ["n", "functions", "seed", "max_completion_tokens", "thread"];

    /// Notes the member `name`, if its presence matters.
    pub fn note(&mut self, name: &str) {
        self.0 |= Self::bit(name).unwrap_or_default();
    }

    /// Returns whether the member `name` is present; `None` for one that is not noted.
    pub fn contains(self, name: &str) -> Option<bool> {
        Self::bit(name).map(|bit| self.0 & bit != 0)
    }

    fn bit(name: &str) -> Option<u8> {
        Self::NAMES.iter().position(|known| *known == name).map(|at| 1 << at)
    }
}

/// A request in the caller's own bytes; decoded once, if at all.
pub struct RawRequest {
    /// The language it is in.
    pub dialect: Dialect,
    /// The bytes: one valid JSON object.
    pub body: Bytes,
    /// Envelope of the request.
    pub envelope: Envelope,
    decode: fn(&[u8]) -> Result<ChatRequest>,
    decoded: OnceLock<ChatRequest>,
}

impl RawRequest {
    /// Creates a raw request of `body`, which `decode` parses on demand.
    pub fn new(
        dialect: Dialect,
        body: Bytes,
        envelope: Envelope,
        decode: fn(&[u8]) -> Result<ChatRequest>,
    ) -> Self {
        Self { dialect, body, envelope, decode, decoded: OnceLock::new() }
    }

    /// Returns the same request with another body and the envelope of that body.
    #[must_use]
    pub fn with_body(&self, body: Bytes, envelope: Envelope) -> Self {
        Self::new(self.dialect, body, envelope, self.decode)
    }

    /// Returns whether the root object may have a member `name`.
    ///
    /// `false` is certain. The envelope knows for the members that it notes; otherwise the name is
    /// searched for in the body.
    pub fn may_have(&self, name: &str) -> bool {
        let noted = self.envelope.present.and_then(|present| present.contains(name));
        noted.unwrap_or_else(|| memchr::memmem::find(&self.body, name.as_bytes()).is_some())
    }

    /// The request with an edited `body`, of which `envelope` was read.
    #[must_use]
    pub fn edited(&self, body: Bytes, envelope: Envelope) -> Self {
        Self::new(self.dialect, body, envelope, self.decode)
    }

    /// The request, decoded. The first call does the work.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the request, in terms of the caller's dialect.
    pub fn decoded(&self) -> Result<&ChatRequest> {
        if let Some(request) = self.decoded.get() {
            return Ok(request);
        }
        let request = (self.decode)(&self.body)?;
        Ok(self.decoded.get_or_init(|| request))
    }
}

impl fmt::Debug for RawRequest {
    /// Leaves the body out: it may be long, and it is not ours to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Original")
            .field("dialect", &self.dialect)
            .field("bytes", &self.body.len())
            .field("envelope", &self.envelope)
            .finish_non_exhaustive()
    }
}
