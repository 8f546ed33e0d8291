//! State in Postgres: what several gateways share, and what teams query.
//!
//! The ledger and the request log have tables of their own, whose columns are documented. Limits
//! are rows that hold the leases of all replicas. Everything else is the map that memory and the
//! file are too, in one table. This is the only module that knows the client library.

mod cache;
mod connector;
mod errors;
mod expiry;
mod health;
mod json_text;
mod ledger;
mod map;
mod pool;
mod quotas;
mod request_log;
mod schema;
#[cfg(feature = "tls")]
mod tls;
mod transaction_view;

use self::{map::PostgresMap, pool::Pool};
use crate::{
    clock::StoreClock,
    kv::{KvStore, sweep_expired},
    limits::StoreLimits,
    settings::PostgresSettings,
    stores::Stores,
};
use gateway_core::state::StoreError;
use gateway_tasks::supervise;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time};

/// Maximum time a start waits for Postgres.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ports that have tables of their own, over one pool of connections.
pub(super) struct PostgresStore {
    pool: Arc<Pool>,
    limits: StoreLimits,
    /// Everything else.
    map: Arc<KvStore<PostgresMap>>,
}

/// Connects to Postgres, and brings its tables up to date. One that is unavailable is attached when
/// it appears.
///
/// # Errors
///
/// If the settings are invalid, or the tables are of a newer version.
pub(crate) async fn open(
    settings: &PostgresSettings,
    limits: StoreLimits,
) -> Result<Stores, StoreError> {
    let pool = Pool::new(settings)?;
    match time::timeout(PATIENCE, pool.attach()).await {
        Ok(Err(error)) if !error.is_outage() => return Err(error),
        Ok(Err(error)) => tracing::warn!(%error, "Postgres is not there yet"),
        Ok(Ok(())) | Err(_) => {}
    }
    let map = PostgresMap::new(Arc::clone(&pool));
    let map = Arc::new(KvStore::new(map, StoreClock::new(), limits));
    let store = Arc::new(PostgresStore { pool: Arc::clone(&pool), limits, map: Arc::clone(&map) });
    let mut background = JoinSet::new();
    background.spawn(supervise("postgres_connection", move || Arc::clone(&pool).probe()));
    let swept = Arc::clone(&map);
    background.spawn(supervise("store_sweep", move || sweep_expired(Arc::clone(&swept))));
    let expired = Arc::clone(&store);
    background.spawn(supervise("postgres_expiry", move || expiry::run(Arc::clone(&expired))));
    Ok(Stores {
        sessions: map.clone(),
        responses: map.clone(),
        side: map.clone(),
        idempotency: map.clone(),
        client_keys: map,
        cache: store.clone(),
        quotas: store.clone(),
        ledger: store.clone(),
        request_log: store.clone(),
        probe: store,
        background,
    })
}
