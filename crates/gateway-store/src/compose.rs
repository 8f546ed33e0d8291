//! Construction of the stores of each backend.

use crate::{
    clock::StoreClock,
    embedded::FileStore,
    kv::{KvEngine, KvQuotas, KvStore, sweep_expired},
    limits::StoreLimits,
    local::LocalCache,
    memory::MemoryStore,
    postgres, redis,
    settings::{StoreBackend, StoreSettings},
    stores::{DurabilityClass, HealthProbe, StoreHealth, Stores},
};
use async_trait::async_trait;
use futures_util::future;
use gateway_core::state::StoreError;
use gateway_tasks::supervise;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// Opens the state that `settings` name.
///
/// A file that is in use, is not ours, is damaged or was written by a newer version is an error. A
/// Redis that is unavailable is not: it is attached when it appears. Must be called on a runtime, which
/// then does the backend's work in the background.
pub async fn open(settings: StoreSettings) -> Result<Stores, StoreError> {
    let limits = settings.limits;
    match settings.backend {
        StoreBackend::Memory => {
            let clock = StoreClock::new();
            Ok(over_map(MemoryStore::new(clock, limits.memory_bytes), clock, limits))
        }
        StoreBackend::Embedded(embedded) => {
            let clock = StoreClock::new();
            Ok(over_map(FileStore::open(embedded, clock).await?, clock, limits))
        }
        StoreBackend::Redis(settings) => redis::open(settings, limits).await,
        StoreBackend::Postgres(settings, None) => postgres::open(&settings, limits).await,
        StoreBackend::Postgres(settings, Some(redis)) => {
            let durable = postgres::open(&settings, limits).await?;
            Ok(with_limits_in(durable, redis::open(redis, limits).await?))
        }
    }
}

/// The state of `durable`, with the limits and the response cache of `volatile`.
fn with_limits_in(durable: Stores, volatile: Stores) -> Stores {
    let Stores { cache, quotas, probe, background: its_background, .. } = volatile;
    let probe = Arc::new(JointProbe { durable: durable.probe, volatile: probe });
    let mut background = durable.background;
    // Ends with the set that it is moved into.
    background.spawn(async { drop(its_background.join_all().await) });
    Stores { cache, quotas, probe, background, ..durable }
}

/// The health of two backends that are both needed.
struct JointProbe {
    durable: Arc<dyn HealthProbe>,
    volatile: Arc<dyn HealthProbe>,
}

#[async_trait]
impl HealthProbe for JointProbe {
    async fn health(&self) -> StoreHealth {
        let (mut health, limits) =
            future::join(self.durable.health(), self.volatile.health()).await;
        health.reachable &= limits.reachable;
        health.details.push(("limits", limits.backend.to_owned()));
        health.details.push(("limits_durability", limits.durability.as_str().to_owned()));
        health.warnings.extend(limits.warnings);
        health
    }

    async fn close(&self) {
        future::join(self.durable.close(), self.volatile.close()).await;
    }
}

fn over_map<E: KvEngine>(engine: E, clock: StoreClock, limits: StoreLimits) -> Stores
where
    KvStore<E>: HealthProbe,
{
    let store = Arc::new(KvStore::new(engine, clock, limits));
    let mut background = JoinSet::new();
    let swept = Arc::clone(&store);
    background.spawn(supervise("store_sweep", move || sweep_expired(Arc::clone(&swept))));
    Stores {
        sessions: store.clone(),
        responses: store.clone(),
        cache: Arc::new(LocalCache::new(clock, &limits)),
        side: store.clone(),
        idempotency: store.clone(),
        ledger: store.clone(),
        client_keys: store.clone(),
        request_log: store.clone(),
        quotas: Arc::new(KvQuotas::new(Arc::clone(&store), clock)),
        probe: store,
        background,
    }
}

#[async_trait]
impl HealthProbe for KvStore<MemoryStore> {
    async fn health(&self) -> StoreHealth {
        StoreHealth {
            reachable: true,
            backend: "memory",
            durability: DurabilityClass::Volatile,
            latency: Duration::ZERO,
            details: vec![("bytes", self.engine().bytes().to_string())],
            warnings: vec!["All state is lost when the gateway stops.".to_owned()],
        }
    }
}
