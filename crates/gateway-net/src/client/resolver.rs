//! A DNS resolver that caches the last good addresses.
//!
//! The system is asked, once a name at a time and on a thread of its own, so that a resolver that
//! does not answer delays no other work. Its last answer stands in for a minute when it fails.

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use gateway_core::sync;
use std::{
    collections::HashMap,
    fmt, io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{self, Instant},
};

/// The time for which the last addresses stand in for new ones.
const STALE_LIMIT: Duration = Duration::from_mins(1);

type Addresses = Vec<SocketAddr>;
type Lookup = BoxFuture<'static, Result<Addresses, Arc<io::Error>>>;

/// Resolves names within a limit. Clones share the cache.
#[derive(Clone)]
pub(super) struct CachingResolver {
    lookup: Arc<dyn Fn(String) -> Lookup + Send + Sync>,
    limit: Duration,
    entries: Arc<Mutex<HashMap<String, DnsEntry>>>,
}

/// The last addresses of a name, and the lookup that is under way.
#[derive(Default)]
struct DnsEntry {
    /// The addresses, and the time of the lookup.
    last: Option<(Instant, Addresses)>,
    pending: Option<PendingLookup>,
}

/// A lookup that is under way.
#[derive(Clone)]
struct PendingLookup {
    since: Instant,
    result: Shared<Lookup>,
}

impl CachingResolver {
    /// A resolver that asks the system, and waits for it no longer than `limit`.
    pub(super) fn system(limit: Duration) -> Self {
        Self { lookup: Arc::new(system_lookup), limit, entries: Arc::default() }
    }

    /// Returns the addresses of `name`.
    ///
    /// # Errors
    ///
    /// If the name has none, or if the lookup times out, and no cached ones are less than a minute
    /// old.
    pub(super) async fn resolve(&self, name: &str) -> io::Result<Addresses> {
        let PendingLookup { since, result } = self.start(name);
        let found = match time::timeout_at(since + self.limit, result).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(io::Error::new(error.kind(), error)),
            Err(late) => Err(late.into()),
        };
        let mut entries = self.entries();
        let now = Instant::now();
        entries.retain(|_, it| {
            it.settle();
            it.pending.is_some() || it.address(now).is_some()
        });
        let last = entries.get(name).and_then(|it| it.address(now)).cloned();
        found.or_else(|error| last.ok_or(error))
    }

    /// The lookup of `name` that is under way, or a new one.
    fn start(&self, name: &str) -> PendingLookup {
        let mut entries = self.entries();
        let it = entries.entry(name.to_owned()).or_default();
        it.settle();
        let new = || PendingLookup {
            since: Instant::now(),
            result: (self.lookup)(name.to_owned()).shared(),
        };
        it.pending.get_or_insert_with(new).clone()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, DnsEntry>> {
        sync::lock(&self.entries)
    }
}

impl DnsEntry {
    /// Stores the result of the lookup, if it has ended.
    fn settle(&mut self) {
        // It may have ended after everyone who waited had gone.
        let ended =
            |it: &PendingLookup| it.result.clone().now_or_never().map(|result| (it.since, result));
        let Some((since, result)) = self.pending.as_ref().and_then(ended) else { return };
        self.pending = None;
        if let Ok(addresses) = result {
            self.last = Some((since, addresses));
        }
    }

    /// The last addresses, if they are not too old.
    fn address(&self, now: Instant) -> Option<&Addresses> {
        let (since, addresses) = self.last.as_ref()?;
        (now.duration_since(*since) < STALE_LIMIT).then_some(addresses)
    }
}

impl fmt::Debug for CachingResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingResolver").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Asks the system, which may take as long as it likes.
fn system_lookup(name: String) -> Lookup {
    let (sender, receiver) = oneshot::channel();
    let lookup = move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
        // The receiver may have gone.
        let _ = sender.send(found.map_err(Arc::new));
    };
    let spawned = thread::Builder::new().name("resolver".to_owned()).spawn(lookup);
    async move {
        spawned?;
        receiver.await.map_err(|_| Arc::new(io::Error::other("the resolver ended")))?
    }
    .boxed()
}

#[cfg(test)]
mod tests;
