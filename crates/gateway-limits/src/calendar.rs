//! The clock of budgets and reports, in UTC.

use gateway_core::{Date, time::since_epoch};
use std::time::{Duration, SystemTime};

/// The seconds of a day.
pub const DAY: u64 = 86_400;

/// Returns the current day in UTC.
pub(crate) fn today() -> Date {
    Date::from_days_since_epoch(now().as_secs() / DAY)
}

/// Returns the current time since 1970-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "budgets and reports need the date")]
pub fn now() -> Duration {
    since_epoch(SystemTime::now())
}
