//! A cache in this process, bounded by bytes.

use crate::{
    clock::{StoreClock, millis},
    limits::StoreLimits,
};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::state::{Cache, Key, StoreError};
use moka::sync::Cache as Moka;
use std::time::Duration;

/// Overhead of an entry, in bytes.
const OVERHEAD: usize = 200;

/// Remembers the most useful values that fit.
pub(crate) struct LocalCache {
    values: Moka<Key, CachedValue>,
    clock: StoreClock,
    value_bytes: u64,
}

#[derive(Clone)]
struct CachedValue {
    value: Bytes,
    expires: u64,
}

impl LocalCache {
    /// Creates an empty cache.
    pub(crate) fn new(clock: StoreClock, limits: &StoreLimits) -> Self {
        let weigh = |key: &Key, kept: &CachedValue| {
            let bytes = key.id().len() + key.tenant().as_str().len() + kept.value.len() + OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let values = Moka::builder().max_capacity(limits.cache_bytes).weigher(weigh).build();
        Self { values, clock, value_bytes: limits.cache_value_bytes }
    }
}

#[async_trait]
impl Cache for LocalCache {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let Some(kept) = self.values.get(key) else { return Ok(None) };
        if kept.expires > self.clock.now() {
            return Ok(Some(kept.value));
        }
        self.values.invalidate(key);
        Ok(None)
    }

    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        if value.len() as u64 <= self.value_bytes {
            let expires = self.clock.now().saturating_add(millis(ttl));
            self.values.insert(key.clone(), CachedValue { value, expires });
        }
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.values.invalidate(key);
        Ok(())
    }
}
