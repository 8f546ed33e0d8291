//! Hours of the week in which a provider charges less.

use crate::Price;
use std::{sync::Arc, time::Duration};

/// The minutes of a day.
const DAY: u16 = 24 * 60;

/// A time of the day on some days of the week, in UTC.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PriceWindow {
    /// The days on which it holds, a bit each: the lowest for Monday.
    days: u8,
    /// The first minute of the day in which it holds.
    from: u16,
    /// The first minute after it, at most that of the day's end.
    to: u16,
}

/// A price for some hours of the week.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OffPeakPrice {
    /// The hours in which it holds.
    pub windows: Arc<[PriceWindow]>,
    /// The price in these hours.
    pub price: Price,
}

impl PriceWindow {
    /// Every day of the week.
    pub const ALL_DAYS: u8 = 0b111_1111;

    /// Returns the window of the minutes `from` to `to` of `days`; `None` for one that is empty or
    /// that ends before it begins.
    pub fn new(days: u8, from: u16, to: u16) -> Option<Self> {
        let is_valid = days != 0 && days <= Self::ALL_DAYS && from < to && to <= DAY;
        is_valid.then_some(Self { days, from, to })
    }

    /// Returns the windows of a time of the day that may extend over midnight. One that ends at the
    /// minute at which it begins is the whole day.
    pub fn around_midnight(days: u8, from: u16, to: u16) -> Vec<Self> {
        let parts = if from < to { [(from, to), (0, 0)] } else { [(0, to), (from, DAY)] };
        parts.into_iter().filter_map(|(from, to)| Self::new(days, from, to)).collect()
    }

    /// Returns the days, a bit each: the lowest for Monday.
    pub const fn days(self) -> u8 {
        self.days
    }

    /// Returns the first minute of the day in which it holds, and the first after it.
    pub const fn minutes(self) -> (u16, u16) {
        (self.from, self.to)
    }

    /// Whether it holds at a time since 1970-01-01 in UTC, which was a Thursday.
    pub fn contains(self, since_epoch: Duration) -> bool {
        let minutes = since_epoch.as_secs() / 60;
        let (day, minute) = (minutes / u64::from(DAY), minutes % u64::from(DAY));
        let weekday = (day + 3) % 7;
        self.days & (1 << weekday) != 0
            && (u64::from(self.from)..u64::from(self.to)).contains(&minute)
    }
}

impl OffPeakPrice {
    /// Whether the price holds at a time since 1970-01-01 in UTC.
    pub fn contains(&self, since_epoch: Duration) -> bool {
        self.windows.iter().any(|window| window.contains(since_epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Date;

    /// A minute of a day of the calendar.
    fn at(day: &str, minute: u64) -> Duration {
        let days = Date::parse(day).unwrap().days().unwrap();
        Duration::from_secs((days * 24 * 60 + minute) * 60)
    }

    #[test]
    fn window_holds_from_its_first_minute_to_its_end_on_its_days() {
        let monday = PriceWindow::new(1, 60, 120).unwrap();
        for (day, minute, expected) in [
            ("2026-11-30", 59, false),
            ("2026-11-30", 60, true),
            ("2026-11-30", 119, true),
            ("2026-11-30", 120, false),
            ("2026-12-01", 60, false),
            ("2026-12-06", 60, false),
            ("2026-12-07", 60, true),
        ] {
            assert_eq!(monday.contains(at(day, minute)), expected, "{day} {minute}");
        }
    }

    #[test]
    fn window_over_midnight_has_two_parts() {
        let days = PriceWindow::ALL_DAYS;
        let parts = |from, to| -> Vec<_> {
            PriceWindow::around_midnight(days, from, to).iter().map(|it| it.minutes()).collect()
        };
        assert_eq!(parts(990, 30), [(0, 30), (990, 1440)]);
        assert_eq!(parts(600, 0), [(600, 1440)]);
        assert_eq!(parts(0, 0), [(0, 1440)]);
        assert_eq!(parts(60, 120), [(60, 120)]);
    }

    #[test]
    fn impossible_window_is_rejected() {
        for (days, from, to) in [(0, 0, 10), (128, 0, 10), (1, 10, 10), (1, 10, 5), (1, 0, 1441)] {
            assert_eq!(PriceWindow::new(days, from, to), None);
        }
    }
}
