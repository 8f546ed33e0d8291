//! Construction of the stores of each backend.

use crate::{
    clock::StoreClock,
    embedded::FileStore,
    kv::{KvEngine, KvQuotas, KvStore},
    limits::StoreLimits,
    local::LocalCache,
    memory::MemoryStore,
    redis,
    settings::{StoreBackend, StoreSettings},
    stores::{DurabilityClass, HealthProbe, StoreHealth, Stores},
};
use async_trait::async_trait;
use gateway_core::state::StoreError;
use gateway_tasks::supervise;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time};

/// Interval of the sweep of expired records.
const SWEEP: Duration = Duration::from_secs(1);

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
    }
}

fn over_map<E: KvEngine>(engine: E, clock: StoreClock, limits: StoreLimits) -> Stores
where
    KvStore<E>: HealthProbe,
{
    let store = Arc::new(KvStore::new(engine, clock, limits));
    let mut background = JoinSet::new();
    let swept = Arc::clone(&store);
    background.spawn(supervise("store_sweep", move || sweep(Arc::clone(&swept))));
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

async fn sweep<E: KvEngine>(store: Arc<KvStore<E>>) {
    let mut ticks = time::interval(SWEEP);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A store in trouble is told of where it matters. What has ended is not shown meanwhile.
        while let Ok(true) = store.sweep().await {}
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
