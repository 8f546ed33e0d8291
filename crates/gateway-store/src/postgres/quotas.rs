//! Limits that replicas share: a row for each key, which holds the leases of all.

use super::{
    PostgresStore, errors,
    pool::{PooledConnection, TransactionKind},
};
use crate::{
    clock::millis,
    kv::{RecordKind, object},
};
use async_trait::async_trait;
use gateway_core::{
    NanoDollars,
    state::{Key, LeaseReply, LeaseRequest, Quotas, SharedLimits, StoreError},
};
use std::time::Duration;

/// The time after which a replica that has not called again no longer counts as one.
const PRESENCE: Duration = Duration::from_secs(10);

/// Locks the row of a key, and makes it if there is none.
const LOCK: &str = "INSERT INTO quotas (key, limits, idle_from_us) VALUES ($1, '{}', 0) \
     ON CONFLICT (key) DO UPDATE SET idle_from_us = quotas.idle_from_us \
     RETURNING limits, now_us()";
const WRITE: &str = "UPDATE quotas SET limits = $2, idle_from_us = $3 WHERE key = $1";
const PRESENT: &str = "INSERT INTO replicas (holder, seen) VALUES ($1, now_ms()) \
     ON CONFLICT (holder) DO UPDATE SET seen = excluded.seen";
const REPLICAS: &str = "SELECT count(*) FROM replicas WHERE seen > now_ms() - $1";

#[async_trait]
impl Quotas for PostgresStore {
    async fn exchange(&self, key: &Key, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        // Money that is given out survives a crash of the server; rates and slots need not.
        let gives_money = request.budgets.iter().any(|it| it.need.0 > 0 || it.spent.0 > 0);
        let kind = if gives_money { TransactionKind::Safe } else { TransactionKind::Visible };
        let (connection, mut limits, now_us) = self.begin_exchange(key, kind).await?;
        let reply = limits.exchange(now_us, request);
        end_exchange(&connection, key, &limits).await?;
        Ok(reply)
    }

    async fn replicas(&self, holder: &str) -> Result<u64, StoreError> {
        let connection = self.pool.get().await?;
        connection.execute(PRESENT, &[&holder]).await?;
        let presence = i64::try_from(millis(PRESENCE)).unwrap_or(i64::MAX);
        let rows = connection.query(REPLICAS, &[&presence]).await?;
        let count: i64 = match rows.first() {
            Some(row) => row.try_get(0).map_err(errors::unreadable)?,
            None => 1,
        };
        Ok(count.unsigned_abs())
    }

    async fn reset_budget(&self, key: &Key, name: &str) -> Result<NanoDollars, StoreError> {
        let (connection, mut limits, _) = self.begin_exchange(key, TransactionKind::Safe).await?;
        let spent = limits.reset_budget(name);
        end_exchange(&connection, key, &limits).await?;
        Ok(spent)
    }
}

impl PostgresStore {
    /// Reads the limits of `key`, which are locked until they are written.
    async fn begin_exchange(
        &self,
        key: &Key,
        kind: TransactionKind,
    ) -> Result<(PooledConnection, SharedLimits, u64), StoreError> {
        let connection = self.pool.get().await?;
        connection.begin(kind).await?;
        let rows = connection.query(LOCK, &[&place(key)]).await?;
        let missing = || StoreError::corrupt("quota", "its row is missing");
        let row = rows.first().ok_or_else(missing)?;
        let limits: &str = row.try_get(0).map_err(errors::unreadable)?;
        let now_us: i64 = row.try_get(1).map_err(errors::unreadable)?;
        let limits = serde_json::from_str(limits)
            .map_err(|error| StoreError::corrupt("quota", error.to_string()))?;
        Ok((connection, limits, now_us.unsigned_abs()))
    }
}

async fn end_exchange(
    connection: &PooledConnection,
    key: &Key,
    limits: &SharedLimits,
) -> Result<(), StoreError> {
    let idle_from = i64::try_from(limits.idle_from_us()).unwrap_or(i64::MAX);
    let json = serde_json::to_string(limits)
        .map_err(|_| StoreError::Invalid("the limits cannot be written as JSON"))?;
    connection.execute(WRITE, &[&place(key), &json, &idle_from]).await?;
    connection.commit().await
}

fn place(key: &Key) -> Vec<u8> {
    object(RecordKind::Spent, key)
}
