//! Prices over time: a price is never overwritten, a later one takes over at its day.

use crate::{Date, Price};
use std::sync::Arc;

/// A price from a day on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PricePeriod {
    /// The first day on which it holds; from ever if absent.
    pub from: Option<Date>,
    /// The source of the figures.
    pub source: Arc<str>,
    /// The price in this period.
    pub price: Price,
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
        Self::new(vec![PricePeriod { from: None, source: source.into(), price }])
    }

    /// Returns the price that is in force on `day`. Before the first known day that is the first
    /// known price.
    pub fn at(&self, day: Date) -> Option<&PricePeriod> {
        let begun = self.0.iter().rev().find(|period| period.from.is_none_or(|from| from <= day));
        begun.or(self.0.first())
    }

    /// Returns the price that is in force today. The clock is only read where there is more than one.
    pub fn current(&self, today: impl FnOnce() -> Date) -> Option<&PricePeriod> {
        match &*self.0 {
            [] => None,
            [only] => Some(only),
            _ => self.at(today()),
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
    use crate::TokenRates;

    fn period(from: Option<&str>, input: u64) -> PricePeriod {
        let price = Price::from(TokenRates { input, ..TokenRates::default() });
        PricePeriod { from: from.and_then(Date::parse), source: "test".into(), price }
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
        let today = || Date::parse("2026-11-30").unwrap();
        assert_eq!(history.current(today).unwrap().price.rates.input, 2);
        let single = PriceHistory::new(vec![period(Some("2026-12-01"), 4)]);
        assert_eq!(single.current(today).unwrap().price.rates.input, 4);
    }

    #[test]
    fn unknown_price_is_no_price() {
        assert!(PriceHistory::default().at(Date { year: 2026, month: 1, day: 1 }).is_none());
    }
}
