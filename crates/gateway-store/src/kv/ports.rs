//! The state ports, over an engine.

use super::{
    Durable, KvEngine, ReadView, WriteTxn, client_keys, expiry, idempotency, ledger, reasoning,
    request_log, response, tenant_usage,
};
use crate::{clock::StoreClock, limits::StoreLimits, local::SessionClaims, request_log::Segment};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::state::{
    AdmittedRequest, Batch, BeginResult, ClientKey, ClientKeys, Fingerprint, IdempotencyStore, Key,
    Ledger, ReasoningStore, Replay, RequestLogBatch, RequestLogPage, RequestLogQuery,
    RequestLogStore, ResponseEvents, ResponseStore, StoreError, StoredReasoning, StoredResponse,
    Tenant, Totals, WriteOutcome,
};
use std::{ops::RangeInclusive, sync::Arc, time::Duration};

/// Sessions, answers, asides, replays and the ledger, in one map.
pub(crate) struct KvStore<E> {
    engine: E,
    clock: StoreClock,
    limits: StoreLimits,
    claims: SessionClaims,
}

impl<E: KvEngine> KvStore<E> {
    /// The state kept in `engine`.
    pub(crate) fn new(engine: E, clock: StoreClock, limits: StoreLimits) -> Self {
        Self { engine, clock, limits, claims: SessionClaims::default() }
    }

    /// The turns that hold a session.
    pub(super) fn claims(&self) -> &SessionClaims {
        &self.claims
    }

    /// The clock of the store.
    pub(super) fn clock(&self) -> &StoreClock {
        &self.clock
    }

    /// Returns the underlying engine.
    pub(crate) fn engine(&self) -> &E {
        &self.engine
    }

    /// Forgets some of what has ended; says whether there may be more.
    pub(crate) async fn sweep(&self) -> Result<bool, StoreError> {
        let log = self.limits.request_log;
        let due = move |view: &dyn ReadView, now| {
            Ok(expiry::is_due(view, now)? || request_log::is_due(view, now, log)?)
        };
        if !self.engine.read(due).await? {
            return Ok(false);
        }
        let swept = self.write(Durable::Visible, |txn, limits| {
            request_log::trim(txn, limits.request_log)?;
            expiry::sweep(txn, E::SWEEP)
        });
        Ok(swept.await? >= E::SWEEP)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&dyn ReadView, u64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.engine.read(operation).await
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        wait: Durable,
        operation: impl FnOnce(&mut WriteTxn<'_>, &StoreLimits) -> Result<T, StoreError>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let limits = self.limits;
        let counted = move |txn: &mut WriteTxn<'_>| {
            let done = operation(txn, &limits)?;
            tenant_usage::account(txn, &limits.tenant)?;
            Ok(done)
        };
        self.engine.write(wait, counted).await
    }

    /// Closes the ledger's open rows that `is_lost` selects, in steps.
    async fn close_lost(
        &self,
        outcome: &str,
        is_lost: impl Fn(&AdmittedRequest) -> bool + Clone + Send + 'static,
    ) -> Result<u64, StoreError> {
        let mut closed = 0;
        loop {
            let (outcome, is_lost) = (outcome.to_owned(), is_lost.clone());
            let step = self.write(Durable::Safe, move |txn, limits| {
                ledger::close_lost(txn, limits, &outcome, is_lost)
            });
            let step = step.await?;
            closed += step;
            if step < ledger::ORPHANS as u64 {
                return Ok(closed);
            }
        }
    }
}

#[async_trait]
impl<E: KvEngine> ResponseStore for KvStore<E> {
    async fn put(
        &self,
        key: &Key,
        response: &StoredResponse,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let (key, response) = (key.clone(), response.clone());
        self.write(Durable::Safe, move |txn, limits| {
            response::put(txn, limits, &key, &response, ttl)
        })
        .await
    }

    async fn get(&self, key: &Key) -> Result<Option<StoredResponse>, StoreError> {
        let key = key.clone();
        self.read(move |view, now| response::get(view, now, &key)).await
    }

    async fn renew(&self, key: &Key, lease: Duration) -> Result<bool, StoreError> {
        let key = key.clone();
        // After a crash of this process there is no writer whose lease could count.
        self.write(Durable::Visible, move |txn, _| response::renew(txn, &key, lease)).await
    }

    async fn end_abandoned(
        &self,
        key: &Key,
        response: &StoredResponse,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let (key, response) = (key.clone(), response.clone());
        self.write(Durable::Safe, move |txn, limits| {
            response::end_abandoned(txn, limits, &key, &response, ttl)
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(Durable::Safe, move |txn, _| response::delete(txn, &key)).await
    }

    async fn append(
        &self,
        key: &Key,
        from: u64,
        events: &[Bytes],
    ) -> Result<WriteOutcome, StoreError> {
        let (key, events) = (key.clone(), events.to_vec());
        // The whole answer follows, and is waited for.
        self.write(Durable::Visible, move |txn, limits| {
            response::append(txn, limits, &key, from, &events)
        })
        .await
    }

    async fn events(
        &self,
        key: &Key,
        from: u64,
        limit: u64,
    ) -> Result<Option<ResponseEvents>, StoreError> {
        let key = key.clone();
        self.read(move |view, now| response::events(view, now, &key, from, limit)).await
    }
}

#[async_trait]
impl<E: KvEngine> ReasoningStore for KvStore<E> {
    async fn put(
        &self,
        key: &Key,
        aside: &StoredReasoning,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let (key, aside) = (key.clone(), aside.clone());
        self.write(Durable::Visible, move |txn, limits| {
            reasoning::put(txn, limits, &key, aside, ttl)
        })
        .await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<StoredReasoning>>, StoreError> {
        let keys = keys.to_vec();
        self.read(move |view, now| keys.iter().map(|key| reasoning::get(view, now, key)).collect())
            .await
    }
}

#[async_trait]
impl<E: KvEngine> IdempotencyStore for KvStore<E> {
    async fn begin(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        token: &str,
        lease: Duration,
    ) -> Result<BeginResult, StoreError> {
        let (key, fingerprint, token) = (key.clone(), *fingerprint, token.to_owned());
        // A record of a shared map outlives the process that made it.
        let process = if E::IS_SHARED { 0 } else { self.clock.started() };
        // A crash that forgets an attempt has ended it too, unless what it did is out of reach.
        let wait = if lease <= idempotency::RENEWED { Durable::Visible } else { Durable::Safe };
        self.write(wait, move |txn, _| {
            idempotency::begin(txn, &key, &fingerprint, (&token, process), lease)
        })
        .await
    }

    async fn finish(
        &self,
        key: &Key,
        token: &str,
        replay: &Replay,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let (key, token, replay) = (key.clone(), token.to_owned(), replay.clone());
        self.write(Durable::Safe, move |txn, limits| {
            idempotency::finish(txn, limits, &key, &token, (&replay, ttl))
        })
        .await
    }

    async fn abandon(&self, key: &Key, token: &str) -> Result<(), StoreError> {
        let (key, token) = (key.clone(), token.to_owned());
        self.write(Durable::Visible, move |txn, _| idempotency::abandon(txn, &key, &token)).await
    }
}

#[async_trait]
impl<E: KvEngine> Ledger for KvStore<E> {
    async fn record(&self, batch: &Batch) -> Result<(), StoreError> {
        // Most of what is repeated after a crash was recorded: reading is cheaper than an fsync.
        let batch = Arc::new(batch.clone());
        let asked = Arc::clone(&batch);
        if self.read(move |view, _| ledger::is_recorded(view, &asked)).await? {
            return Ok(());
        }
        self.write(Durable::Safe, move |txn, limits| ledger::record(txn, limits, &batch)).await
    }

    async fn renew_run(&self, run: &str, _: Duration) -> Result<Vec<String>, StoreError> {
        // The map belongs to this process: every other run has ended.
        let run = run.to_owned();
        self.read(move |view, _| ledger::other_runs(view, &run)).await
    }

    async fn close_run(&self, run: &str, outcome: &str) -> Result<u64, StoreError> {
        let run = run.to_owned();
        self.close_lost(outcome, move |row| row.run() == run).await
    }

    async fn totals(
        &self,
        days: RangeInclusive<u64>,
        client: Option<Tenant>,
    ) -> Result<Vec<Totals>, StoreError> {
        self.read(move |view, _| ledger::totals(view, &days, client.as_ref())).await
    }

    async fn close_orphans(&self, before: u64, outcome: &str) -> Result<u64, StoreError> {
        self.close_lost(outcome, move |row| row.at < before).await
    }
}

#[async_trait]
impl<E: KvEngine> ClientKeys for KvStore<E> {
    async fn put(&self, key: &ClientKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(Durable::Safe, move |txn, _| client_keys::put(txn, &key)).await
    }

    async fn replace(
        &self,
        old: &ClientKey,
        new: &ClientKey,
        added: &[ClientKey],
    ) -> Result<bool, StoreError> {
        let (old, new, added) = (old.clone(), new.clone(), added.to_vec());
        self.write(Durable::Safe, move |txn, _| client_keys::replace(txn, &old, &new, &added)).await
    }

    async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(Durable::Safe, move |txn, _| client_keys::remove(txn, &id)).await
    }

    async fn all(&self) -> Result<Vec<ClientKey>, StoreError> {
        self.read(|view, _| client_keys::all(view)).await
    }

    async fn version(&self) -> Result<u64, StoreError> {
        self.read(|view, _| client_keys::version(view)).await
    }
}

#[async_trait]
impl<E: KvEngine> RequestLogStore for KvStore<E> {
    async fn append(&self, batch: &RequestLogBatch) -> Result<(), StoreError> {
        let segment = Segment::encode(batch);
        // A crash may lose the last second, which no promise to a caller rests on.
        self.write(Durable::Visible, move |txn, limits| {
            request_log::append(txn, limits.request_log, segment)
        })
        .await
    }

    async fn search(&self, query: &RequestLogQuery) -> Result<RequestLogPage, StoreError> {
        let (query, limits) = (query.clone(), self.limits.request_log);
        self.read(move |view, now| request_log::search(view, now, limits, &query)).await
    }
}
