//! All state ports of one backend.

use async_trait::async_trait;
use gateway_core::state::{
    Cache, ClientKeys, IdempotencyStore, Ledger, Quotas, ReasoningStore, RequestLogStore,
    ResponseStore, SessionStore,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};

/// The stores of all state that outlives a request.
///
/// Dropping it stops its background work; [`close`](Self::close) also waits until all is safe.
pub struct Stores {
    /// The store of sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Answers that can be asked for later.
    pub responses: Arc<dyn ResponseStore>,
    /// Answers that need not be asked for twice.
    pub cache: Arc<dyn Cache>,
    /// Store of reasoning that dialects cannot carry.
    pub side: Arc<dyn ReasoningStore>,
    /// Requests that were already made.
    pub idempotency: Arc<dyn IdempotencyStore>,
    /// The usage ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The quota store.
    pub quotas: Arc<dyn Quotas>,
    /// Keys that are given to clients.
    pub client_keys: Arc<dyn ClientKeys>,
    /// The log of requests.
    pub request_log: Arc<dyn RequestLogStore>,
    pub(crate) probe: Arc<dyn HealthProbe>,
    /// Ends with this value.
    pub(crate) background: JoinSet<()>,
}

/// The health of a backend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreHealth {
    /// Whether it answers, and takes writes.
    pub reachable: bool,
    /// Backend name: `memory`, `embedded`, `redis`, `postgres`.
    pub backend: &'static str,
    /// Durability class of acknowledged writes.
    pub durability: DurabilityClass,
    /// Latency of the health check.
    pub latency: Duration,
    /// More, as names and values: for operators. No secrets.
    pub details: Vec<(&'static str, String)>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

/// The event that loses acknowledged writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DurabilityClass {
    /// Survives a power cut.
    PowerSafe,
    /// Survives a crash of the process; a power cut may take the last second.
    CrashSafe,
    /// Does not survive a crash.
    Volatile,
    /// The durability is unknown.
    Unknown,
}

impl DurabilityClass {
    /// Returns the stable name, for health replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PowerSafe => "power-safe",
            Self::CrashSafe => "crash-safe",
            Self::Volatile => "volatile",
            Self::Unknown => "unknown",
        }
    }
}

/// Looks after a backend.
#[async_trait]
pub(crate) trait HealthProbe: Send + Sync {
    async fn health(&self) -> StoreHealth;

    /// Makes safe what is not yet, and stops.
    async fn close(&self) {}
}

/// Says how well a backend is, after it was closed as well.
#[derive(Clone)]
pub struct HealthMonitor(Arc<dyn HealthProbe>);

impl HealthMonitor {
    /// Checks the health of the backend with one call.
    pub async fn health(&self) -> StoreHealth {
        let asked = Instant::now();
        let health = self.0.health().await;
        StoreHealth { latency: asked.elapsed(), ..health }
    }
}

impl fmt::Debug for HealthMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Stores {
    /// Something that says how well the backend is, for those who do not own it.
    pub fn watch(&self) -> HealthMonitor {
        HealthMonitor(Arc::clone(&self.probe))
    }

    /// Checks the health of the backend with one call.
    pub async fn health(&self) -> StoreHealth {
        self.watch().health().await
    }

    /// Makes safe what is not yet, and stops. Calls that come later fail.
    pub async fn close(mut self) {
        self.background.shutdown().await;
        self.probe.close().await;
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}
