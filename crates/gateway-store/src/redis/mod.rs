//! State in Redis: what several gateways share.
//!
//! All that changes state is a script, so that it happens in one step or not at all, and may be
//! sent again. This is the only module that knows the client library.

mod breaker;
mod cache;
mod client_keys;
mod fault;
mod health;
mod keys;
mod ledger;
mod link;
mod quotas;
mod replays;
mod reply;
mod responses;
mod script;
mod session_list;
mod sessions;
mod side;
#[cfg(feature = "tls")]
mod tls;

use self::link::Link;
use crate::{clock::Clock, limits::Limits, settings, share::Share, stores::Stores};
use gateway_core::state::StoreError;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// How long a start waits for Redis before it goes on without.
const PATIENCE: Duration = Duration::from_secs(2);

/// All ports, over one connection.
pub(super) struct Remote {
    link: Arc<Link>,
    clock: Clock,
}

/// Connects to Redis. One that is away is attached when it appears.
pub(crate) async fn open(settings: settings::Redis, limits: Limits) -> Result<Stores, StoreError> {
    let link = Link::open(&settings, limits)?;
    let mut background = JoinSet::new();
    background.spawn(Arc::clone(&link).run());
    link.attach(PATIENCE).await;
    let remote = Arc::new(Remote { link, clock: Clock::new() });
    let quotas = Arc::new(Share::new(remote.clone(), remote.clock));
    background.spawn(Arc::clone(&quotas).run());
    Ok(Stores {
        sessions: remote.clone(),
        responses: remote.clone(),
        cache: remote.clone(),
        side: remote.clone(),
        idempotency: remote.clone(),
        ledger: remote.clone(),
        quotas,
        client_keys: remote.clone(),
        probe: remote,
        background,
    })
}
