//! The wall clock of the process.

use gateway_core::time::since_epoch;
use std::time::{Duration, SystemTime};

/// Returns the time since 1970-01-01 in UTC.
///
/// It is for what people and other processes read: dates of budgets, timestamps, expiry. It can step
/// back, so durations are measured with `tokio::time::Instant`.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the wall clock")]
pub fn unix_time() -> Duration {
    since_epoch(SystemTime::now())
}

/// Returns a name that no other run of a process has: the time and the process id.
pub fn run_name() -> String {
    format!("{:x}{:x}", unix_time().as_nanos(), std::process::id())
}
