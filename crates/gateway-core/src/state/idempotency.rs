//! The port to what was already done.

use super::{Key, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// The fingerprint of a request: a hash of its route and body.
pub type Fingerprint = [u8; 32];

/// Remembers requests by the name that their caller gave them, so that none is done twice.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// Announces a request. `token` is random, and names this attempt; `lease` is how long it may
    /// take before another attempt is let through. The holder of `token` may announce it again, to
    /// hold it longer.
    async fn begin(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        token: &str,
        lease: Duration,
    ) -> Result<BeginResult, StoreError>;

    /// Keeps the reply for `ttl`. Says whether the attempt was still ours to finish.
    async fn finish(
        &self,
        key: &Key,
        token: &str,
        replay: &Replay,
        ttl: Duration,
    ) -> Result<bool, StoreError>;

    /// Forgets an attempt of which nothing took effect.
    async fn abandon(&self, key: &Key, token: &str) -> Result<(), StoreError>;
}

/// The state of a request under an idempotency key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BeginResult {
    /// The key is new: run the request.
    New,
    /// It is being done.
    InProgress,
    /// Another request has this name.
    Mismatch,
    /// It was done; this was the reply.
    Done(Replay),
}

/// A reply that can be given again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replay {
    /// HTTP status of the reply.
    pub status: u16,
    /// Content type of the reply.
    pub content_type: String,
    /// Body of the reply.
    pub body: Bytes,
}
