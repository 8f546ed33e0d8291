//! The periods of budgets, in UTC.

use crate::calendar::DAY;
use gateway_core::Date;
use gateway_tasks::unix_time;
use std::time::Duration;

/// The period after which a budget begins anew.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BudgetPeriod {
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A calendar month.
    Month,
    /// No period: the budget is for all time, until it is reset.
    Total,
}

/// The name of the budget that never begins anew.
const TOTAL: &str = "total";

/// The time for which the sum of a budget for all time is kept.
const CENTURY_DAYS: u64 = 36_525;

/// A day, week or month, as days since 1970-01-01.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PeriodSpan {
    pub(crate) period: BudgetPeriod,
    pub(crate) first_day: u64,
    pub(crate) end_day: u64,
    /// Such as `2026-11-30`, `2026-W49`, `2026-11` or `total`.
    pub(crate) name: String,
    /// The time for which the store keeps the sum.
    pub(crate) keep: Duration,
}

impl BudgetPeriod {
    /// All periods, the shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Total];

    /// Returns the name of the period: `day`, `week`, `month`, `total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => TOTAL,
        }
    }

    /// Returns the setting of a budget of this period.
    pub(crate) const fn setting(self) -> &'static str {
        match self {
            Self::Day => "daily_budget_usd",
            Self::Week => "weekly_budget_usd",
            Self::Month => "monthly_budget_usd",
            Self::Total => "total_budget_usd",
        }
    }

    /// Returns the period called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == name)
    }

    /// Returns the span of the period that contains `day`.
    pub(crate) fn span(self, day: u64) -> PeriodSpan {
        let date = Date::from_days_since_epoch(day);
        let (first_day, end_day, name, keep_days) = match self {
            Self::Day => (day, day + 1, date.text(), 3),
            Self::Week => {
                let monday = monday(day);
                let (year, week) = date.iso_week().unwrap_or((date.year, 0));
                (monday, monday + 7, format!("{year:04}-W{week:02}"), 10)
            }
            Self::Month => {
                let first = Date { day: 1, ..date }.days();
                let end = date.next_month().days();
                (first.unwrap_or(day), end.unwrap_or(day + 1), date.month_text(), 35)
            }
            Self::Total => (0, u64::MAX, TOTAL.to_owned(), CENTURY_DAYS),
        };
        let keep = Duration::from_secs(keep_days * DAY);
        PeriodSpan { period: self, first_day, end_day, name, keep }
    }
}

impl PeriodSpan {
    /// Whether `day` is one of its days.
    pub(crate) fn contains(&self, day: u64) -> bool {
        (self.first_day..self.end_day).contains(&day)
    }

    /// Returns the day on which a budget begins anew; `None` if it never does.
    pub(crate) fn next_start(&self) -> Option<u64> {
        (self.end_day != u64::MAX).then_some(self.end_day)
    }

    /// Returns the time until a budget begins anew; `None` if it never does.
    pub(crate) fn until_next(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.next_start()? * DAY).saturating_sub(unix_time()))
    }
}

/// The Monday of the week of `day`. 1970-01-01 was a Thursday.
const fn monday(day: u64) -> u64 {
    day.saturating_sub((day + 3) % 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::current_day;

    /// The spans that contain `date`, as `name first..end`.
    #[track_caller]
    fn check(date: &str, expected: [&str; 3]) {
        let day = Date::parse(date).and_then(Date::days).unwrap();
        let text = |day| Date::from_days_since_epoch(day).text();
        let periods = [BudgetPeriod::Day, BudgetPeriod::Week, BudgetPeriod::Month];
        let spans = periods.map(|period| {
            let it = period.span(day);
            assert!(it.contains(day));
            assert_eq!(it.next_start(), Some(it.end_day));
            format!("{} {}..{}", it.name, text(it.first_day), text(it.end_day))
        });
        assert_eq!(spans, expected);
    }

    #[test]
    fn span_contains_its_day() {
        check(
            "2026-11-30",
            [
                "2026-11-30 2026-11-30..2026-12-01",
                "2026-W49 2026-11-30..2026-12-07",
                "2026-11 2026-11-01..2026-12-01",
            ],
        );
        check(
            "2027-01-03",
            [
                "2027-01-03 2027-01-03..2027-01-04",
                "2026-W53 2026-12-28..2027-01-04",
                "2027-01 2027-01-01..2027-02-01",
            ],
        );
    }

    #[test]
    fn total_budget_never_begins_anew() {
        let span = BudgetPeriod::Total.span(20_000);
        assert!(span.contains(u64::MAX - 1));
        assert_eq!((span.name.as_str(), span.until_next()), ("total", None));
        let week = BudgetPeriod::Week.span(current_day());
        assert!(week.until_next().unwrap() <= Duration::from_secs(7 * DAY));
    }
}
