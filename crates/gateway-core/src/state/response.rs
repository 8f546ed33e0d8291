//! The port to answers that are kept.

use super::{Key, Outcome, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// Keeps answers that can be asked for later, and the steps of those still being written.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait ResponseStore: Send + Sync {
    /// Keeps `response` for `ttl`, in place of what was there. Steps already kept stay.
    async fn put(
        &self,
        key: &Key,
        response: &StoredResponse,
        ttl: Duration,
    ) -> Result<(), StoreError>;

    /// Returns the stored response, if present.
    async fn get(&self, key: &Key) -> Result<Option<StoredResponse>, StoreError>;

    /// Forgets an answer and its steps; says whether there was one.
    async fn delete(&self, key: &Key) -> Result<bool, StoreError>;

    /// Adds steps behind the first `from`, once.
    ///
    /// Steps that are there already are [`Outcome::Duplicate`], a gap is [`Outcome::Conflict`], an
    /// answer that is not there, or is complete, is [`Outcome::Gone`]; each with the number of
    /// steps kept.
    async fn append(&self, key: &Key, from: u64, events: &[Bytes]) -> Result<Outcome, StoreError>;

    /// The steps behind the first `from`, `limit` of them at most.
    async fn events(&self, key: &Key, from: u64, limit: u64) -> Result<Option<Events>, StoreError>;
}

/// An answer, as its dialect writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredResponse {
    /// The whole of it.
    pub body: Bytes,
    /// It is still being written.
    pub in_progress: bool,
}

/// Steps of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Events {
    /// The steps asked for, in order.
    pub events: Vec<Bytes>,
    /// The response is still being written.
    pub in_progress: bool,
}
