//! The time of day, as budgets and reports count it: UTC.

use std::time::{Duration, SystemTime};

/// The seconds of a day.
pub const DAY: u64 = 86_400;

/// The time of day: seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "budgets and reports go by the time of day")]
pub fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
