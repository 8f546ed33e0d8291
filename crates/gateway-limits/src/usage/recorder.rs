//! A buffer of usage records, flushed to the ledger batch by batch.
//!
//! Requests never wait for the ledger. Each event is a line of the journal before it has any
//! effect, so that a killed process loses none. While the ledger is unavailable, a bounded number
//! of batches is buffered; records beyond that are counted as lost.

use super::{
    LOST_OUTCOME,
    batch::BatchBuilder,
    journal_line,
    lost_runs::{self, LostRuns},
    record::{LedgerEvent, RequestLabels, RequestResult, UsageRecord},
    recovery,
};
use gateway_core::{
    state::{Batch, Ledger, ReservedUsage, StoreError, Tenant, Totals, UsageJournal},
    sync,
    time::millis,
};
use gateway_tasks::{run_name, unix_time};
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
use tokio::{sync::Mutex, task, time};
use tokio_util::sync::CancellationToken;

/// The flush interval of recorded events to a ledger that replicas share.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// The flush intervals between two batches for a ledger of this process alone: each batch is an
/// fsync, and the journal has the events meanwhile.
const OWN_LEDGER_INTERVALS: u32 = 10;

/// The number of events from which on a batch is written without waiting for more.
const LARGE_BATCH: usize = 2_000;

/// Maximum number of buffered events.
const MAX_EVENTS: usize = 100_000;

/// Maximum number of batches buffered for an unavailable ledger.
const MAX_WAITING_BATCHES: usize = 600;

/// The interval of checks for rows that are older than any request.
const ORPHAN_CHECK_INTERVAL: Duration = Duration::from_mins(10);

/// The time between attempts to record abandoned journals in an unavailable ledger.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(1);

/// Whether other replicas use the ledger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LedgerSharing {
    /// It belongs to this process: every other run has ended.
    Own,
    /// Replicas share it. A row that is older than `longest_request` is open by mistake.
    Shared {
        /// The longest time that a request may take.
        longest_request: Duration,
    },
}

/// The recorder of usage. The default records nothing.
#[derive(Clone, Default)]
pub struct UsageRecorder {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    ledger: Arc<dyn Ledger>,
    journal: Option<Arc<dyn UsageJournal>>,
    /// The prefix of the ids of this process's rows.
    run: String,
    next: AtomicU64,
    events: Lock<PendingEvents>,
    writer: Mutex<BatchWriter>,
    recovered: CancellationToken,
}

/// The events of the next batch.
#[derive(Default)]
struct PendingEvents {
    events: Vec<LedgerEvent>,
    /// The line that is written to the journal.
    line: Vec<u8>,
}

/// The batch that is being written.
struct BatchWriter {
    builder: BatchBuilder,
    waiting: VecDeque<Batch>,
    failing: bool,
}

impl UsageRecorder {
    /// Creates a recorder that writes to `ledger`, through `journal` if there is one.
    pub fn new(ledger: Arc<dyn Ledger>, journal: Option<Arc<dyn UsageJournal>>) -> Self {
        let run = journal.as_ref().map_or_else(run_name, |journal| journal.run().to_owned());
        let builder = BatchBuilder::new(&run);
        let writer = BatchWriter { builder, waiting: VecDeque::new(), failing: false };
        let inner = Inner {
            ledger,
            journal,
            run,
            next: AtomicU64::new(0),
            events: Lock::default(),
            writer: Mutex::new(writer),
            recovered: CancellationToken::new(),
        };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Records an admitted request, which may owe `reserved`; it must be closed.
    ///
    /// Called before an upstream is asked: if the process is killed from now on, the request is
    /// booked at its reservation.
    pub fn open(
        &self,
        who: RequestLabels<'_>,
        reserved: ReservedUsage,
    ) -> Option<Arc<UsageRecord>> {
        let inner = self.inner.as_ref()?;
        let row = Arc::new(UsageRecord {
            id: inner.next.fetch_add(1, Ordering::Relaxed),
            at: millis(unix_time()),
            client: Arc::clone(who.client),
            model: Arc::clone(who.model),
            is_catalogued: who.is_catalogued,
            provider: Arc::clone(who.provider),
            attribution: who.attribution.map(Arc::clone),
        });
        inner.record(LedgerEvent::Opened(Arc::clone(&row), reserved));
        Some(row)
    }

    /// Records that a request may owe `reserved` by now: another upstream call is about to be made.
    pub fn revise(&self, row: &Arc<UsageRecord>, reserved: ReservedUsage) {
        if let Some(inner) = &self.inner {
            inner.record(LedgerEvent::Revised(Arc::clone(row), reserved));
        }
    }

    /// Records the result of a request.
    pub fn close(&self, row: Arc<UsageRecord>, ended: RequestResult) {
        if let Some(inner) = &self.inner {
            inner.record(LedgerEvent::Closed(row, ended));
        }
    }

    /// Records the usage of processes that have crashed, then writes recorded events to the ledger
    /// until it is dropped. Of a shared ledger, the requests of crashed replicas are closed.
    pub async fn run(self, sharing: LedgerSharing) {
        let Some(inner) = &self.inner else { return };
        let recovering = async {
            inner.recover(sharing).await;
            inner.recovered.cancel();
        };
        tokio::join!(recovering, inner.write(sharing));
    }

    /// Waits until the usage of crashed processes is recorded.
    pub async fn recovered(&self) {
        if let Some(inner) = &self.inner {
            inner.recovered.cancelled().await;
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
        let mut buffer = sync::lock(&self.events);
        let PendingEvents { events, line } = &mut *buffer;
        if events.len() >= MAX_EVENTS {
            drop(buffer);
            return lost(1);
        }
        if let Some(journal) = &self.journal {
            line.clear();
            journal_line::write_event(&event, line);
            // A journal that fails reports it itself; the event is in memory.
            drop(journal.append(line));
        }
        events.push(event);
    }

    /// Writes recorded events to the ledger until it is dropped.
    async fn write(&self, sharing: LedgerSharing) {
        let mut ticks = time::interval(FLUSH_INTERVAL);
        let mut renewals = time::interval(lost_runs::RENEWAL);
        let mut looks = time::interval(ORPHAN_CHECK_INTERVAL);
        for timer in [&mut ticks, &mut renewals, &mut looks] {
            timer.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        }
        let (mut lost_runs, mut since_batch) = (LostRuns::default(), 0);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    since_batch += 1;
                    if self.is_due(sharing, since_batch) {
                        since_batch = 0;
                        self.flush().await;
                    }
                }
                _ = renewals.tick(), if sharing != LedgerSharing::Own => {
                    // An outage shows in the health of the store.
                    drop(lost_runs.renew(&*self.ledger, &self.run).await);
                }
                _ = looks.tick() => if let LedgerSharing::Shared { longest_request } = sharing {
                    self.close_orphans(longest_request).await;
                }
            }
        }
    }

    /// Whether a batch is to be written, so many intervals after the last one.
    fn is_due(&self, sharing: LedgerSharing, intervals: u32) -> bool {
        let is_own = sharing == LedgerSharing::Own && self.journal.is_some();
        !is_own
            || intervals >= OWN_LEDGER_INTERVALS
            || sync::lock(&self.events).events.len() >= LARGE_BATCH
    }

    async fn flush(&self) {
        let mut writer = self.writer.lock().await;
        let events = self.take_events(writer.builder.next_number());
        if !events.is_empty() {
            let batch = writer.builder.build_batch(events);
            writer.waiting.push_back(batch);
        }
        let Some(recorded) = writer.write(&*self.ledger).await else { return };
        drop(writer);
        if let Some(journal) = self.journal.clone() {
            let releasing = task::spawn_blocking(move || journal.release(recorded));
            // It reports its failure itself.
            drop(releasing.await);
        }
    }

    /// Takes the events of the batch `number`; in the journal, it ends at the same event.
    fn take_events(&self, number: u64) -> Vec<LedgerEvent> {
        let mut buffer = sync::lock(&self.events);
        let PendingEvents { events, line } = &mut *buffer;
        if events.is_empty() {
            return Vec::new();
        }
        if let Some(journal) = &self.journal {
            line.clear();
            journal_line::write_batch_end(number, line);
            drop(journal.end_batch(number, line));
        }
        mem::take(events)
    }

    /// Records the journals of processes that have ended, however long the ledger is unavailable.
    async fn recover(&self, sharing: LedgerSharing) {
        if let Some(journal) = self.journal.clone() {
            let own = Arc::clone(&journal);
            let abandoned = task::spawn_blocking(move || own.abandoned()).await.unwrap_or_default();
            for found in abandoned {
                while let Err(error) = recovery::recover(&*self.ledger, &found).await {
                    tracing::warn!(%error, "the usage of a crashed process is not recorded yet");
                    time::sleep(RECOVERY_INTERVAL).await;
                }
                let own = Arc::clone(&journal);
                drop(task::spawn_blocking(move || own.remove(&found.run)).await);
            }
        }
        if sharing == LedgerSharing::Own {
            self.close_other_runs().await;
        }
    }

    /// Closes what processes without a journal have left open, of a ledger that is not shared.
    async fn close_other_runs(&self) {
        let closing = async {
            for run in self.ledger.renew_run(&self.run, Duration::ZERO).await? {
                self.ledger.close_run(&run, LOST_OUTCOME).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = closing.await {
            tracing::warn!(%error, "failed to close usage records of crashed processes");
        }
    }

    async fn close_orphans(&self, grace: Duration) {
        let before = unix_time().saturating_sub(grace).as_millis();
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        match self.ledger.close_orphans(before, LOST_OUTCOME).await {
            Ok(0) => {}
            Ok(count) => {
                tracing::warn!(count, "closed usage records that are older than any request");
            }
            Err(error) => tracing::warn!(%error, "failed to look for orphaned usage records"),
        }
    }
}

impl BatchWriter {
    /// Writes the batches that wait, in order; returns the number of the last one that need not be
    /// written again.
    async fn write(&mut self, ledger: &dyn Ledger) -> Option<u64> {
        let mut done = None;
        while let Some(batch) = self.waiting.front() {
            let (number, count) = (batch.number, rows(batch));
            match ledger.record(batch).await {
                Ok(()) => self.failing = false,
                Err(error) if error.is_outage() && self.waiting.len() <= MAX_WAITING_BATCHES => {
                    self.warn_once(&error);
                    return done;
                }
                Err(error) => {
                    self.warn_once(&error);
                    lost(count);
                }
            }
            done = Some(number);
            self.waiting.pop_front();
        }
        done
    }

    fn warn_once(&mut self, error: &StoreError) {
        if !mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "usage ledger unavailable; buffering usage records");
        }
    }
}

fn rows(batch: &Batch) -> u64 {
    let summed: u64 = batch.sums.iter().map(|sum| sum.requests).sum();
    summed + (batch.opened.len() + batch.revised.len() + batch.closed.len()) as u64
}

fn lost(rows: u64) {
    counter!("llm_gateway_usage_records_lost_total").increment(rows);
}

impl fmt::Debug for UsageRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageRecorder").field("is_on", &self.inner.is_some()).finish()
    }
}
