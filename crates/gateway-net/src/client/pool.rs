//! Unused connections, kept for the next request to their host.
//!
//! Each host has a few shards, of which a thread prefers its own; a lock is held for a push or a
//! pop. One task for all hosts closes what was unused for too long, and what the other end has
//! closed, and ends when nothing is kept.

use super::{host::Origin, http2::Http2Sender, settings::ClientSettings, stream::UpstreamStream};
use gateway_core::sync::lock;
use gateway_tasks::supervise;
use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{self, Instant},
};

/// The interval at which idle connections are checked.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// A connection that was unused for so long is asked for by a system call before it is used again.
const CHECKED_AFTER: Duration = Duration::from_millis(100);
/// The bound on shards.
const MAX_SHARDS: usize = 8;

/// The hosts that are known, and the settings they share.
#[derive(Debug)]
pub(super) struct Pool {
    hosts: Mutex<HashMap<Origin, Arc<Host>>>,
    idle_timeout: Duration,
    plain_idle_timeout: Duration,
    /// Maximum number of idle connections per host.
    max_idle: usize,
    shards: usize,
    /// Whether a task closes what is unused for too long.
    is_swept: Arc<AtomicBool>,
}

/// A host with its idle connections.
pub(super) struct Host {
    pub(super) origin: Origin,
    pool: Weak<Pool>,
    is_swept: Arc<AtomicBool>,
    idle_timeout: Duration,
    max_idle: usize,
    /// The number of idle connections.
    idle: AtomicUsize,
    shards: Box<[Mutex<Vec<IdleConnection>>]>,
    /// The connection of HTTP/2, which requests share.
    http2: Mutex<Option<SharedConnection>>,
}

struct IdleConnection {
    stream: UpstreamStream,
    since: Instant,
}

struct SharedConnection {
    sender: Http2Sender,
    used: Instant,
}

impl Pool {
    pub(super) fn new(settings: &ClientSettings) -> Arc<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            hosts: Mutex::default(),
            idle_timeout: settings.idle_timeout,
            plain_idle_timeout: settings.plain_idle_timeout,
            max_idle: settings.idle_per_host,
            shards: threads.clamp(1, MAX_SHARDS),
            is_swept: Arc::default(),
        })
    }

    /// The host at `origin`.
    pub(super) fn host(self: &Arc<Self>, origin: Origin) -> Arc<Host> {
        let mut hosts = lock(&self.hosts);
        let host = hosts.entry(origin).or_insert_with_key(|origin| {
            Arc::new(Host {
                origin: origin.clone(),
                pool: Arc::downgrade(self),
                is_swept: Arc::clone(&self.is_swept),
                idle_timeout: if origin.is_secure {
                    self.idle_timeout
                } else {
                    self.plain_idle_timeout
                },
                max_idle: self.max_idle,
                idle: AtomicUsize::new(0),
                shards: (0..self.shards).map(|_| Mutex::default()).collect(),
                http2: Mutex::default(),
            })
        });
        Arc::clone(host)
    }

    /// Closes what is to be closed. Returns whether anything is left.
    fn sweep(&self, now: Instant) -> bool {
        let mut hosts = lock(&self.hosts);
        let mut is_used = false;
        hosts.retain(|_, host| {
            let keeps = host.sweep(now);
            is_used |= keeps;
            // What no request refers to is forgotten.
            keeps || Arc::strong_count(host) > 1
        });
        is_used
    }

    fn has_idle(&self) -> bool {
        lock(&self.hosts).values().any(|host| host.has_idle())
    }
}

/// Sweeps until nothing is left, or the pool is gone.
async fn sweep(pool: Weak<Pool>) {
    loop {
        time::sleep(SWEEP_INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        if pool.sweep(Instant::now()) {
            continue;
        }
        pool.is_swept.store(false, Relaxed);
        // A connection may have come back in between, and seen that a task was there.
        if !pool.has_idle() || pool.is_swept.swap(true, Relaxed) {
            return;
        }
    }
}

impl Host {
    /// An unused connection that is still open, if there is one. The one used last comes first.
    pub(super) fn check_out(&self) -> Option<UpstreamStream> {
        if self.idle.load(Relaxed) == 0 {
            return None;
        }
        let own = shard_index() % self.shards.len().max(1);
        let (before, after) = self.shards.split_at_checked(own)?;
        let now = Instant::now();
        for shard in after.iter().chain(before) {
            // Dropped, and so closed, when the lock is not held any more.
            while let Some(mut connection) = self.pop(shard) {
                let unused = now.duration_since(connection.since);
                if unused < self.idle_timeout
                    && (unused < CHECKED_AFTER || connection.stream.is_quiet_in_system())
                    && connection.stream.is_quiet()
                {
                    return Some(connection.stream);
                }
            }
        }
        None
    }

    fn pop(&self, shard: &Mutex<Vec<IdleConnection>>) -> Option<IdleConnection> {
        let connection = lock(shard).pop()?;
        self.idle.fetch_sub(1, Relaxed);
        Some(connection)
    }

    /// Keeps a connection for the next request, unless enough are kept.
    pub(super) fn check_in(&self, stream: UpstreamStream) {
        if self.idle.fetch_add(1, Relaxed) >= self.max_idle {
            self.idle.fetch_sub(1, Relaxed);
            return;
        }
        let Some(shard) = self.shards.get(shard_index() % self.shards.len().max(1)) else { return };
        lock(shard).push(IdleConnection { stream, since: Instant::now() });
        self.ensure_swept();
    }

    /// The connection of HTTP/2, if there is one that takes requests.
    pub(super) fn http2(&self) -> Option<Http2Sender> {
        if !self.origin.is_secure {
            return None;
        }
        let mut http2 = lock(&self.http2);
        let shared = http2.as_mut().filter(|it| it.sender.is_usable())?;
        shared.used = Instant::now();
        Some(shared.sender.clone())
    }

    /// Keeps a connection of HTTP/2 for other requests.
    pub(super) fn share(&self, sender: Http2Sender) {
        let shared = SharedConnection { sender, used: Instant::now() };
        let before = lock(&self.http2).replace(shared);
        drop(before);
        self.ensure_swept();
    }

    fn ensure_swept(&self) {
        if self.is_swept.load(Relaxed) || self.is_swept.swap(true, Relaxed) {
            return;
        }
        match Handle::try_current() {
            // It ends by itself, as soon as nothing is kept or the pool is gone.
            Ok(runtime) => {
                let pool = self.pool.clone();
                drop(runtime.spawn(supervise("connection_sweep", move || sweep(pool.clone()))));
            }
            Err(_) => self.is_swept.store(false, Relaxed),
        }
    }

    fn has_idle(&self) -> bool {
        self.idle.load(Relaxed) > 0 || lock(&self.http2).is_some()
    }

    /// Closes what was unused for too long, or was closed by the other end. Returns whether anything
    /// is left.
    fn sweep(&self, now: Instant) -> bool {
        for shard in &self.shards {
            let mut closed = Vec::new();
            let mut connections = lock(shard);
            let mut kept = Vec::with_capacity(connections.len());
            for mut connection in connections.drain(..) {
                let is_young = now.duration_since(connection.since) < self.idle_timeout;
                if is_young && connection.stream.is_quiet() {
                    kept.push(connection);
                } else {
                    closed.push(connection);
                }
            }
            *connections = kept;
            drop(connections);
            self.idle.fetch_sub(closed.len(), Relaxed);
        }
        let unused = |it: &mut SharedConnection| {
            !it.sender.is_usable() || now.duration_since(it.used) >= self.idle_timeout
        };
        let closed = lock(&self.http2).take_if(unused);
        drop(closed);
        self.has_idle()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// A number for the present thread; neighbours differ.
fn shard_index() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static INDEX: Cell<Option<usize>> = const { Cell::new(None) }; }
    INDEX.with(|index| {
        index.get().unwrap_or_else(|| {
            let new = THREADS.fetch_add(1, Relaxed);
            index.set(Some(new));
            new
        })
    })
}
