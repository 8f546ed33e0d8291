//! The port to what was already done.

use super::{Key, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// What a request says, in short: a hash of its route and body.
pub type Fingerprint = [u8; 32];

/// Remembers requests by the name that their caller gave them, so that none is done twice.
#[async_trait]
pub trait Idempotency: Send + Sync {
    /// Announces a request. `token` is random, and names this attempt; `lease` is how long it may
    /// take before another attempt is let through. The holder of `token` may announce it again, to
    /// hold it longer.
    async fn begin(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        token: &str,
        lease: Duration,
    ) -> Result<Begun, StoreError>;

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

/// What is known of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Begun {
    /// Nothing: do it.
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
    /// Its status.
    pub status: u16,
    /// Its content type.
    pub content_type: String,
    /// Its body.
    pub body: Bytes,
}
