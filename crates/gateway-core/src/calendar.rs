//! Days and months of the calendar, in UTC.

use std::fmt::Write as _;

/// The Julian day number of 1970-01-01.
const EPOCH: i32 = 2_440_588;

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
    /// The day that is `days` after 1970-01-01; the last day of the year 9999 for a later one.
    pub fn from_days_since_epoch(days: u64) -> Self {
        let julian = i32::try_from(days).ok().and_then(|days| days.checked_add(EPOCH));
        let date = julian.and_then(|julian| time::Date::from_julian_day(julian).ok());
        let (year, month, day) = date.unwrap_or(time::Date::MAX).to_calendar_date();
        // Years before 1970 have been ruled out.
        Self { year: year.unsigned_abs().into(), month: u8::from(month).into(), day: day.into() }
    }

    /// Returns the days since 1970-01-01; `None` for an earlier day, and for one that does not exist.
    pub fn days(self) -> Option<u64> {
        u64::try_from(self.civil()?.to_julian_day() - EPOCH).ok()
    }

    /// Returns the year and the number of the week, as ISO 8601 counts them; `None` for a day that
    /// does not exist.
    pub fn iso_week(self) -> Option<(u64, u64)> {
        let (year, week, _) = self.civil()?.to_iso_week_date();
        Some((year.unsigned_abs().into(), week.into()))
    }

    fn civil(self) -> Option<time::Date> {
        let month = time::Month::try_from(u8::try_from(self.month).ok()?).ok()?;
        let (year, day) = (i32::try_from(self.year).ok()?, u8::try_from(self.day).ok()?);
        time::Date::from_calendar_date(year, month, day).ok()
    }

    /// Parses an ISO 8601 date such as `2026-11-26`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-').map(|part| {
            let plain = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| plain && part.len() <= 4)
        });
        let date = Self { year: parts.next()??, month: parts.next()??, day: parts.next()?? };
        date.days().map(|_| date)
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
    fn days_beyond_the_calendar_are_its_last() {
        assert_eq!(Date::from_days_since_epoch(u64::MAX).text(), "9999-12-31");
    }

    #[test]
    fn week_belongs_to_the_year_of_its_thursday() {
        let check = |day: &str, expected| {
            assert_eq!(Date::parse(day).and_then(Date::iso_week), Some(expected), "{day}");
        };
        check("2026-11-30", (2026, 49));
        check("2027-01-03", (2026, 53));
        check("2024-12-30", (2025, 1));
    }

    #[test]
    fn next_month_after_december_is_january() {
        let date = Date::parse("2026-12-31").unwrap();
        assert_eq!(date.next_month().text(), "2027-01-01");
    }
}
