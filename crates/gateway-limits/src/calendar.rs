//! The days of budgets and reports, in UTC.

use gateway_tasks::unix_time;

/// The seconds of a day.
pub const DAY: u64 = 86_400;

/// Returns the current day in UTC, counted from 1970-01-01.
pub(crate) fn current_day() -> u64 {
    unix_time().as_secs() / DAY
}
