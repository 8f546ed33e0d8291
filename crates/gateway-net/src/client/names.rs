//! The addresses of upstreams' names.
//!
//! The system is asked, once a name at a time and on a thread of its own, so that a resolver that
//! says nothing holds up nobody else. What it said last stands in for a minute when it fails.

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use hyper_util::client::legacy::connect::dns::Name;
use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread,
    time::Duration,
    vec,
};
use tokio::{
    sync::oneshot,
    time::{self, Instant},
};
use tower_service::Service;

/// How long an address is good for when no new one can be had.
const KEPT: Duration = Duration::from_mins(1);

type Addresses = Vec<SocketAddr>;
type Lookup = BoxFuture<'static, Result<Addresses, Arc<io::Error>>>;

/// Finds addresses, within a limit. Clones share what they know.
#[derive(Clone)]
pub(super) struct Names {
    lookup: Arc<dyn Fn(String) -> Lookup + Send + Sync>,
    limit: Duration,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// What is known of a name.
#[derive(Default)]
struct Known {
    /// Its addresses, and when they were asked for.
    last: Option<(Instant, Addresses)>,
    asking: Option<Asking>,
}

/// A question, and since when it is asked.
#[derive(Clone)]
struct Asking {
    since: Instant,
    answer: Shared<Lookup>,
}

impl Names {
    /// Asks the system, and waits for it no longer than `limit`.
    pub(super) fn of_the_system(limit: Duration) -> Self {
        Self { lookup: Arc::new(ask_the_system), limit, known: Arc::default() }
    }

    /// The addresses of `name`.
    ///
    /// # Errors
    ///
    /// If there are none, or not in time, and none were found within the last minute.
    async fn find(self, name: String) -> io::Result<Addresses> {
        let Asking { since, answer } = self.ask(&name);
        let found = match time::timeout_at(since + self.limit, answer).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(io::Error::new(error.kind(), error)),
            Err(late) => Err(late.into()),
        };
        let mut known = self.known();
        let now = Instant::now();
        known.retain(|_, it| {
            it.settle();
            it.asking.is_some() || it.address(now).is_some()
        });
        let last = known.get(&name).and_then(|it| it.address(now)).cloned();
        found.or_else(|error| last.ok_or(error))
    }

    /// The question for `name` that is being asked, or a new one.
    fn ask(&self, name: &str) -> Asking {
        let mut known = self.known();
        let it = known.entry(name.to_owned()).or_default();
        it.settle();
        let new =
            || Asking { since: Instant::now(), answer: (self.lookup)(name.to_owned()).shared() };
        it.asking.get_or_insert_with(new).clone()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Notes what the question came to, if it is answered.
    fn settle(&mut self) {
        // Nobody may have waited for as long as that took.
        let answered =
            |it: &Asking| it.answer.clone().now_or_never().map(|answer| (it.since, answer));
        let Some((since, answer)) = self.asking.as_ref().and_then(answered) else { return };
        self.asking = None;
        if let Ok(addresses) = answer {
            self.last = Some((since, addresses));
        }
    }

    /// What was said last, if that is not too long ago.
    fn address(&self, now: Instant) -> Option<&Addresses> {
        let (since, addresses) = self.last.as_ref()?;
        (now.duration_since(*since) < KEPT).then_some(addresses)
    }
}

impl Service<Name> for Names {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let finding = self.clone().find(name.as_str().to_owned());
        finding.map(|found| found.map(Vec::into_iter)).boxed()
    }
}

/// Asks the system, which may take as long as it likes.
fn ask_the_system(name: String) -> Lookup {
    let (tell, told) = oneshot::channel();
    let ask = move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
        // Whoever asked may have gone.
        let _ = tell.send(found.map_err(Arc::new));
    };
    let asked = thread::Builder::new().name("resolver".to_owned()).spawn(ask);
    async move {
        asked?;
        told.await.map_err(|_| Arc::new(io::Error::other("the resolver ended")))?
    }
    .boxed()
}

#[cfg(test)]
mod tests;
