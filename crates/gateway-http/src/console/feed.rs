//! What the console shows while it happens: requests to models that are under way, and the last that
//! ended.
//!
//! Nothing is noted unless somebody looks, or did so a short while ago: a request then pays for one
//! look at a number.

use super::row::{Begun, Ended, Progress, Row, Underway, milliseconds};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;

/// Requests under way that are shown at once; others are only counted by the metrics.
const MOST_LIVE: usize = 500;
/// Ended requests that are remembered.
const MOST_RECENT: usize = 200;
/// Who looks at once.
const MOST_WATCHERS: usize = 32;
/// News that a watcher may be behind; beyond, it is told everything anew.
const BACKLOG: usize = 256;
/// How long noting goes on when nobody looks any more, so that who comes back sees what happened.
const LINGER: Duration = Duration::from_mins(10);

/// Notes what happens to requests, for those who watch.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    origin: Instant,
    /// Milliseconds since the origin until which requests are noted; 0 if nobody ever looked.
    until: AtomicU64,
    state: Mutex<State>,
    news: broadcast::Sender<News>,
    closing: CancellationToken,
}

#[derive(Default)]
struct State {
    next: u64,
    live: HashMap<u64, Arc<Noted>>,
    recent: VecDeque<Row>,
}

/// What watchers are told when it happens.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Begun(Arc<Begun>),
    Ended(Arc<Row>),
}

struct Noted {
    begun: Arc<Begun>,
    since: Instant,
    pieces: AtomicU64,
    /// Milliseconds from the beginning to the first output, and one; 0 before it.
    first_output: AtomicU64,
}

impl Feed {
    /// A feed that ends for its watchers when `closing` is cancelled.
    pub fn new(closing: CancellationToken) -> Self {
        Self(Arc::new(Shared {
            origin: Instant::now(),
            until: AtomicU64::new(0),
            state: Mutex::default(),
            news: broadcast::channel(BACKLOG).0,
            closing,
        }))
    }

    /// Notes a request, if anybody may want to see it.
    pub(crate) fn note(&self, begun: impl FnOnce() -> Begun) -> Option<Live> {
        let until = self.0.until.load(Ordering::Relaxed);
        if until == 0 || self.now() > until {
            return None;
        }
        let begun = Arc::new(begun());
        let mut state = self.state();
        if state.live.len() >= MOST_LIVE {
            return None;
        }
        let key = state.next;
        state.next += 1;
        let noted = Arc::new(Noted {
            begun: Arc::clone(&begun),
            since: Instant::now(),
            pieces: AtomicU64::new(0),
            first_output: AtomicU64::new(0),
        });
        state.live.insert(key, Arc::clone(&noted));
        drop(state);
        self.tell(News::Begun(begun));
        Some(Live { feed: self.clone(), key, noted })
    }

    /// Watches from now on; nothing if too many do so already, or the gateway is about to stop.
    pub(crate) fn watch(&self) -> Option<Watch> {
        if self.0.news.receiver_count() >= MOST_WATCHERS || self.0.closing.is_cancelled() {
            return None;
        }
        self.go_on();
        Some(Watch { news: self.0.news.subscribe(), feed: self.clone() })
    }

    /// The requests of a tenant that are under way, oldest first, and those that ended, newest first.
    pub(crate) fn rows(&self, tenant: &str) -> (Vec<Underway>, Vec<Row>) {
        let state = self.state();
        let mut live: Vec<_> = of_tenant(&state, tenant).collect();
        live.sort_by_key(|(key, _)| *key);
        let recent = state.recent.iter().filter(|row| &*row.begun.tenant == tenant);
        (live.into_iter().map(|(_, it)| it.underway()).collect(), recent.cloned().collect())
    }

    /// How far the requests of a tenant have come, by their names.
    pub(crate) fn progress(&self, tenant: &str) -> Vec<(Arc<str>, Progress)> {
        let state = self.state();
        let live = of_tenant(&state, tenant);
        live.map(|(_, it)| (Arc::clone(&it.begun.request_id), it.progress())).collect()
    }

    fn end(&self, key: u64, ended: Ended) {
        let mut state = self.state();
        let Some(noted) = state.live.remove(&key) else { return };
        let row = Row { begun: Arc::clone(&noted.begun), ended };
        state.recent.truncate(MOST_RECENT - 1);
        state.recent.push_front(row.clone());
        drop(state);
        self.tell(News::Ended(Arc::new(row)));
    }

    /// That nobody listens is no failure.
    fn tell(&self, news: News) {
        let _nobody = self.0.news.send(news);
    }

    /// Notes for a while longer.
    fn go_on(&self) {
        self.0.until.fetch_max(self.now() + milliseconds(LINGER), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        milliseconds(self.0.origin.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_tenant<'a>(state: &'a State, tenant: &'a str) -> impl Iterator<Item = (u64, &'a Arc<Noted>)> {
    let live = state.live.iter().map(|(key, noted)| (*key, noted));
    live.filter(move |(_, noted)| &*noted.begun.tenant == tenant)
}

impl Noted {
    fn underway(&self) -> Underway {
        Underway { begun: Arc::clone(&self.begun), progress: self.progress() }
    }

    fn progress(&self) -> Progress {
        Progress {
            elapsed_ms: milliseconds(self.since.elapsed()),
            pieces: self.pieces.load(Ordering::Relaxed),
            first_output_ms: self.first_output.load(Ordering::Relaxed).checked_sub(1),
        }
    }
}

/// A request that is shown. Dropped untold, it was given up.
pub(crate) struct Live {
    feed: Feed,
    key: u64,
    noted: Arc<Noted>,
}

impl Live {
    /// A piece of the answer came.
    pub(crate) fn saw(&self, output: bool) {
        self.noted.pieces.fetch_add(1, Ordering::Relaxed);
        if output && self.noted.first_output.load(Ordering::Relaxed) == 0 {
            let first = milliseconds(self.noted.since.elapsed()) + 1;
            self.noted.first_output.store(first, Ordering::Relaxed);
        }
    }

    /// It is over.
    pub(crate) fn ended(self, ended: Ended) {
        self.feed.end(self.key, ended);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let took = milliseconds(self.noted.since.elapsed());
        let given_up = Ended { outcome: "client_cancelled", duration_ms: took, ..Ended::default() };
        self.feed.end(self.key, given_up);
    }
}

/// Somebody looks. Dropping it ends that.
pub(crate) struct Watch {
    feed: Feed,
    news: broadcast::Receiver<News>,
}

impl Watch {
    /// What is watched.
    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The next news; nothing if there are no more, an error if too many came at once.
    pub(crate) async fn next(&mut self) -> Option<Result<News, Missed>> {
        tokio::select! {
            () = self.feed.0.closing.cancelled() => None,
            news = self.news.recv() => match news {
                Ok(news) => Some(Ok(news)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(Err(Missed)),
                Err(broadcast::error::RecvError::Closed) => None,
            },
        }
    }

    /// Somebody still looks.
    pub(crate) fn still(&self) {
        self.feed.go_on();
    }
}

/// News came faster than they were taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missed;

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("watchers", &self.0.news.receiver_count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(tenant: &str) -> Begun {
        Begun {
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

    fn ok() -> Ended {
        Ended { outcome: "ok", ..Ended::default() }
    }

    fn feed() -> Feed {
        Feed::new(CancellationToken::new())
    }

    /// How many are under way, and the outcomes of the others.
    #[track_caller]
    fn check(feed: &Feed, tenant: &str, live: usize, recent: &[&str]) {
        let (underway, ended) = feed.rows(tenant);
        let outcomes: Vec<_> = ended.iter().map(|row| row.ended.outcome).collect();
        assert_eq!((underway.len(), outcomes.as_slice()), (live, recent));
    }

    #[tokio::test]
    async fn nothing_is_noted_while_nobody_looks() {
        let feed = feed();
        assert!(feed.note(|| unreachable!("nobody looks")).is_none());
        let _watch = feed.watch();
        assert!(feed.note(|| begun("t")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_soon_sees_what_happened() {
        let feed = feed();
        drop(feed.watch());
        tokio::time::advance(LINGER / 2).await;
        feed.note(|| begun("t")).unwrap().ended(ok());
        check(&feed, "t", 0, &["ok"]);
        tokio::time::advance(LINGER).await;
        assert!(feed.note(|| unreachable!("nobody looks any more")).is_none());
    }

    #[tokio::test]
    async fn a_request_is_under_way_until_it_ends_or_is_dropped() {
        let feed = feed();
        let _watch = feed.watch();
        let (first, second) = (feed.note(|| begun("t")).unwrap(), feed.note(|| begun("t")));
        check(&feed, "t", 2, &[]);
        first.ended(ok());
        check(&feed, "t", 1, &["ok"]);
        drop(second);
        check(&feed, "t", 0, &["client_cancelled", "ok"]);
    }

    #[tokio::test]
    async fn a_tenant_sees_its_own() {
        let feed = feed();
        let _watch = feed.watch();
        let live = feed.note(|| begun("a")).unwrap();
        live.saw(true);
        check(&feed, "b", 0, &[]);
        assert!(feed.progress("b").is_empty());
        assert_eq!(feed.progress("a").first().unwrap().1.pieces, 1);
        live.ended(ok());
        check(&feed, "b", 0, &[]);
        check(&feed, "a", 0, &["ok"]);
    }

    #[tokio::test]
    async fn what_is_kept_has_a_bound() {
        let feed = feed();
        let _watch = feed.watch();
        let live: Vec<_> = (0..MOST_LIVE).filter_map(|_| feed.note(|| begun("t"))).collect();
        assert_eq!(live.len(), MOST_LIVE);
        assert!(feed.note(|| begun("t")).is_none());
        drop(live);
        assert_eq!(feed.rows("t").1.len(), MOST_RECENT);
        let watchers: Vec<_> = (0..MOST_WATCHERS).filter_map(|_| feed.watch()).collect();
        assert_eq!(watchers.len(), MOST_WATCHERS - 1);
    }

    #[tokio::test]
    async fn news_end_with_the_gateway() {
        let closing = CancellationToken::new();
        let feed = Feed::new(closing.clone());
        let mut watch = feed.watch().unwrap();
        let _live = feed.note(|| begun("t"));
        assert!(matches!(watch.next().await, Some(Ok(News::Begun(_)))));
        closing.cancel();
        assert!(watch.next().await.is_none());
        assert!(feed.watch().is_none());
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_so() {
        let feed = feed();
        let mut watch = feed.watch().unwrap();
        for _ in 0..BACKLOG {
            feed.note(|| begun("t")).unwrap().ended(ok());
        }
        assert!(matches!(watch.next().await, Some(Err(Missed))));
    }
}
