//! The log of requests.

use super::{section::section, state::StoreBackend};
use std::time::Duration;

section! {
    /// The [request log](operations.md#request-log): every request to a model and every refusal, in the store.
    pub RequestLogSection {
        /// Whether requests are logged in the store.
        enabled: bool = true, prefixed ["REQUEST_LOG_ENABLED"];
        /// Time for which a request is kept.
        ttl: Duration = Duration::from_hours(7 * 24), within Duration::from_mins(1)..=Duration::from_hours(90 * 24);
        /// Maximum number of requests that are kept; the oldest are dropped. Default: 1,000,000 in Postgres, 100,000 in a file, 10,000 in memory and in Redis.
        max_requests: Option<u64> = None, within Some(100)..=Some(100_000_000);
    }
}

impl RequestLogSection {
    /// Returns the number of requests that are kept in `backend`.
    pub fn requests(&self, backend: StoreBackend) -> u64 {
        let usual = match backend {
            StoreBackend::Postgres => 1_000_000,
            StoreBackend::Embedded => 100_000,
            StoreBackend::Memory | StoreBackend::Redis => 10_000,
        };
        self.max_requests.unwrap_or(usual)
    }
}
