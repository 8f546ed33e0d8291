//! Size limits of a store.

use std::time::Duration;

/// Size limits of a store. Every limit rejects or evicts; none drops session data silently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreLimits {
    /// Messages of one session.
    pub session_messages: u64,
    /// Bytes of the messages of one session.
    pub session_bytes: u64,
    /// Bytes of the context of one session.
    pub context_bytes: u64,
    /// Steps of one kept answer.
    pub response_events: u64,
    /// Bytes of one kept answer, or of its steps.
    pub response_bytes: u64,
    /// Entries of the side store, for each tenant. The oldest go first.
    pub asides: u64,
    /// Bytes of one cached value. What is larger is not cached.
    pub cache_value_bytes: u64,
    /// Bytes of all that is cached in this process.
    pub cache_bytes: u64,
    /// Bytes of one reply kept for idempotency.
    pub replay_bytes: u64,
    /// The state of one tenant.
    pub tenant: TenantLimits,
    /// Bytes of all that the memory backend keeps.
    pub memory_bytes: u64,
    /// Days for which the ledger keeps closed rows and totals.
    pub ledger_days: u64,
    /// The log of requests.
    pub request_log: RequestLogLimits,
}

/// Bounds on the log of requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestLogLimits {
    /// The number of requests; the oldest are dropped.
    pub requests: u64,
    /// The time for which a request is kept.
    pub ttl: Duration,
}

impl Default for RequestLogLimits {
    fn default() -> Self {
        Self { requests: 100_000, ttl: Duration::from_hours(7 * 24) }
    }
}

/// Bounds on the state of one tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TenantLimits {
    /// Bytes of sessions, responses and replies together.
    pub bytes: u64,
    /// Sessions.
    pub sessions: u64,
    /// Stored responses and conversations.
    pub responses: u64,
    /// Replies kept for idempotency.
    pub replays: u64,
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self { bytes: 256 << 20, sessions: 100_000, responses: 100_000, replays: 100_000 }
    }
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            session_messages: 1_000,
            session_bytes: 4 << 20,
            context_bytes: 64 << 10,
            response_events: 20_000,
            response_bytes: 8 << 20,
            asides: 10_000,
            cache_value_bytes: 256 << 10,
            cache_bytes: 64 << 20,
            replay_bytes: 4 << 20,
            tenant: TenantLimits::default(),
            memory_bytes: 512 << 20,
            ledger_days: 400,
            request_log: RequestLogLimits::default(),
        }
    }
}
