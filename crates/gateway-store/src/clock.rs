//! The one clock of the crate.

use gateway_tasks::unix_time;
use tokio::time::Instant;

/// Milliseconds since 1970 that never go back: the wall clock is read once, at the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreClock {
    started: Instant,
    started_ms: u64,
}

impl StoreClock {
    /// A clock that is right now.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), started_ms: millis(unix_time()) }
    }

    /// Returns the start time, which identifies the process: no two users of one file share it.
    pub(crate) fn started(&self) -> u64 {
        self.started_ms
    }

    /// Returns the current time in milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.started_ms.saturating_add(millis(self.started.elapsed()))
    }

    /// Returns the current time in microseconds since 1970.
    pub(crate) fn now_us(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.started_ms.saturating_mul(1_000).saturating_add(elapsed)
    }
}

// Rounded up: a lifetime of 0 would be an endless one.
pub(crate) use gateway_core::time::millis_rounded_up as millis;
