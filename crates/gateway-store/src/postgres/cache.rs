//! A cache that gateways share.

use super::{PostgresStore, errors};
use crate::{
    clock::millis,
    kv::{RecordKind, object},
};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::state::{Cache, Key, StoreError};
use std::time::Duration;

const GET: &str = "SELECT value FROM cache WHERE key = $1 AND expires > now_ms()";
const PUT: &str = "INSERT INTO cache (key, value, expires) VALUES ($1, $2, now_ms() + $3) \
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires";
const DELETE: &str = "DELETE FROM cache WHERE key = $1";

#[async_trait]
impl Cache for PostgresStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let rows = self.pool.get().await?.query(GET, &[&place(key)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let value: Vec<u8> = row.try_get(0).map_err(errors::unreadable)?;
        Ok(Some(value.into()))
    }

    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        if value.len() as u64 > self.limits.cache_value_bytes {
            return Ok(());
        }
        let ttl = i64::try_from(millis(ttl)).unwrap_or(i64::MAX / 2);
        let connection = self.pool.get().await?;
        connection.execute(PUT, &[&place(key), &&*value, &ttl]).await.map(drop)
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.pool.get().await?.execute(DELETE, &[&place(key)]).await.map(drop)
    }
}

fn place(key: &Key) -> Vec<u8> {
    object(RecordKind::Response, key)
}
