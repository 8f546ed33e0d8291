//! The recorder of requests that have ended.

use super::batches::{PendingBatches, RecordedRows, RowResult};
use gateway_core::{
    state::{
        LoggedRequest, RequestLogEntry, RequestLogPage, RequestLogQuery, RequestLogStore,
        StoreError,
    },
    sync,
};
use gateway_tasks::unix_time;
use metrics::{Counter, counter};
use std::{
    fmt,
    sync::{Arc, Mutex as Lock},
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify},
    time,
};
use uuid::Uuid;

/// The time between two batches.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum number of requests without a key that are recorded in a second.
const UNIDENTIFIED: u32 = 10;

/// Maximum time that a search waits for the requests of this process to be written.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// Records requests in the log, without making them wait for the store. Clones share their rows.
#[derive(Clone)]
pub struct RequestRecorder(Arc<Inner>);

struct Inner {
    store: Arc<dyn RequestLogStore>,
    /// Held for the time of writing a row: a microsecond.
    recorded: Lock<RecordedRows>,
    /// Notified when a batch is complete.
    batch_completed: Notify,
    /// Held while batches are written: by the task that does so, or by a search.
    pending: Mutex<PendingBatches>,
    dropped: Counter,
    unidentified: Lock<SecondQuota>,
}

/// The remainder of a number for each second.
#[derive(Debug, Default)]
struct SecondQuota {
    second: u64,
    used: u32,
}

impl RequestRecorder {
    /// Creates a recorder that writes to `store`, once [`run`](Self::run) is polled.
    pub fn new(store: Arc<dyn RequestLogStore>) -> Self {
        Self(Arc::new(Inner {
            store,
            recorded: Lock::default(),
            batch_completed: Notify::new(),
            pending: Mutex::new(PendingBatches::new(writer_number())),
            dropped: counter!("llm_gateway_request_log_dropped_total"),
            unidentified: Lock::default(),
        }))
    }

    /// Records a request that has ended. If too many wait for the store, the request is not
    /// recorded, and counted.
    pub fn record(&self, entry: &RequestLogEntry<'_>) {
        let result = sync::lock(&self.0.recorded).push(entry);
        match result {
            RowResult::Kept => {}
            RowResult::BatchCompleted => self.0.batch_completed.notify_one(),
            RowResult::Dropped => self.0.dropped.increment(1),
        }
    }

    /// Records a refused request without a key: a few each second, so that strangers do not push the
    /// requests of clients out of the log. The others are counted.
    pub fn record_unidentified(&self, entry: &RequestLogEntry<'_>) {
        let is_admitted = sync::lock(&self.0.unidentified).admits(unix_time().as_secs());
        if is_admitted {
            self.record(entry);
        } else {
            self.0.dropped.increment(1);
        }
    }

    /// Writes recorded requests to the store until it is dropped.
    pub async fn run(self) {
        let mut ticks = time::interval(FLUSH_INTERVAL);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.0.batch_completed.notified() => {}
                _ = ticks.tick() => {}
            }
            self.write().await;
        }
    }

    /// Writes the requests that were recorded so far, within a deadline.
    pub async fn flush(&self) {
        // What takes longer is found by the next search.
        let _ = time::timeout(FLUSH_WAIT, self.write()).await;
    }

    async fn write(&self) {
        let mut pending = self.0.pending.lock().await;
        pending.add(sync::lock(&self.0.recorded).take());
        pending.write(&*self.0.store, &self.0.dropped).await;
    }

    /// Returns a page of the log; requests of this process are in it from their end on.
    ///
    /// # Errors
    ///
    /// If the store is unavailable.
    pub async fn search(&self, query: &RequestLogQuery) -> Result<RequestLogPage, StoreError> {
        if query.before.is_none() {
            self.flush().await;
        }
        self.0.store.search(query).await
    }

    /// Returns the newest request with the id `id`, of one tenant or of all.
    ///
    /// # Errors
    ///
    /// If the store is unavailable.
    pub async fn find(
        &self,
        id: &str,
        tenant: Option<&str>,
    ) -> Result<Option<LoggedRequest>, StoreError> {
        let (id, tenant) = (Some(id.to_owned()), tenant.map(str::to_owned));
        let mut query = RequestLogQuery { id, tenant, limit: 1, ..RequestLogQuery::default() };
        loop {
            let page = self.search(&query).await?;
            if let Some((_, found)) = page.requests.into_iter().next() {
                return Ok(Some(found));
            }
            query.before = page.next;
            if query.before.is_none() {
                return Ok(None);
            }
        }
    }
}

impl SecondQuota {
    fn admits(&mut self, second: u64) -> bool {
        if self.second != second {
            *self = Self { second, used: 0 };
        }
        self.used += 1;
        self.used <= UNIDENTIFIED
    }
}

/// A number that distinguishes the processes that write to one store.
fn writer_number() -> u32 {
    u32::try_from(Uuid::new_v4().as_u128() >> 96).unwrap_or_default()
}

impl fmt::Debug for RequestRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecorder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::batches::{BATCH, WAITING},
        *,
    };
    use gateway_core::state::{MockRequestLogStore, RequestLogBatch};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::task::JoinSet;

    fn record(recorder: &RequestRecorder, id: usize) {
        let id = id.to_string();
        recorder.record(&RequestLogEntry { id: &id, ..RequestLogEntry::default() });
    }

    fn ids(batch: &RequestLogBatch) -> Vec<String> {
        let lines = batch.rows.lines().split(|byte| *byte == b'\n').filter(|it| !it.is_empty());
        let requests = lines.map(|line| serde_json::from_slice::<LoggedRequest>(line).unwrap());
        requests.map(|request| request.id).collect()
    }

    #[tokio::test]
    async fn requests_beyond_the_bound_are_dropped() {
        let written = Arc::new(AtomicUsize::new(0));
        let mut store = MockRequestLogStore::new();
        let count = Arc::clone(&written);
        store.expect_append().returning(move |batch| {
            assert!(batch.rows.len() <= BATCH);
            count.fetch_add(batch.rows.len(), Ordering::Relaxed);
            Ok(())
        });
        let recorder = RequestRecorder::new(Arc::new(store));
        let bound = BATCH * WAITING;
        (0..bound + 10).for_each(|id| record(&recorder, id));
        recorder.flush().await;
        assert_eq!(written.load(Ordering::Relaxed), bound);
        record(&recorder, 0);
        recorder.flush().await;
        assert_eq!(written.load(Ordering::Relaxed), bound + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn complete_batch_is_written_at_once() {
        let mut store = MockRequestLogStore::new();
        let (sender, mut written) = tokio::sync::mpsc::unbounded_channel();
        store.expect_append().returning(move |batch| {
            sender.send(ids(batch)).unwrap();
            Ok(())
        });
        let recorder = RequestRecorder::new(Arc::new(store));
        let mut running = JoinSet::new();
        running.spawn(recorder.clone().run());
        time::sleep(FLUSH_INTERVAL / 2).await;
        let began = time::Instant::now();
        (0..BATCH).for_each(|id| record(&recorder, id));
        let expected: Vec<_> = (0..BATCH).map(|id| id.to_string()).collect();
        assert_eq!(written.recv().await.unwrap(), expected);
        assert_eq!(began.elapsed(), Duration::ZERO);
        record(&recorder, 7);
        assert_eq!(written.recv().await.unwrap(), ["7"]);
    }

    #[test]
    fn requests_without_a_key_are_bounded_in_each_second() {
        let mut quota = SecondQuota::default();
        assert!((0..UNIDENTIFIED).all(|_| quota.admits(5)));
        assert!(!quota.admits(5));
        assert!(quota.admits(6));
    }

    #[tokio::test(start_paused = true)]
    async fn batches_survive_an_outage_in_order() {
        let mut store = MockRequestLogStore::new();
        let written: Arc<std::sync::Mutex<Vec<(u64, String)>>> = Arc::default();
        let (seen, mut failures) = (Arc::clone(&written), 3);
        store.expect_append().returning(move |batch| {
            if failures > 0 {
                failures -= 1;
                return Err(StoreError::Busy);
            }
            seen.lock().unwrap().push((batch.at, ids(batch).join(" ")));
            Ok(())
        });
        let recorder = RequestRecorder::new(Arc::new(store));
        let mut running = JoinSet::new();
        running.spawn(recorder.clone().run());
        for id in 0..3 {
            record(&recorder, id);
            time::sleep(2 * FLUSH_INTERVAL).await;
        }
        time::sleep(5 * FLUSH_INTERVAL).await;
        let written = written.lock().unwrap().clone();
        let ids: Vec<_> = written.iter().map(|(_, ids)| ids.as_str()).collect();
        assert_eq!(ids, ["0", "1", "2"]);
        assert!(written.is_sorted_by(|a, b| a.0 < b.0), "{written:?}");
    }
}
