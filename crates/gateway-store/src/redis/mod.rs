//! State in Redis: what several gateways share.
//!
//! All that changes state is a script, so that it happens in one step or not at all, and may be
//! sent again. This is the only module that knows the client library.

mod cache;
mod client_keys;
mod connection;
mod errors;
mod health;
mod idempotency;
mod keys;
mod ledger;
mod quotas;
mod reasoning;
mod reply;
mod request_log;
mod responses;
mod script;
mod session_list;
mod sessions;
mod tenant_usage;

use self::connection::RedisConnection;
use crate::{clock::StoreClock, limits::StoreLimits, settings, stores::Stores};
use gateway_core::state::StoreError;
use gateway_tasks::supervise;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// Maximum time a start waits for Redis.
const PATIENCE: Duration = Duration::from_secs(2);

/// All ports, over one connection.
pub(super) struct RedisStore {
    link: Arc<RedisConnection>,
    clock: StoreClock,
}

/// Connects to Redis. One that is unavailable is attached when it appears.
pub(crate) async fn open(
    settings: settings::RedisSettings,
    limits: StoreLimits,
) -> Result<Stores, StoreError> {
    let link = RedisConnection::open(&settings, limits)?;
    let mut background = JoinSet::new();
    let kept = Arc::clone(&link);
    background.spawn(supervise("redis_connection", move || Arc::clone(&kept).run()));
    link.attach(PATIENCE).await;
    let remote = Arc::new(RedisStore { link, clock: StoreClock::new() });
    Ok(Stores {
        sessions: remote.clone(),
        responses: remote.clone(),
        cache: remote.clone(),
        side: remote.clone(),
        idempotency: remote.clone(),
        ledger: remote.clone(),
        quotas: remote.clone(),
        client_keys: remote.clone(),
        request_log: remote.clone(),
        probe: remote,
        background,
    })
}
