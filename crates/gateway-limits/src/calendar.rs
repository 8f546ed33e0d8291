//! The clock of budgets and reports, in UTC.

use gateway_core::time::since_epoch;
use std::time::{Duration, SystemTime};

/// The seconds of a day.
pub const DAY: u64 = 86_400;

/// Returns the current time since 1970-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "budgets and reports need the date")]
pub fn now() -> Duration {
    since_epoch(SystemTime::now())
}
