//! Prices over time: a price is never overwritten, a later one takes over at its day.

use crate::{Date, OffPeakPrice, Price};
use std::{sync::Arc, time::Duration};

/// The seconds of a day.
const DAY: u64 = 86_400;

/// A price from a day on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PricePeriod {
    /// The first day on which it holds; from ever if absent.
    pub from: Option<Date>,
    /// The source of the figures.
    pub source: Arc<str>,
    /// The price in this period.
    pub price: Price,
    /// The price of some hours of the week; absent if all cost the same.
    pub off_peak: Option<OffPeakPrice>,
}

impl PricePeriod {
    /// Returns the price at a time since 1970-01-01 in UTC, within the period.
    pub fn price_at(&self, since_epoch: Duration) -> &Price {
        let off_peak = self.off_peak.as_ref().filter(|it| it.contains(since_epoch));
        off_peak.map_or(&self.price, |it| &it.price)
    }
}

/// The prices of a model, in the order of their first days.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PriceHistory(Arc<[PricePeriod]>);

impl PriceHistory {
    /// Orders `periods` by their first day.
    pub fn new(mut periods: Vec<PricePeriod>) -> Self {
        periods.sort_by_key(|period| period.from);
        Self(periods.into())
    }

    /// A price that always held.
    pub fn fixed(price: Price, source: &str) -> Self {
        Self::new(vec![PricePeriod { from: None, source: source.into(), price, off_peak: None }])
    }

    /// Returns the price that is in force on `day`. Before the first known day that is the first
    /// known price.
    pub fn at(&self, day: Date) -> Option<&PricePeriod> {
        self.0.get(self.index_at(day))
    }

    /// Returns the index of the period that is in force on `day` among
    /// [all periods](Self::periods); 0 if there is none.
    pub fn index_at(&self, day: Date) -> usize {
        let begun = |period: &PricePeriod| period.from.is_none_or(|from| from <= day);
        self.0.iter().rposition(begun).unwrap_or_default()
    }

    /// Returns the price that is in force at the time `now` since 1970-01-01 in UTC. The clock is only
    /// read where there is more than one.
    pub fn current(&self, now: impl FnOnce() -> Duration) -> Option<&Price> {
        match &*self.0 {
            [] => None,
            [PricePeriod { price, off_peak: None, .. }] => Some(price),
            _ => {
                let now = now();
                let period = self.at(Date::from_days_since_epoch(now.as_secs() / DAY))?;
                Some(period.price_at(now))
            }
        }
    }

    /// Whether no price is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the periods, earliest first.
    pub fn periods(&self) -> &[PricePeriod] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PriceWindow, TokenRates};

    fn period(from: Option<&str>, input: u64) -> PricePeriod {
        let price = Price::from(TokenRates { input, ..TokenRates::default() });
        PricePeriod {
            from: from.and_then(Date::parse),
            source: "test".into(),
            price,
            off_peak: None,
        }
    }

    #[test]
    fn price_in_force_on_the_day_counts() {
        let history =
            PriceHistory::new(vec![period(Some("2026-12-01"), 4), period(Some("2026-10-01"), 2)]);
        let input = |day: &str| history.at(Date::parse(day).unwrap()).unwrap().price.rates.input;
        assert_eq!(input("2026-09-30"), 2);
        assert_eq!(input("2026-11-30"), 2);
        assert_eq!(input("2026-12-01"), 4);
        assert_eq!(input("2027-06-01"), 4);
        let now = || at("2026-11-30", 0);
        assert_eq!(history.current(now).unwrap().rates.input, 2);
        let single = PriceHistory::new(vec![period(Some("2026-12-01"), 4)]);
        assert_eq!(single.current(now).unwrap().rates.input, 4);
    }

    /// An hour of a day of the calendar.
    fn at(day: &str, hour: u64) -> Duration {
        let days = Date::parse(day).unwrap().days().unwrap();
        Duration::from_secs(days * DAY + hour * 3600)
    }

    #[test]
    fn hours_with_a_price_of_their_own_have_that_price() {
        let windows = PriceWindow::around_midnight(PriceWindow::ALL_DAYS, 22 * 60, 6 * 60).into();
        let off_peak = Some(OffPeakPrice { windows, price: period(None, 1).price });
        let history = PriceHistory::new(vec![PricePeriod { off_peak, ..period(None, 4) }]);
        let input = |hour| history.current(|| at("2026-11-30", hour)).unwrap().rates.input;
        assert_eq!([5, 6, 21, 22].map(input), [1, 4, 4, 1]);
    }

    #[test]
    fn unknown_price_is_no_price() {
        assert!(PriceHistory::default().at(Date { year: 2026, month: 1, day: 1 }).is_none());
    }
}
