//! The recorder of requests that have ended.

use super::batches::PendingBatches;
use gateway_core::{
    state::{LoggedRequest, RequestLogPage, RequestLogQuery, RequestLogStore, StoreError},
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
    sync::{Mutex, mpsc, oneshot},
    time,
};
use uuid::Uuid;

/// The time between two batches.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum number of requests that wait to be written.
const QUEUE: usize = 8_192;

/// Maximum number of requests without a key that are recorded in a second.
const UNIDENTIFIED: u32 = 10;

/// Maximum time that a search waits for the requests of this process to be written.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// Makes the log entry of a request, on the task that writes the log.
type MakeEntry = Box<dyn FnOnce() -> LoggedRequest + Send>;

/// Records requests in the log, without making them wait. Clones share one queue.
#[derive(Clone)]
pub struct RequestRecorder(Arc<Inner>);

struct Inner {
    store: Arc<dyn RequestLogStore>,
    sender: mpsc::Sender<Command>,
    /// Held by the task that writes, so that one that panicked is followed by another.
    writer: Mutex<Writer>,
    dropped: Counter,
    unidentified: Lock<SecondQuota>,
}

/// The remainder of a number for each second.
#[derive(Debug, Default)]
struct SecondQuota {
    second: u64,
    used: u32,
}

struct Writer {
    commands: mpsc::Receiver<Command>,
    batches: PendingBatches,
}

enum Command {
    Record(MakeEntry),
    Flush(oneshot::Sender<()>),
}

impl RequestRecorder {
    /// Creates a recorder that writes to `store`, once [`run`](Self::run) is polled.
    pub fn new(store: Arc<dyn RequestLogStore>) -> Self {
        let (sender, commands) = mpsc::channel(QUEUE);
        let batches = PendingBatches::new(writer_number());
        let dropped = counter!("llm_gateway_request_log_dropped_total");
        let writer = Mutex::new(Writer { commands, batches });
        Self(Arc::new(Inner { store, sender, writer, dropped, unidentified: Lock::default() }))
    }

    /// Records a request that has ended; `make` makes its entry, on another task. If the queue is full,
    /// the request is not recorded, and counted.
    pub fn record(&self, make: impl FnOnce() -> LoggedRequest + Send + 'static) {
        if self.0.sender.try_send(Command::Record(Box::new(make))).is_err() {
            self.0.dropped.increment(1);
        }
    }

    /// Records a refused request without a key: a few each second, so that strangers do not push the
    /// requests of clients out of the log. The others are counted.
    pub fn record_unidentified(&self, make: impl FnOnce() -> LoggedRequest + Send + 'static) {
        if sync::lock(&self.0.unidentified).admits(unix_time().as_secs()) {
            self.record(make);
        } else {
            self.0.dropped.increment(1);
        }
    }

    /// Writes recorded requests to the store until it is dropped.
    pub async fn run(self) {
        let mut writer = self.0.writer.lock().await;
        let Writer { commands, batches } = &mut *writer;
        let mut ticks = time::interval(FLUSH_INTERVAL);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            let flushed = tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Record(make)) => {
                        if !batches.push(make()) {
                            continue;
                        }
                        None
                    }
                    Some(Command::Flush(flushed)) => Some(flushed),
                    None => return,
                },
                _ = ticks.tick() => None,
            };
            let lost = batches.flush(&*self.0.store).await;
            self.0.dropped.increment(lost);
            if let Some(flushed) = flushed {
                // A search that has ended meanwhile needs no answer.
                let _ = flushed.send(());
            }
        }
    }

    /// Writes the requests that were recorded so far, within a deadline.
    pub async fn flush(&self) {
        let (flushed, done) = oneshot::channel();
        let flush = async {
            if self.0.sender.send(Command::Flush(flushed)).await.is_ok() {
                // A writer that has stopped has nothing to write.
                let _ = done.await;
            }
        };
        // What takes longer is found by the next search.
        let _ = time::timeout(FLUSH_WAIT, flush).await;
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
    use super::*;
    use gateway_core::state::MockRequestLogStore;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::task::JoinSet;

    fn entry(id: usize) -> impl FnOnce() -> LoggedRequest + Send + 'static {
        move || LoggedRequest { id: id.to_string(), ..LoggedRequest::default() }
    }

    #[tokio::test]
    async fn requests_beyond_the_queue_are_dropped() {
        let written = Arc::new(AtomicUsize::new(0));
        let mut store = MockRequestLogStore::new();
        let count = Arc::clone(&written);
        store.expect_append().returning(move |batch| {
            assert!(batch.requests.len() <= super::super::batches::BATCH);
            count.fetch_add(batch.requests.len(), Ordering::Relaxed);
            Ok(())
        });
        let recorder = RequestRecorder::new(Arc::new(store));
        for id in 0..QUEUE + 10 {
            recorder.record(entry(id));
        }
        let mut running = JoinSet::new();
        running.spawn(recorder.clone().run());
        recorder.flush().await;
        assert_eq!(written.load(Ordering::Relaxed), QUEUE);
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
            let ids: Vec<_> = batch.requests.iter().map(|it| it.id.clone()).collect();
            seen.lock().unwrap().push((batch.at, ids.join(" ")));
            Ok(())
        });
        let recorder = RequestRecorder::new(Arc::new(store));
        let mut running = JoinSet::new();
        running.spawn(recorder.clone().run());
        for id in 0..3 {
            recorder.record(entry(id));
            time::sleep(2 * FLUSH_INTERVAL).await;
        }
        time::sleep(5 * FLUSH_INTERVAL).await;
        let written = written.lock().unwrap().clone();
        let ids: Vec<_> = written.iter().map(|(_, ids)| ids.as_str()).collect();
        assert_eq!(ids, ["0", "1", "2"]);
        assert!(written.is_sorted_by(|a, b| a.0 < b.0), "{written:?}");
    }
}
