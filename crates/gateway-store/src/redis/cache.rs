//! A cache that gateways share.

use super::{RedisStore, keys, reply, script::integer};
use crate::clock::millis;
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::state::{Cache, Key, StoreError};
use std::time::Duration;

#[async_trait]
impl Cache for RedisStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let found = self.link.get(self.cache_key(key)).await?;
        if found.is_null() { Ok(None) } else { reply::bytes(found).map(Some) }
    }

    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        if value.len() as u64 > self.link.limits.cache_value_bytes {
            return Ok(());
        }
        self.link.set(self.cache_key(key), value.into(), integer(millis(ttl).max(1))).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.link.delete(self.cache_key(key)).await
    }
}

impl RedisStore {
    fn cache_key(&self, key: &Key) -> String {
        keys::of(&self.link.prefix, "c", key, "v").concat()
    }
}
