//! The service that knows the requests made under a key.

use gateway_core::state;
use std::{fmt, sync::Arc, time::Duration};
use tokio_util::task::TaskTracker;

/// The lease of a running attempt; renewed while it runs.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// Knows the requests that were made under a key.
///
/// Clones share what is under way.
#[derive(Clone)]
pub struct Idempotency {
    pub(super) store: Arc<dyn state::Idempotency>,
    /// The retention of a stored response.
    pub(super) ttl: Duration,
    /// The largest reply that is kept.
    pub(super) max_bytes: usize,
    pub(super) attempts: TaskTracker,
}

impl Idempotency {
    /// Keeps replies of at most `max_bytes` for `ttl` in `store`.
    pub fn new(store: Arc<dyn state::Idempotency>, ttl: Duration, max_bytes: usize) -> Self {
        Self { store, ttl, max_bytes, attempts: TaskTracker::new() }
    }

    /// Keeps replies for `ttl` from now on; the attempts that are under way are shared.
    #[must_use]
    pub fn with(&self, ttl: Duration) -> Self {
        Self {
            store: Arc::clone(&self.store),
            ttl,
            max_bytes: self.max_bytes,
            attempts: self.attempts.clone(),
        }
    }

    /// Waits until what became of every attempt is noted. Dropping the future waits no longer, and
    /// cancels nothing.
    pub async fn settled(&self) {
        self.attempts.close();
        self.attempts.wait().await;
    }
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}
