//! A buffer of usage records, flushed to the ledger ten times a second.
//!
//! ```text
//! request --- opened ---> events ---- every 100 ms ----> one batch --> Ledger
//!         \--- closed --/        rows opened and closed in one batch are only summed
//! ```
//!
//! Requests never wait for the ledger. While it is unavailable, a bounded number of batches is
//! buffered; records beyond that are counted as lost.

use super::batch::BatchBuilder;
use crate::calendar;
use gateway_core::{
    NanoDollars, Usage,
    state::{Batch, Ledger, RequestOutcome, StoreError, Tenant, Totals},
    sync,
    time::millis,
};
use metrics::counter;
use std::{
    collections::VecDeque,
    fmt, mem,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex as Lock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Mutex, time};

/// The flush interval of recorded events.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum number of buffered events.
const MAX_EVENTS: usize = 100_000;

/// Maximum number of batches buffered for an unavailable ledger.
const MAX_WAITING_BATCHES: usize = 600;

/// The interval of checks for orphaned rows.
const ORPHAN_CHECK_INTERVAL: Duration = Duration::from_mins(10);

/// The outcome of requests that a gateway has taken with it.
const LOST_OUTCOME: &str = "lost_in_crash";

/// The recorder of usage. The default records nothing.
#[derive(Clone, Default)]
pub struct UsageRecorder {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    ledger: Arc<dyn Ledger>,
    /// The prefix of the ids of this process's rows.
    run: String,
    next: AtomicU64,
    events: Lock<Vec<LedgerEvent>>,
    writer: Mutex<BatchWriter>,
}

/// The batch that is being written.
#[derive(Default)]
struct BatchWriter {
    builder: BatchBuilder,
    waiting: VecDeque<Batch>,
    batches: u64,
    failing: bool,
}

/// The record of an admitted request.
#[derive(Debug)]
pub struct UsageRecord {
    pub(super) id: u64,
    /// In milliseconds since 1970.
    pub(super) at: u64,
    pub(super) client: Arc<str>,
    pub(super) model: Arc<str>,
    /// The catalogue knows the model.
    pub(super) is_catalogued: bool,
    pub(super) provider: Arc<str>,
}

/// The result of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestResult {
    /// One value of a closed set: `ok`, `client_cancelled` ...
    pub outcome: &'static str,
    /// The tokens used.
    pub usage: Usage,
    /// The cost of the usage; `None` if no price is known.
    pub cost: Option<NanoDollars>,
    /// The usage is our estimate, not the provider's word.
    pub estimated: bool,
}

pub(super) enum LedgerEvent {
    Opened(Arc<UsageRecord>),
    Closed(Arc<UsageRecord>, RequestResult),
}

/// The labels of a usage record: client, provider, model and endpoint.
#[derive(Clone, Copy, Debug)]
pub struct RequestLabels<'a> {
    /// The client's name.
    pub client: &'a Arc<str>,
    /// The provider's name.
    pub provider: &'a Arc<str>,
    /// The model's name.
    pub model: &'a Arc<str>,
    /// Whether the catalogue knows the model.
    pub is_catalogued: bool,
}

impl UsageRecorder {
    /// Creates a recorder that writes to `ledger`.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        let run = format!("{:x}{:x}", calendar::now().as_nanos(), std::process::id());
        let inner = Inner {
            ledger,
            run,
            next: AtomicU64::new(0),
            events: Lock::default(),
            writer: Mutex::default(),
        };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Records an admitted request; it must be closed.
    pub fn open(&self, who: RequestLabels<'_>) -> Option<Arc<UsageRecord>> {
        let inner = self.inner.as_ref()?;
        let row = Arc::new(UsageRecord {
            id: inner.next.fetch_add(1, Ordering::Relaxed),
            at: millis(calendar::now()),
            client: Arc::clone(who.client),
            model: Arc::clone(who.model),
            is_catalogued: who.is_catalogued,
            provider: Arc::clone(who.provider),
        });
        inner.record(LedgerEvent::Opened(Arc::clone(&row)));
        Some(row)
    }

    /// Notes how a request ended.
    pub fn close(&self, row: Arc<UsageRecord>, ended: RequestResult) {
        if let Some(inner) = &self.inner {
            inner.record(LedgerEvent::Closed(row, ended));
        }
    }

    /// Writes recorded events to the ledger until it is dropped. Rows left open by crashed replicas
    /// are closed once they are older than `grace`; without `grace`, all of them at the start,
    /// because the ledger belongs to this process alone.
    pub async fn run(self, grace: Option<Duration>) {
        let Some(inner) = &self.inner else { return };
        inner.close_orphans(grace.unwrap_or_default()).await;
        let (mut ticks, mut looks) =
            (time::interval(FLUSH_INTERVAL), time::interval(ORPHAN_CHECK_INTERVAL));
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        looks.reset();
        loop {
            tokio::select! {
                _ = ticks.tick() => inner.flush().await,
                _ = looks.tick() => if let Some(grace) = grace {
                    inner.close_orphans(grace).await;
                },
            }
        }
    }

    /// Writes the recorded events now.
    pub async fn flush(&self) {
        if let Some(inner) = &self.inner {
            inner.flush().await;
        }
    }

    /// Returns the sums of usage, of all clients or of one.
    pub async fn totals(
        &self,
        days: RangeInclusive<u64>,
        client: Option<&str>,
    ) -> Result<Vec<Totals>, StoreError> {
        let Some(inner) = &self.inner else { return Ok(Vec::new()) };
        inner.flush().await;
        inner.ledger.totals(days, client.and_then(Tenant::new)).await
    }
}

impl Inner {
    fn record(&self, event: LedgerEvent) {
        let mut events = sync::lock(&self.events);
        if events.len() < MAX_EVENTS {
            events.push(event);
        } else {
            drop(events);
            lost(1);
        }
    }

    async fn flush(&self) {
        let mut writer = self.writer.lock().await;
        let events = mem::take(&mut *sync::lock(&self.events));
        if !events.is_empty() {
            let id = format!("{}-{}", self.run, writer.batches);
            writer.batches += 1;
            let batch = writer.builder.build_batch(&self.run, id, events);
            writer.waiting.push_back(batch);
        }
        writer.write(&*self.ledger).await;
    }

    async fn close_orphans(&self, grace: Duration) {
        let before = calendar::now().saturating_sub(grace).as_millis();
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        match self.ledger.close_orphans(before, LOST_OUTCOME).await {
            Ok(0) => {}
            Ok(count) => {
                tracing::warn!(count, "closed orphaned usage records of a crashed replica");
            }
            Err(error) => tracing::warn!(%error, "failed to look for orphaned usage records"),
        }
    }
}

impl BatchWriter {
    /// Writes the batches that wait, in order.
    async fn write(&mut self, ledger: &dyn Ledger) {
        while let Some(batch) = self.waiting.front() {
            let count = rows(batch);
            match ledger.record(batch).await {
                Ok(()) => self.failing = false,
                Err(error) if error.is_outage() && self.waiting.len() <= MAX_WAITING_BATCHES => {
                    self.warn_once(&error);
                    return;
                }
                Err(error) => {
                    self.warn_once(&error);
                    lost(count);
                }
            }
            self.waiting.pop_front();
        }
    }

    fn warn_once(&mut self, error: &StoreError) {
        if !mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "usage ledger unavailable; buffering usage records");
        }
    }
}

fn rows(batch: &Batch) -> u64 {
    let summed: u64 = batch.sums.iter().map(|sum| sum.requests).sum();
    summed + (batch.opened.len() + batch.closed.len()) as u64
}

fn lost(rows: u64) {
    counter!("llm_gateway_usage_records_lost_total").increment(rows);
}

impl UsageRecord {
    pub(super) fn admitted(&self, run: &str, model: &str) -> gateway_core::state::AdmittedRequest {
        gateway_core::state::AdmittedRequest {
            id: format!("{run}-{}", self.id),
            at: self.at,
            client: self.client.to_string(),
            model: model.to_owned(),
            provider: self.provider.to_string(),
        }
    }
}

impl RequestResult {
    pub(super) fn closed(&self) -> RequestOutcome {
        RequestOutcome {
            outcome: self.outcome.to_owned(),
            usage: self.usage,
            cost: self.cost,
            estimated: self.estimated,
        }
    }
}

impl fmt::Debug for UsageRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").field("kept", &self.inner.is_some()).finish()
    }
}
