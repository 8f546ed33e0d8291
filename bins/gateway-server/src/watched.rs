//! The store as it is used: each operation is measured and, where traces are made, a span.

use crate::{config::Backend, otel::Tracing};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::state::{
    Batch, Begun, Cache, Claim, ClientKey, ClientKeys, Decision, Events, Fingerprint, Fork,
    Idempotency, Key, Ledger, Listing, NewSession, Outcome, Page, QuotaAsk, Quotas, ReasoningStore,
    Replay, ResponseStore, Session, SessionPatch, SessionStore, Settle, Slice, Snapshot,
    StoreError, StoredReasoning, StoredResponse, Tenant, Totals, Turn,
};
use gateway_http::Meters;
use gateway_store::Stores;
use std::{ops::RangeInclusive, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Watches every operation on `stores`, which `backend` keeps.
pub(crate) fn watch(
    stores: &mut Stores,
    backend: Backend,
    meters: &Arc<Meters>,
    tracing: Option<&Arc<Tracing>>,
) {
    let watch = Watch { backend, meters: Arc::clone(meters), tracing: tracing.cloned() };
    stores.sessions = Arc::new(watch.over(&stores.sessions));
    stores.responses = Arc::new(watch.over(&stores.responses));
    stores.cache = Arc::new(watch.over(&stores.cache));
    stores.side = Arc::new(watch.over(&stores.side));
    stores.idempotency = Arc::new(watch.over(&stores.idempotency));
    stores.quotas = Arc::new(watch.over(&stores.quotas));
    stores.ledger = Arc::new(watch.over(&stores.ledger));
    stores.client_keys = Arc::new(watch.over(&stores.client_keys));
}

/// What learns of operations.
#[derive(Clone)]
struct Watch {
    backend: Backend,
    meters: Arc<Meters>,
    tracing: Option<Arc<Tracing>>,
}

/// A port whose operations are watched.
struct Watched<T: ?Sized> {
    inner: Arc<T>,
    watch: Watch,
}

impl Watch {
    fn over<T: ?Sized>(&self, inner: &Arc<T>) -> Watched<T> {
        Watched { inner: Arc::clone(inner), watch: self.clone() }
    }

    async fn see<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let span = self.tracing.as_ref().map(|tracing| tracing.store(operation, self.backend));
        let began = Instant::now();
        let result = work.await;
        let error = result.as_ref().err().map(StoreError::code);
        self.meters.stored(operation, began.elapsed(), error.as_deref());
        if let Some(span) = span {
            span.end(error.as_deref());
        }
        result
    }
}

/// Passes every operation of a port on, and watches it.
macro_rules! ports {
    ($($port:ident as $name:literal {
        $($method:ident($($argument:ident: $type:ty),*) -> $result:ty;)+
    })+) => {$(
        #[async_trait]
        impl $port for Watched<dyn $port> {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                let work = self.inner.$method($($argument),*);
                self.watch.see(concat!($name, ".", stringify!($method)), work).await
            })+
        }
    )+};
}

ports! {
    SessionStore as "session" {
        create(key: &Key, new: &NewSession) -> Session;
        load(key: &Key, slice: Slice) -> Option<Snapshot>;
        append(key: &Key, turn: &Turn) -> Outcome;
        patch(key: &Key, patch: &SessionPatch, expected: Option<u64>) -> Outcome;
        touch(key: &Key, ttl: Duration) -> Outcome;
        delete(key: &Key) -> bool;
        list(tenant: &Tenant, page: &Page) -> Listing;
        fork(from: &Key, to: &str, fork: &Fork) -> Option<Session>;
        claim(key: &Key, token: &str, lease: Duration) -> Claim;
        release(key: &Key, token: &str) -> ();
    }
    ResponseStore as "response" {
        put(key: &Key, response: &StoredResponse, ttl: Duration) -> ();
        get(key: &Key) -> Option<StoredResponse>;
        delete(key: &Key) -> bool;
        append(key: &Key, from: u64, events: &[Bytes]) -> Outcome;
        events(key: &Key, from: u64, limit: u64) -> Option<Events>;
    }
    Cache as "cache" {
        get(key: &Key) -> Option<Bytes>;
        put(key: &Key, value: Bytes, ttl: Duration) -> ();
        delete(key: &Key) -> ();
    }
    ReasoningStore as "side" {
        put(key: &Key, aside: &StoredReasoning, ttl: Duration) -> ();
        get(keys: &[Key]) -> Vec<Option<StoredReasoning>>;
    }
    Idempotency as "idempotency" {
        begin(key: &Key, fingerprint: &Fingerprint, token: &str, lease: Duration) -> Begun;
        finish(key: &Key, token: &str, replay: &Replay, ttl: Duration) -> bool;
        abandon(key: &Key, token: &str) -> ();
    }
    Quotas as "quota" {
        take(key: &Key, ask: &QuotaAsk) -> Decision;
        settle(key: &Key, settle: &Settle) -> ();
    }
    Ledger as "ledger" {
        record(batch: &Batch) -> ();
        totals(days: RangeInclusive<u64>, client: Option<&Tenant>) -> Vec<Totals>;
        close_orphans(before: u64, outcome: &str) -> u64;
    }
    ClientKeys as "client_key" {
        put(key: &ClientKey) -> ();
        remove(id: &str) -> bool;
        all() -> Vec<ClientKey>;
        version() -> u64;
    }
}
