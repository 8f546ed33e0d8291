//! The port to answers that need not be asked for twice.

use super::{Key, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// Remembers bytes for a while, and may forget them at any time.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait Cache: Send + Sync {
    /// Returns the cached value, if present.
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError>;

    /// Remembers `value` for `ttl`. What is larger than the cache takes is not remembered.
    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError>;

    /// Removes the value under `key`.
    async fn delete(&self, key: &Key) -> Result<(), StoreError>;
}
