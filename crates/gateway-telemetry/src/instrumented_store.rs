//! Instrumentation of the state store: each operation is measured and, with tracing, a span.

use crate::otel::OtelPipeline;
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::{
    NanoDollars,
    state::{
        Batch, BeginResult, Cache, ClaimResult, ClientKey, ClientKeys, Fingerprint,
        IdempotencyStore, Key, LeaseReply, LeaseRequest, Ledger, MessageRange, NewSession, Quotas,
        ReasoningStore, Replay, RequestLogBatch, RequestLogPage, RequestLogQuery, RequestLogStore,
        ResponseEvents, ResponseStore, Session, SessionFork, SessionPage, SessionPageQuery,
        SessionPatch, SessionSnapshot, SessionStore, SessionTurn, StoreError, StoredReasoning,
        StoredResponse, Tenant, Totals, WriteOutcome,
    },
};
use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A callback with the operation, its duration and its error code.
pub type OperationObserver = Arc<dyn Fn(&'static str, Duration, Option<&str>) + Send + Sync>;

/// The instrumentation applied to each port of the store.
#[derive(Clone)]
pub struct StoreInstrumentation {
    /// The backend, as `db.system.name` of the OpenTelemetry conventions.
    pub system: &'static str,
    /// The callback for each operation.
    pub observer: OperationObserver,
    /// The tracer; `None` if tracing is off.
    pub tracing: Option<Arc<OtelPipeline>>,
}

/// A port of the store whose operations are measured and traced.
pub struct InstrumentedStore<T: ?Sized> {
    inner: Arc<T>,
    instrumentation: StoreInstrumentation,
}

impl fmt::Debug for StoreInstrumentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreInstrumentation").field("system", &self.system).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for InstrumentedStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstrumentedStore")
            .field("instrumentation", &self.instrumentation)
            .finish_non_exhaustive()
    }
}

impl StoreInstrumentation {
    /// Wraps a port.
    pub fn wrap<T: ?Sized>(&self, inner: &Arc<T>) -> InstrumentedStore<T> {
        InstrumentedStore { inner: Arc::clone(inner), instrumentation: self.clone() }
    }

    async fn measure<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let span = self.tracing.as_ref().map(|tracing| tracing.store(operation, self.system));
        let began = Instant::now();
        let result = work.await;
        let error = result.as_ref().err().map(StoreError::code);
        (self.observer)(operation, began.elapsed(), error.as_deref());
        if let Some(span) = span {
            span.end(error.as_deref());
        }
        result
    }
}

/// Implements each port by forwarding its operations through `measure`.
macro_rules! ports {
    ($($port:ident as $name:literal {
        $($method:ident($($argument:ident: $type:ty),*) -> $result:ty;)+
    })+) => {$(
        #[async_trait]
        impl $port for InstrumentedStore<dyn $port> {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                let work = self.inner.$method($($argument),*);
                self.instrumentation.measure(concat!($name, ".", stringify!($method)), work).await
            })+
        }
    )+};
}

ports! {
    SessionStore as "session" {
        create(key: &Key, new: &NewSession) -> Session;
        load(key: &Key, slice: MessageRange) -> Option<SessionSnapshot>;
        append(key: &Key, turn: &SessionTurn) -> WriteOutcome;
        patch(key: &Key, patch: &SessionPatch, expected: Option<u64>) -> WriteOutcome;
        touch(key: &Key, ttl: Duration) -> WriteOutcome;
        delete(key: &Key) -> bool;
        list(tenant: &Tenant, page: &SessionPageQuery) -> SessionPage;
        fork(from: &Key, to: &str, fork: &SessionFork) -> Option<Session>;
        claim(key: &Key, token: &str, lease: Duration) -> ClaimResult;
        release(key: &Key, token: &str) -> ();
    }
    ResponseStore as "response" {
        put(key: &Key, response: &StoredResponse, ttl: Duration) -> ();
        get(key: &Key) -> Option<StoredResponse>;
        renew(key: &Key, lease: Duration) -> bool;
        end_abandoned(key: &Key, response: &StoredResponse, ttl: Duration) -> bool;
        delete(key: &Key) -> bool;
        append(key: &Key, from: u64, events: &[Bytes]) -> WriteOutcome;
        events(key: &Key, from: u64, limit: u64) -> Option<ResponseEvents>;
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
    IdempotencyStore as "idempotency" {
        begin(key: &Key, fingerprint: &Fingerprint, token: &str, lease: Duration) -> BeginResult;
        finish(key: &Key, token: &str, replay: &Replay, ttl: Duration) -> bool;
        abandon(key: &Key, token: &str) -> ();
    }
    Quotas as "quota" {
        exchange(key: &Key, request: &LeaseRequest) -> LeaseReply;
        replicas(holder: &str) -> u64;
        reset_budget(key: &Key, name: &str) -> NanoDollars;
    }
    Ledger as "ledger" {
        record(batch: &Batch) -> ();
        totals(days: RangeInclusive<u64>, client: Option<Tenant>) -> Vec<Totals>;
        renew_run(run: &str, lease: Duration) -> Vec<String>;
        close_run(run: &str, outcome: &str) -> u64;
        close_orphans(before: u64, outcome: &str) -> u64;
    }
    ClientKeys as "client_key" {
        put(key: &ClientKey) -> ();
        replace(old: &ClientKey, new: &ClientKey, added: &[ClientKey]) -> bool;
        remove(id: &str) -> bool;
        all() -> Vec<ClientKey>;
        version() -> u64;
    }
    RequestLogStore as "request_log" {
        append(batch: &RequestLogBatch) -> ();
        search(query: &RequestLogQuery) -> RequestLogPage;
    }
}
