//! The retry budget of a provider: a share of its calls, with a floor.
//!
//! A retry that helps one request in a quiet hour is the retry that keeps a provider down during an
//! outage. The budget therefore allows whichever is more:
//!
//! - a tenth of the calls, so that a busy gateway adds at most a tenth to the load of a provider
//!   that fails;
//! - [`FLOOR`] retries per second, so that a quiet gateway always retries: the load that it adds is
//!   small, however large its share.
//!
//! Retries by callers are calls like any other: they earn their share, and are not limited here.

use tokio::time::Instant;

/// The retries that each call earns.
const SHARE: f64 = 0.1;

/// The retries that each second earns.
const FLOOR: f64 = 5.0;

/// Maximum number of retries saved up, and the number at the start.
const MAX_SAVED: f64 = 10.0;

/// Maximum number of retries that an allowance owes. After a change between busy and quiet traffic,
/// the allowance that begins to count has caught up within `(MAX_OWED + 1) / FLOOR` seconds.
const MAX_OWED: f64 = 10.0;

/// Two allowances of retries. A retry needs one of the two and is charged to both, which makes their
/// sum over time the larger of the two, not the sum of both: an allowance that has nothing left owes
/// the retries that the other one allows, up to [`MAX_OWED`].
#[derive(Debug)]
pub(crate) struct RetryBudget {
    by_share: f64,
    by_floor: f64,
    refilled_at: Instant,
}

impl RetryBudget {
    /// The budget of a provider that has not been called.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { by_share: MAX_SAVED, by_floor: MAX_SAVED, refilled_at: now }
    }

    /// Records a call, which earns its share.
    pub(crate) fn record_call(&mut self, now: Instant) {
        self.refill(now);
        self.by_share = (self.by_share + SHARE).min(MAX_SAVED);
    }

    /// Takes one retry, if one is left.
    pub(crate) fn try_retry(&mut self, now: Instant) -> bool {
        self.refill(now);
        let is_allowed = self.by_share.max(self.by_floor) >= 1.0;
        if is_allowed {
            self.by_share = (self.by_share - 1.0).max(-MAX_OWED);
            self.by_floor = (self.by_floor - 1.0).max(-MAX_OWED);
        }
        is_allowed
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled_at).as_secs_f64();
        self.refilled_at = now;
        self.by_floor = (self.by_floor + FLOOR * seconds).min(MAX_SAVED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Returns the retries allowed within a minute in which every one of `per_second` calls fails
    /// and asks for two retries.
    fn retries_in_a_minute(per_second: u32) -> u32 {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        let mut retries = 0;
        for call in 0..60 * per_second {
            let now = start + Duration::from_secs(1) / per_second * call;
            budget.record_call(now);
            retries += u32::from(budget.try_retry(now)) + u32::from(budget.try_retry(now));
        }
        retries
    }

    #[track_caller]
    fn check(per_second: u32, at_least: u32, at_most: u32) {
        let retries = retries_in_a_minute(per_second);
        assert!((at_least..=at_most).contains(&retries), "{per_second}/s: {retries} retries");
    }

    #[test]
    fn quiet_gateway_always_retries() {
        check(1, 120, 120);
        check(2, 240, 240);
    }

    #[test]
    fn floor_bounds_retries_of_moderate_traffic() {
        check(10, 295, 310);
        check(40, 295, 310);
    }

    #[test]
    fn share_bounds_retries_of_busy_gateway() {
        check(100, 590, 610);
        check(1000, 5990, 6010);
    }

    /// A burst and its tail earn the larger of both allowances, not one after the other.
    #[test]
    fn burst_with_slow_tail_earns_larger_allowance() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        let mut retries = 0;
        for _ in 0..200 {
            budget.record_call(start);
            retries += u32::from(budget.try_retry(start));
        }
        for tick in 0..200 {
            let later = start + Duration::from_millis(10) * tick;
            retries += u32::from(budget.try_retry(later));
        }
        assert!((29..=30).contains(&retries), "200 calls earn 20 beside the first 10: {retries}");
    }

    #[test]
    fn idle_budget_saves_a_bounded_number() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        let later = start + Duration::from_hours(1);
        let retries = (0..100).filter(|_| budget.try_retry(later)).count();
        assert_eq!(retries, 10);
    }
}
