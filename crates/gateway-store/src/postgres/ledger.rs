//! The usage ledger, in tables that teams query: see the page on storage.

use super::{
    PostgresStore, errors, json_text,
    pool::{PooledConnection, TransactionKind},
};
use crate::{
    clock::millis,
    kv::ledger::{order, totals_id},
};
use async_trait::async_trait;
use gateway_core::state::{AdmittedRequest, Batch, Ledger, StoreError, Tenant, Totals};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
    time::Duration,
};
use tokio_postgres::types::ToSql;

/// The number of rows that are closed in one transaction.
const CLOSED_AT_ONCE: i64 = 1_000;

/// Replicas write the ledger one after the other: sums are read, added to and written.
const LOCK: &str = "SELECT pg_advisory_xact_lock(\
     hashtext('llm_gateway ledger'), hashtext(current_setting('search_path')))";

/// Advances a run to a batch; returns no row if it has come that far.
const ADVANCE: &str = "INSERT INTO ledger_runs (run, batch, leased_until) \
     VALUES ($1, $2, now_ms() + 60000) ON CONFLICT (run) DO UPDATE SET batch = excluded.batch, \
     leased_until = greatest(ledger_runs.leased_until, now_ms()) \
     WHERE ledger_runs.batch < excluded.batch RETURNING 1";
const OPEN: &str = "INSERT INTO open_requests (client, id, run, at, admitted) \
     SELECT client, id, run, at, admitted::jsonb \
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[]) \
     AS row (client, id, run, at, admitted) \
     ON CONFLICT (client, id) DO UPDATE SET admitted = excluded.admitted";
const REVISE: &str = "UPDATE open_requests SET admitted = row.admitted::jsonb \
     FROM unnest($1::text[], $2::text[], $3::text[]) AS row (client, id, admitted) \
     WHERE open_requests.client = row.client AND open_requests.id = row.id";
const CLOSE: &str = "DELETE FROM open_requests USING unnest($1::text[], $2::text[]) \
     AS row (client, id) WHERE open_requests.client = row.client AND open_requests.id = row.id \
     RETURNING open_requests.client, open_requests.id";
const READ: &str = "SELECT key, totals::text FROM usage_daily WHERE key = ANY($1)";
const WRITE: &str = "INSERT INTO usage_daily (key, day_number, totals) \
     SELECT key, day, totals::jsonb FROM unnest($1::bytea[], $2::integer[], $3::text[]) \
     AS row (key, day, totals) ON CONFLICT (key) DO UPDATE SET totals = excluded.totals";
const TOTALS: &str = "SELECT totals::text FROM usage_daily \
     WHERE day_number BETWEEN $1 AND $2 AND ($3::text IS NULL OR client = $3)";
const RENEW: &str = "INSERT INTO ledger_runs (run, leased_until) VALUES ($1, now_ms() + $2) \
     ON CONFLICT (run) DO UPDATE SET leased_until = excluded.leased_until";
const LOST_RUNS: &str = "SELECT DISTINCT run FROM open_requests LEFT JOIN ledger_runs USING (run) \
     WHERE run <> $1 AND coalesce(leased_until, 0) <= now_ms() ORDER BY run";
const OF_RUN: &str = "SELECT admitted::text FROM open_requests WHERE run = $1 LIMIT $2";
const BEFORE: &str = "SELECT admitted::text FROM open_requests WHERE at < $1 LIMIT $2";

#[async_trait]
impl Ledger for PostgresStore {
    async fn record(&self, batch: &Batch) -> Result<(), StoreError> {
        let connection = self.begin_ledger().await?;
        let number = integer(batch.number);
        let advanced = connection.query(ADVANCE, &[&json_text::name(&batch.run), &number]).await?;
        if !advanced.is_empty() {
            open(&connection, &batch.opened).await?;
            revise(&connection, &batch.revised).await?;
            let rows: Vec<_> = batch.closed.iter().map(|(row, _)| row).collect();
            let closed = close(&connection, &rows).await?;
            let mut sums = batch.sums.clone();
            for (row, outcome) in &batch.closed {
                if closed.contains(&name(row)) {
                    sums.push(Totals::of(row, outcome));
                }
            }
            add(&connection, &sums).await?;
        }
        connection.commit().await
    }

    async fn renew_run(&self, run: &str, lease: Duration) -> Result<Vec<String>, StoreError> {
        let connection = self.pool.get().await?;
        let (run, lease) = (json_text::name(run), integer(millis(lease)));
        connection.execute(RENEW, &[&run, &lease]).await?;
        let rows = connection.query(LOST_RUNS, &[&run]).await?;
        rows.iter().map(|row| row.try_get(0).map_err(errors::unreadable)).collect()
    }

    async fn close_run(&self, run: &str, outcome: &str) -> Result<u64, StoreError> {
        self.close_lost(OF_RUN, &json_text::name(run), outcome).await
    }

    async fn totals(
        &self,
        days: RangeInclusive<u64>,
        client: Option<Tenant>,
    ) -> Result<Vec<Totals>, StoreError> {
        let connection = self.pool.get().await?;
        let client = client.as_ref().map(|client| json_text::name(client.as_str()));
        let (first, last) = (day(*days.start()), day(*days.end()));
        let rows = connection.query(TOTALS, &[&first, &last, &client]).await?;
        let mut found = rows
            .iter()
            .map(|row| read(row.try_get(0).map_err(errors::unreadable)?))
            .collect::<Result<Vec<Totals>, StoreError>>()?;
        found.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(found)
    }

    async fn close_orphans(&self, before: u64, outcome: &str) -> Result<u64, StoreError> {
        self.close_lost(BEFORE, &integer(before), outcome).await
    }
}

impl PostgresStore {
    async fn begin_ledger(&self) -> Result<PooledConnection, StoreError> {
        let connection = self.pool.get().await?;
        connection.begin(TransactionKind::Safe).await?;
        connection.query(LOCK, &[]).await?;
        Ok(connection)
    }

    /// Closes the open rows that `which` selects at their reservations, in steps.
    async fn close_lost(
        &self,
        which: &'static str,
        parameter: &(dyn ToSql + Sync),
        outcome: &str,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let connection = self.begin_ledger().await?;
            let rows = connection.query(which, &[parameter, &CLOSED_AT_ONCE]).await?;
            let lost = rows
                .iter()
                .map(|row| read(row.try_get(0).map_err(errors::unreadable)?))
                .collect::<Result<Vec<AdmittedRequest>, StoreError>>()?;
            close(&connection, &lost.iter().collect::<Vec<_>>()).await?;
            let sums: Vec<_> = lost.iter().map(|row| Totals::of(row, &row.lost(outcome))).collect();
            add(&connection, &sums).await?;
            connection.commit().await?;
            count += lost.len() as u64;
            if (lost.len() as u64) < CLOSED_AT_ONCE.unsigned_abs() {
                return Ok(count);
            }
        }
    }
}

async fn open(connection: &PooledConnection, rows: &[AdmittedRequest]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let (clients, ids): (Vec<_>, Vec<_>) = rows.iter().map(name).unzip();
    let runs: Vec<_> = rows.iter().map(|row| json_text::name(row.run())).collect();
    let at: Vec<i64> = rows.iter().map(|row| integer(row.at)).collect();
    let admitted = rows.iter().map(json_text::write).collect::<Result<Vec<_>, _>>()?;
    connection.execute(OPEN, &[&clients, &ids, &runs, &at, &admitted]).await.map(drop)
}

async fn revise(connection: &PooledConnection, rows: &[AdmittedRequest]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let (clients, ids): (Vec<_>, Vec<_>) = rows.iter().map(name).unzip();
    let admitted = rows.iter().map(json_text::write).collect::<Result<Vec<_>, _>>()?;
    connection.execute(REVISE, &[&clients, &ids, &admitted]).await.map(drop)
}

/// Closes rows, and returns the names of those that were open.
async fn close(
    connection: &PooledConnection,
    rows: &[&AdmittedRequest],
) -> Result<HashSet<(String, String)>, StoreError> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let (clients, ids): (Vec<_>, Vec<_>) = rows.iter().copied().map(name).unzip();
    let closed = connection.query(CLOSE, &[&clients, &ids]).await?;
    let names = closed.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    names.collect::<Result<_, _>>().map_err(errors::unreadable)
}

/// Adds to the sums of days.
async fn add(connection: &PooledConnection, more: &[Totals]) -> Result<(), StoreError> {
    let mut sums: BTreeMap<Vec<u8>, Totals> = BTreeMap::new();
    for sum in more {
        // A digest, because an index has no room for long names.
        let names = [sum.client.as_bytes(), b"\0", totals_id(sum).as_bytes()].concat();
        let key = Sha256::digest(names).to_vec();
        sums.entry(key).and_modify(|known| known.add(sum)).or_insert_with(|| sum.clone());
    }
    if sums.is_empty() {
        return Ok(());
    }
    let keys: Vec<&[u8]> = sums.keys().map(Vec::as_slice).collect();
    let rows = connection.query(READ, &[&keys]).await?;
    for row in rows {
        let (key, known): (Vec<u8>, &str) = (
            row.try_get(0).map_err(errors::unreadable)?,
            row.try_get(1).map_err(errors::unreadable)?,
        );
        let known: Totals = read(known)?;
        sums.entry(key).and_modify(|sum| sum.add(&known));
    }
    let (keys, sums): (Vec<_>, Vec<_>) = sums.iter().unzip();
    let days: Vec<i32> = sums.iter().map(|sum| day(sum.day)).collect();
    let totals = sums.into_iter().map(json_text::write).collect::<Result<Vec<_>, _>>()?;
    connection.execute(WRITE, &[&keys, &days, &totals]).await.map(drop)
}

fn name(row: &AdmittedRequest) -> (String, String) {
    let name = |text| json_text::name(text).into_owned();
    (name(&row.client), name(&row.id))
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::corrupt("ledger row", error.to_string()))
}

fn day(number: u64) -> i32 {
    // The calendar of the server ends after 5,874,897 years.
    i32::try_from(number).unwrap_or(i32::MAX).min(2_000_000_000)
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
