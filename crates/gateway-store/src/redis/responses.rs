//! Kept answers, in Redis.

use super::{RedisStore, keys, reply, script, sessions::integer};
use crate::{clock::millis, record::SCHEMA};
use async_trait::async_trait;
use bytes::Bytes;
use fred::types::Value;
use gateway_core::state::{Events, Key, Outcome, ResponseStore, StoreError, StoredResponse};
use std::time::Duration;

#[async_trait]
impl ResponseStore for RedisStore {
    async fn put(
        &self,
        key: &Key,
        response: &StoredResponse,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        if response.body.len() as u64 > self.link.limits.response_bytes {
            return Err(StoreError::Invalid("the response is too large to be stored"));
        }
        let arguments = vec![
            SCHEMA.into(),
            integer(millis(ttl)).into(),
            i64::from(response.in_progress).into(),
            response.body.clone().into(),
        ];
        let reply =
            self.link.call(&script::RESPONSE_PUT, self.response_keys(key), arguments).await?;
        reply::outcome("response", reply).map(drop)
    }

    async fn get(&self, key: &Key) -> Result<Option<StoredResponse>, StoreError> {
        let [head, _] = &*self.response_keys(key) else { return Ok(None) };
        let found = self.link.fields(head.clone(), &["v", "open", "body"]).await?;
        let mut found = found.into_iter();
        let (Some(schema), Some(open), Some(body)) = (found.next(), found.next(), found.next())
        else {
            return Ok(None);
        };
        if schema.is_null() {
            return Ok(None);
        }
        check_schema(&schema)?;
        let in_progress = open.as_u64() == Some(1);
        Ok(Some(StoredResponse { body: reply::bytes(body)?, in_progress }))
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let keys = self.response_keys(key);
        let found = self.link.call(&script::SESSION_DELETE, keys, Vec::new()).await?;
        Ok(reply::number(&found)? == 1)
    }

    async fn append(&self, key: &Key, from: u64, events: &[Bytes]) -> Result<Outcome, StoreError> {
        let limits = &self.link.limits;
        let mut arguments: Vec<Value> = vec![
            SCHEMA.into(),
            integer(from).into(),
            integer(limits.response_events).into(),
            integer(limits.response_bytes).into(),
        ];
        arguments.extend(events.iter().cloned().map(Value::from));
        let keys = self.response_keys(key);
        reply::outcome("response", self.link.call(&script::RESPONSE_APPEND, keys, arguments).await?)
    }

    async fn events(&self, key: &Key, from: u64, limit: u64) -> Result<Option<Events>, StoreError> {
        // Below the size of any list, so that the script can add the two.
        let bound = |n: u64| integer(n.min(u64::from(u32::MAX)));
        let arguments = vec![SCHEMA.into(), bound(from).into(), bound(limit).into()];
        let keys = self.response_keys(key);
        let found = self.link.call(&script::RESPONSE_EVENTS, keys, arguments).await?;
        let mut found = reply::list(found)?.into_iter();
        let (Some(open), Some(steps)) = (found.next(), found.next()) else { return Ok(None) };
        let Value::Array(steps) = steps else {
            return Err(reply::newer("response", steps.as_u64().unwrap_or_default()));
        };
        let events = steps.into_iter().map(reply::bytes).collect::<Result<_, _>>()?;
        Ok(Some(Events { events, in_progress: open.as_u64() == Some(1) }))
    }
}

impl RedisStore {
    fn response_keys(&self, key: &Key) -> Vec<String> {
        keys::of(&self.link.prefix, "r", key, "he")
    }
}

fn check_schema(schema: &Value) -> Result<(), StoreError> {
    match schema.as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => Ok(()),
        other => Err(reply::newer("response", other.unwrap_or_default())),
    }
}
