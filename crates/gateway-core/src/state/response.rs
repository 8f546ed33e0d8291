//! The port to answers that are kept.

use super::{Key, StoreError, WriteOutcome};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// Keeps answers that can be asked for later, and the steps of those still being written.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait ResponseStore: Send + Sync {
    /// Keeps `response` for `ttl`, in place of what was there. Steps already kept stay. With a lease,
    /// the writer of a response in progress has to [`renew`](Self::renew) it.
    async fn put(
        &self,
        key: &Key,
        response: &StoredResponse,
        ttl: Duration,
    ) -> Result<(), StoreError>;

    /// Returns the stored response, if present.
    async fn get(&self, key: &Key) -> Result<Option<StoredResponse>, StoreError>;

    /// Renews the lease of a response; false if it is not in progress, or not there.
    async fn renew(&self, key: &Key, lease: Duration) -> Result<bool, StoreError>;

    /// Puts `response`, which is complete, in place of one whose writer has crashed; false if it
    /// was not [abandoned](StoredResponse::is_abandoned).
    async fn end_abandoned(
        &self,
        key: &Key,
        response: &StoredResponse,
        ttl: Duration,
    ) -> Result<bool, StoreError>;

    /// Forgets an answer and its steps; says whether there was one.
    async fn delete(&self, key: &Key) -> Result<bool, StoreError>;

    /// Adds steps behind the first `from`, once.
    ///
    /// Steps that are there already are [`WriteOutcome::Duplicate`], a gap is [`WriteOutcome::Conflict`], an
    /// answer that is not there, or is complete, is [`WriteOutcome::Gone`]; each with the number of
    /// steps kept.
    async fn append(
        &self,
        key: &Key,
        from: u64,
        events: &[Bytes],
    ) -> Result<WriteOutcome, StoreError>;

    /// The steps behind the first `from`, `limit` of them at most.
    async fn events(
        &self,
        key: &Key,
        from: u64,
        limit: u64,
    ) -> Result<Option<ResponseEvents>, StoreError>;
}

/// An answer, as its dialect writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredResponse {
    /// The whole of it.
    pub body: Bytes,
    /// It is still being written.
    pub in_progress: bool,
    /// The time for which its writer may be silent, if it is in progress and has one writer. When
    /// read, the rest of that time: zero if the writer has crashed.
    pub lease: Option<Duration>,
}

/// Steps of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResponseEvents {
    /// The steps asked for, in order.
    pub events: Vec<Bytes>,
    /// The response is still being written.
    pub in_progress: bool,
    /// The lease of the background run, as in [`StoredResponse`].
    pub lease: Option<Duration>,
}

impl StoredResponse {
    /// A complete response.
    pub const fn complete(body: Bytes) -> Self {
        Self { body, in_progress: false, lease: None }
    }

    /// Whether it is in progress and its writer has crashed.
    pub fn is_abandoned(&self) -> bool {
        self.in_progress && self.lease.is_some_and(|rest| rest.is_zero())
    }
}

impl ResponseEvents {
    /// Whether the response is in progress and its writer has crashed.
    pub fn is_abandoned(&self) -> bool {
        self.in_progress && self.lease.is_some_and(|rest| rest.is_zero())
    }
}
