//! The live feed: requests to models in progress, and the last that ended.
//!
//! Requests are recorded only while there is a subscriber, and for ten minutes after; otherwise a
//! request pays for one load of an atomic number.

use super::row::{EndedRequest, EndedRow, LiveRow, RequestProgress, StartedRequest};
use gateway_core::{sync, time::millis};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;

/// Requests in progress that are recorded at the same time; more are counted by the metrics only.
const MOST_LIVE: usize = 500;
/// Ended requests that are kept.
const MOST_RECENT: usize = 200;
/// Subscribers at the same time.
const MOST_WATCHERS: usize = 32;
/// Events that a subscriber may be behind; beyond, it gets a new snapshot.
const BACKLOG: usize = 256;
/// The time for which requests are recorded after the last subscriber has left.
const LINGER: Duration = Duration::from_mins(10);

/// Records requests for subscribers. Clones share one feed.
#[derive(Clone)]
pub struct LiveFeed(Arc<FeedState>);

struct FeedState {
    origin: Instant,
    /// Milliseconds since the origin until which requests are recorded; 0 before the first
    /// subscriber.
    until: AtomicU64,
    state: Mutex<FeedTables>,
    events: broadcast::Sender<FeedEvent>,
    closing: CancellationToken,
}

#[derive(Default)]
struct FeedTables {
    next: u64,
    live: HashMap<u64, Arc<FeedEntry>>,
    recent: VecDeque<EndedRow>,
}

/// An event of the feed.
#[derive(Clone, Debug)]
pub enum FeedEvent {
    /// A request was sent to its provider.
    Started(Arc<StartedRequest>),
    /// A request ended.
    Ended(Arc<EndedRow>),
}

struct FeedEntry {
    started: Arc<StartedRequest>,
    since: Instant,
    pieces: AtomicU64,
    /// Milliseconds to the first output, plus one; 0 before it.
    first_output: AtomicU64,
}

impl LiveFeed {
    /// A feed that ends for its subscribers when `closing` is cancelled.
    pub fn new(closing: CancellationToken) -> Self {
        Self(Arc::new(FeedState {
            origin: Instant::now(),
            until: AtomicU64::new(0),
            state: Mutex::default(),
            events: broadcast::channel(BACKLOG).0,
            closing,
        }))
    }

    /// Records a request; `None` while there is no subscriber, or too many requests are recorded.
    pub fn start(&self, started: impl FnOnce() -> StartedRequest) -> Option<LiveRequest> {
        let until = self.0.until.load(Ordering::Relaxed);
        if until == 0 || self.now() > until {
            return None;
        }
        let started = Arc::new(started());
        let mut state = self.state();
        if state.live.len() >= MOST_LIVE {
            return None;
        }
        let key = state.next;
        state.next += 1;
        let entry = Arc::new(FeedEntry {
            started: Arc::clone(&started),
            since: Instant::now(),
            pieces: AtomicU64::new(0),
            first_output: AtomicU64::new(0),
        });
        state.live.insert(key, Arc::clone(&entry));
        drop(state);
        self.publish(FeedEvent::Started(started));
        Some(LiveRequest { feed: self.clone(), key, entry })
    }

    /// Subscribes to what happens from now on; `None` if there are too many subscribers, or the
    /// gateway is about to stop.
    pub fn subscribe(&self) -> Option<FeedSubscription> {
        if self.0.events.receiver_count() >= MOST_WATCHERS || self.0.closing.is_cancelled() {
            return None;
        }
        self.extend();
        Some(FeedSubscription { events: self.0.events.subscribe(), feed: self.clone() })
    }

    /// The requests of a tenant: those in progress, oldest first, and those that ended, newest
    /// first.
    pub fn rows(&self, tenant: &str) -> (Vec<LiveRow>, Vec<EndedRow>) {
        let state = self.state();
        let mut live: Vec<_> = of_tenant(&state, tenant).collect();
        live.sort_by_key(|(key, _)| *key);
        let recent = state.recent.iter().filter(|row| &*row.started.tenant == tenant);
        (live.into_iter().map(|(_, it)| it.live_row()).collect(), recent.cloned().collect())
    }

    /// The progress of a tenant's requests, by request id.
    pub fn progress(&self, tenant: &str) -> Vec<(Arc<str>, RequestProgress)> {
        let state = self.state();
        let live = of_tenant(&state, tenant);
        live.map(|(_, it)| (Arc::clone(&it.started.request_id), it.progress())).collect()
    }

    fn end(&self, key: u64, ended: EndedRequest) {
        let mut state = self.state();
        let Some(entry) = state.live.remove(&key) else { return };
        let row = EndedRow { started: Arc::clone(&entry.started), ended };
        state.recent.truncate(MOST_RECENT - 1);
        state.recent.push_front(row.clone());
        drop(state);
        self.publish(FeedEvent::Ended(Arc::new(row)));
    }

    fn publish(&self, event: FeedEvent) {
        // A feed without subscribers is no failure.
        let _ = self.0.events.send(event);
    }

    /// Keeps recording for a while.
    fn extend(&self) {
        self.0.until.fetch_max(self.now() + millis(LINGER), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        millis(self.0.origin.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, FeedTables> {
        sync::lock(&self.0.state)
    }
}

fn of_tenant<'a>(
    state: &'a FeedTables,
    tenant: &'a str,
) -> impl Iterator<Item = (u64, &'a Arc<FeedEntry>)> {
    let live = state.live.iter().map(|(key, entry)| (*key, entry));
    live.filter(move |(_, entry)| &*entry.started.tenant == tenant)
}

impl FeedEntry {
    fn live_row(&self) -> LiveRow {
        LiveRow { started: Arc::clone(&self.started), progress: self.progress() }
    }

    fn progress(&self) -> RequestProgress {
        RequestProgress {
            elapsed_ms: millis(self.since.elapsed()),
            pieces: self.pieces.load(Ordering::Relaxed),
            first_output_ms: self.first_output.load(Ordering::Relaxed).checked_sub(1),
        }
    }
}

/// A recorded request. Dropping it without [`ended`](Self::ended) records it as cancelled.
pub struct LiveRequest {
    feed: LiveFeed,
    key: u64,
    entry: Arc<FeedEntry>,
}

impl LiveRequest {
    /// Records a chunk of the response, and whether it holds output.
    pub fn chunk(&self, output: bool) {
        self.entry.pieces.fetch_add(1, Ordering::Relaxed);
        if output && self.entry.first_output.load(Ordering::Relaxed) == 0 {
            let first = millis(self.entry.since.elapsed()) + 1;
            self.entry.first_output.store(first, Ordering::Relaxed);
        }
    }

    /// Records the end.
    pub fn ended(self, ended: EndedRequest) {
        self.feed.end(self.key, ended);
    }
}

impl Drop for LiveRequest {
    fn drop(&mut self) {
        let took = millis(self.entry.since.elapsed());
        let cancelled = EndedRequest {
            outcome: "client_cancelled",
            duration_ms: took,
            ..EndedRequest::default()
        };
        self.feed.end(self.key, cancelled);
    }
}

/// A subscription to the feed. Dropping it ends it.
pub struct FeedSubscription {
    feed: LiveFeed,
    events: broadcast::Receiver<FeedEvent>,
}

impl FeedSubscription {
    /// The feed of this subscription.
    pub fn feed(&self) -> &LiveFeed {
        &self.feed
    }

    /// The next event; `None` once the feed has ended.
    ///
    /// # Errors
    ///
    /// [`SubscriberLag`] if events were lost because the subscriber was too slow.
    ///
    /// # Cancel safety
    ///
    /// No event is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<FeedEvent, SubscriberLag>> {
        tokio::select! {
            () = self.feed.0.closing.cancelled() => None,
            event = self.events.recv() => match event {
                Ok(event) => Some(Ok(event)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(Err(SubscriberLag)),
                Err(broadcast::error::RecvError::Closed) => None,
            },
        }
    }

    /// Keeps requests recorded while the subscriber is there.
    pub fn keep_alive(&self) {
        self.feed.extend();
    }
}

/// Events were lost because the subscriber was too slow.
#[derive(Clone, Copy, Debug)]
pub struct SubscriberLag;

impl fmt::Debug for LiveRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveRequest").field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for FeedSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedSubscription").finish_non_exhaustive()
    }
}

impl fmt::Debug for LiveFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveFeed").field("watchers", &self.0.events.receiver_count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(tenant: &str) -> StartedRequest {
        StartedRequest {
            request_id: "r".into(),
            at: 0,
            path: "/v1/messages",
            client: "app".into(),
            provider: "fake".into(),
            model: "echo".into(),
            stream: true,
            tenant: tenant.into(),
        }
    }

    fn ok() -> EndedRequest {
        EndedRequest { outcome: "ok", ..EndedRequest::default() }
    }

    fn feed() -> LiveFeed {
        LiveFeed::new(CancellationToken::new())
    }

    /// Checks how many requests are in progress, and the outcomes of the others.
    #[track_caller]
    fn check(feed: &LiveFeed, tenant: &str, live: usize, recent: &[&str]) {
        let (underway, ended) = feed.rows(tenant);
        let outcomes: Vec<_> = ended.iter().map(|row| row.ended.outcome).collect();
        assert_eq!((underway.len(), outcomes.as_slice()), (live, recent));
    }

    #[tokio::test]
    async fn request_without_subscriber_is_not_recorded() {
        let feed = feed();
        assert!(feed.start(|| unreachable!("no subscriber")).is_none());
        let _watch = feed.subscribe();
        assert!(feed.start(|| started("t")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn request_within_linger_time_is_recorded() {
        let feed = feed();
        drop(feed.subscribe());
        tokio::time::advance(LINGER / 2).await;
        feed.start(|| started("t")).unwrap().ended(ok());
        check(&feed, "t", 0, &["ok"]);
        tokio::time::advance(LINGER).await;
        assert!(feed.start(|| unreachable!("the linger time is over")).is_none());
    }

    #[tokio::test]
    async fn dropped_request_is_recorded_as_cancelled() {
        let feed = feed();
        let _watch = feed.subscribe();
        let (first, second) = (feed.start(|| started("t")).unwrap(), feed.start(|| started("t")));
        check(&feed, "t", 2, &[]);
        first.ended(ok());
        check(&feed, "t", 1, &["ok"]);
        drop(second);
        check(&feed, "t", 0, &["client_cancelled", "ok"]);
    }

    #[tokio::test]
    async fn rows_of_other_tenants_are_hidden() {
        let feed = feed();
        let _watch = feed.subscribe();
        let live = feed.start(|| started("a")).unwrap();
        live.chunk(true);
        check(&feed, "b", 0, &[]);
        assert!(feed.progress("b").is_empty());
        assert_eq!(feed.progress("a").first().unwrap().1.pieces, 1);
        live.ended(ok());
        check(&feed, "b", 0, &[]);
        check(&feed, "a", 0, &["ok"]);
    }

    #[tokio::test]
    async fn recorded_requests_are_bounded() {
        let feed = feed();
        let _watch = feed.subscribe();
        let live: Vec<_> = (0..MOST_LIVE).filter_map(|_| feed.start(|| started("t"))).collect();
        assert_eq!(live.len(), MOST_LIVE);
        assert!(feed.start(|| started("t")).is_none());
        drop(live);
        assert_eq!(feed.rows("t").1.len(), MOST_RECENT);
        let watchers: Vec<_> = (0..MOST_WATCHERS).filter_map(|_| feed.subscribe()).collect();
        assert_eq!(watchers.len(), MOST_WATCHERS - 1);
    }

    #[tokio::test]
    async fn subscription_ends_when_gateway_closes() {
        let closing = CancellationToken::new();
        let feed = LiveFeed::new(closing.clone());
        let mut subscription = feed.subscribe().unwrap();
        let _live = feed.start(|| started("t"));
        assert!(matches!(subscription.next().await, Some(Ok(FeedEvent::Started(_)))));
        closing.cancel();
        assert!(subscription.next().await.is_none());
        assert!(feed.subscribe().is_none());
    }

    #[tokio::test]
    async fn slow_subscriber_gets_lagged_error() {
        let feed = feed();
        let mut subscription = feed.subscribe().unwrap();
        for _ in 0..BACKLOG {
            feed.start(|| started("t")).unwrap().ended(ok());
        }
        assert!(matches!(subscription.next().await, Some(Err(SubscriberLag))));
    }
}
