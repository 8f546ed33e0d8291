//! The service that knows the requests made under a key.

use gateway_core::state;
use std::{fmt, sync::Arc, time::Duration};
use tokio_util::task::TaskTracker;

/// The lease of a running attempt; renewed while it runs.
pub(super) const LEASE: Duration = Duration::from_secs(20);

/// The idempotent requests of the gateway.
///
/// Clones share the running attempts.
#[derive(Clone)]
pub struct Idempotency {
    pub(super) store: Arc<dyn state::IdempotencyStore>,
    /// The retention of a stored response.
    pub(super) ttl: Duration,
    /// The maximum size of a stored reply, in bytes.
    pub(super) max_bytes: usize,
    pub(super) attempts: TaskTracker,
}

impl Idempotency {
    /// Creates a service that stores replies of at most `max_bytes` for `ttl` in `store`.
    pub fn new(store: Arc<dyn state::IdempotencyStore>, ttl: Duration, max_bytes: usize) -> Self {
        Self { store, ttl, max_bytes, attempts: TaskTracker::new() }
    }

    /// Returns a service with another `ttl`, which shares the running attempts.
    #[must_use]
    pub fn with(&self, ttl: Duration) -> Self {
        Self {
            store: Arc::clone(&self.store),
            ttl,
            max_bytes: self.max_bytes,
            attempts: self.attempts.clone(),
        }
    }

    /// Waits until the result of every attempt is stored. Dropping the future cancels nothing.
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
