//! Days and months of the calendar, in UTC.

use std::fmt::Write as _;

/// A day of the Gregorian calendar, in UTC.
///
/// ```
/// use gateway_core::Date;
///
/// let date = Date::from_days_since_epoch(20_783);
/// assert_eq!((date.text(), date.month_text()), ("2026-11-26".into(), "2026-11".into()));
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Date {
    /// The year, 1970 or later.
    pub year: u64,
    /// The month, 1 to 12.
    pub month: u64,
    /// The day of the month, from 1 on.
    pub day: u64,
}

impl Date {
    /// The day that is `days` after 1970-01-01.
    ///
    /// Years begin in March here, so that the odd day of leap years is the last of its year.
    pub const fn from_days_since_epoch(days: u64) -> Self {
        let days = days + 719_468;
        let era = days / 146_097;
        let of_era = days % 146_097;
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + if month <= 2 { 1 } else { 0 };
        Self { year, month, day }
    }

    /// Returns the days since 1970-01-01; `None` for an earlier day.
    pub const fn days(self) -> Option<u64> {
        let year = if self.month <= 2 { self.year.saturating_sub(1) } else { self.year };
        let month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let of_year = (153 * month + 2) / 5 + self.day - 1;
        let of_era = (year % 400) * 365 + (year % 400) / 4 - (year % 400) / 100 + of_year;
        (year / 400 * 146_097 + of_era).checked_sub(719_468)
    }

    /// Parses an ISO 8601 date such as `2026-11-26`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-').map(|part| {
            let plain = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| plain && part.len() <= 4)
        });
        let date = Self { year: parts.next()??, month: parts.next()??, day: parts.next()?? };
        // A day that there is comes back as itself.
        let fits = (1..=12).contains(&date.month) && (1..=31).contains(&date.day);
        (fits && Self::from_days_since_epoch(date.days()?) == date).then_some(date)
    }

    /// Formats the date as `2026-11-26`.
    pub fn text(self) -> String {
        let mut text = self.month_text();
        let _infallible = write!(text, "-{:02}", self.day);
        text
    }

    /// Its month, as `2026-11`.
    pub fn month_text(self) -> String {
        format!("{:04}-{:02}", self.year, self.month)
    }

    /// The first day of the next month.
    #[must_use]
    pub const fn next_month(self) -> Self {
        if self.month == 12 {
            return Self { year: self.year + 1, month: 1, day: 1 };
        }
        Self { year: self.year, month: self.month + 1, day: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, days: Option<u64>) {
        assert_eq!(Date::parse(text).and_then(Date::days), days, "{text}");
        if let Some(days) = days {
            assert_eq!(Date::from_days_since_epoch(days).text(), text);
        }
    }

    #[test]
    fn dates_round_trip_through_text() {
        check("1970-01-01", Some(0));
        check("2000-02-29", Some(11_016));
        check("2026-11-26", Some(20_783));
        check("2028-02-29", Some(21_243));
        check("2100-03-01", Some(47_541));
    }

    #[test]
    fn invalid_dates_are_rejected() {
        for text in
            ["", "2026", "2026-11", "2026-13-01", "2026-02-29", "2026-1-+1", "x-1-1", "1969-12-31"]
        {
            check(text, None);
        }
    }

    #[test]
    fn consecutive_days_round_trip() {
        for days in 0..60_000 {
            assert_eq!(Date::from_days_since_epoch(days).days(), Some(days));
        }
    }

    #[test]
    fn next_month_after_december_is_january() {
        let date = Date::parse("2026-12-31").unwrap();
        assert_eq!(date.next_month().text(), "2027-01-01");
    }
}
