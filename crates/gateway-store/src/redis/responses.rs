//! Kept answers, in Redis.

use super::{
    RedisStore, keys, reply,
    script::{self, integer},
    tenant_usage::{CountedKind, StoredBytes},
};
use crate::{clock::millis, record::SCHEMA};
use async_trait::async_trait;
use bytes::Bytes;
use fred::types::Value;
use gateway_core::state::{
    Key, ResponseEvents, ResponseStore, StoreError, StoredResponse, WriteOutcome,
};
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
        let bytes = StoredBytes::Total(response.body.len() as u64);
        self.charge(key, CountedKind::Response, bytes, Some(ttl)).await?;
        let arguments = vec![
            SCHEMA.into(),
            integer(millis(ttl)).into(),
            i64::from(response.in_progress).into(),
            response.body.clone().into(),
            lease_value(response.lease.filter(|_| response.in_progress)),
        ];
        let reply =
            self.link.call(&script::RESPONSE_PUT, self.response_keys(key), arguments).await?;
        reply::outcome("response", reply).map(drop)
    }

    async fn get(&self, key: &Key) -> Result<Option<StoredResponse>, StoreError> {
        let keys = self.response_keys(key);
        let found = self.link.call(&script::RESPONSE_GET, keys, Vec::new()).await?;
        let Ok([schema, open, lease, body]) = <[Value; 4]>::try_from(reply::list(found)?) else {
            return Ok(None);
        };
        check_schema(&schema)?;
        let (in_progress, lease) = (open.as_u64() == Some(1), read_lease(&lease));
        Ok(Some(StoredResponse { body: reply::bytes(body)?, in_progress, lease }))
    }

    async fn renew(&self, key: &Key, lease: Duration) -> Result<bool, StoreError> {
        let arguments = vec![SCHEMA.into(), lease_value(Some(lease))];
        let keys = self.response_keys(key);
        let renewed = self.link.call(&script::RESPONSE_RENEW, keys, arguments).await?;
        Ok(reply::number(&renewed)? == 1)
    }

    async fn end_abandoned(
        &self,
        key: &Key,
        response: &StoredResponse,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        if response.body.len() as u64 > self.link.limits.response_bytes {
            return Err(StoreError::Invalid("the response is too large to be stored"));
        }
        let arguments =
            vec![SCHEMA.into(), integer(millis(ttl)).into(), response.body.clone().into()];
        let keys = self.response_keys(key);
        let ended = self.link.call(&script::RESPONSE_END, keys, arguments).await?;
        Ok(reply::number(&ended)? == 1)
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let keys = self.response_keys(key);
        let found = self.link.call(&script::SESSION_DELETE, keys, Vec::new()).await?;
        self.release_charge(key, CountedKind::Response).await;
        Ok(reply::number(&found)? == 1)
    }

    async fn append(
        &self,
        key: &Key,
        from: u64,
        events: &[Bytes],
    ) -> Result<WriteOutcome, StoreError> {
        let bytes = events.iter().map(|event| event.len() as u64).sum();
        self.charge(key, CountedKind::Response, StoredBytes::More(bytes), None).await?;
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

    async fn events(
        &self,
        key: &Key,
        from: u64,
        limit: u64,
    ) -> Result<Option<ResponseEvents>, StoreError> {
        // Below the size of any list, so that the script can add the two.
        let bound = |n: u64| integer(n.min(u64::from(u32::MAX)));
        let arguments = vec![SCHEMA.into(), bound(from).into(), bound(limit).into()];
        let keys = self.response_keys(key);
        let found = self.link.call(&script::RESPONSE_EVENTS, keys, arguments).await?;
        let mut found = reply::list(found)?.into_iter();
        let (Some(open), Some(steps)) = (found.next(), found.next()) else { return Ok(None) };
        let lease = found.next().and_then(|lease| read_lease(&lease));
        let Value::Array(steps) = steps else {
            return Err(reply::newer("response", steps.as_u64().unwrap_or_default()));
        };
        let events = steps.into_iter().map(reply::bytes).collect::<Result<_, _>>()?;
        Ok(Some(ResponseEvents { events, in_progress: open.as_u64() == Some(1), lease }))
    }
}

impl RedisStore {
    fn response_keys(&self, key: &Key) -> Vec<String> {
        keys::of(&self.link.prefix, "r", key, "he")
    }
}

/// A lease as an argument: milliseconds, or -1 if there is none.
fn lease_value(lease: Option<Duration>) -> Value {
    lease.map_or(-1, |lease| integer(millis(lease))).into()
}

/// The rest of a lease; `None` if there is none.
fn read_lease(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_millis)
}

fn check_schema(schema: &Value) -> Result<(), StoreError> {
    match schema.as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => Ok(()),
        other => Err(reply::newer("response", other.unwrap_or_default())),
    }
}
