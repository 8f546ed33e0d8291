//! The one clock of the crate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Milliseconds since 1970 that never go back: the wall clock is read once, at the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreClock {
    started: Instant,
    started_ms: u64,
}

impl StoreClock {
    /// A clock that is right now.
    #[expect(clippy::disallowed_methods, reason = "this is the one clock of the crate")]
    pub(crate) fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_ms: millis(wall) }
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

/// Whole milliseconds of `duration`; at least one of any duration that is not nothing, so that a
/// short life is not an endless one.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
