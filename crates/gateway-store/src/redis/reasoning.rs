//! Thinking, by the tool call it led to, in Redis.

use super::{
    RedisStore, keys, reply,
    script::{self, integer},
};
use crate::{
    clock::millis,
    record::{self, SCHEMA},
};
use async_trait::async_trait;
use futures_util::future;
use gateway_core::state::{Key, ReasoningStore, StoreError, StoredReasoning};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Deserialize, Serialize)]
struct RedisReasoningRecord {
    v: u32,
    aside: StoredReasoning,
}

#[async_trait]
impl ReasoningStore for RedisStore {
    async fn put(
        &self,
        key: &Key,
        aside: &StoredReasoning,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let prefix = keys::of_tenant(&self.link.prefix, "a", key.tenant());
        let order = keys::of_tenant(&self.link.prefix, "asides", key.tenant());
        let id = keys::escape(key.id());
        let value = record::write(&RedisReasoningRecord { v: SCHEMA, aside: aside.clone() })?;
        let arguments = vec![
            bytes::Bytes::from(value).into(),
            integer(millis(ttl)).into(),
            id.as_str().into(),
            integer(self.link.limits.asides).into(),
            prefix.as_str().into(),
        ];
        let keys = vec![format!("{prefix}{id}"), order];
        self.link.call(&script::ASIDE_PUT, keys, arguments).await.map(drop)
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<StoredReasoning>>, StoreError> {
        future::try_join_all(keys.iter().map(|key| self.aside(key))).await
    }
}

impl RedisStore {
    async fn aside(&self, key: &Key) -> Result<Option<StoredReasoning>, StoreError> {
        let prefix = keys::of_tenant(&self.link.prefix, "a", key.tenant());
        let found = self.link.get(format!("{prefix}{}", keys::escape(key.id()))).await?;
        if found.is_null() {
            return Ok(None);
        }
        let kept: RedisReasoningRecord = record::read("aside", &reply::bytes(found)?)?;
        Ok(Some(kept.aside))
    }
}
