//! The generic cell rate algorithm: a limit by rate, in one number.
//!
//! The number is the *debt*: the units that were taken and have not grown back. A request adds what
//! it costs and is refused if the debt would exceed the burst. Units and the fraction of one are
//! kept apart, both as integers below 2^53, so that nothing is ever rounded and the script in Redis,
//! which computes with doubles, decides alike.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The microseconds of a minute: fractions of a unit are counted in these.
const MINUTE_US: u64 = 60_000_000;

/// The largest rate and burst: computing with more would leave the integers that doubles hold.
pub const MAX_UNITS: u64 = 1_000_000_000;

/// The longest time after which is asked what has grown back, in microseconds: eleven days.
const MAX_ELAPSED_US: u64 = 1_000_000_000_000;

/// A limit by rate: the units that grow back in a minute, and the most that may be taken at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    per_minute: u64,
    burst: u64,
}

/// The units of a limit that were taken and have not grown back.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RateDebt {
    /// The whole units available.
    pub units: u64,
    /// The fraction of another, in 60-millionths.
    pub part: u64,
    /// The moment at which this was so, in microseconds.
    pub at_us: u64,
}

impl Rate {
    /// A rate of `per_minute` units with bursts of `burst`. Both are at least 1, and at most
    /// [`MAX_UNITS`].
    pub fn new(per_minute: u64, burst: u64) -> Self {
        let per_minute = per_minute.clamp(1, MAX_UNITS);
        Self { per_minute, burst: burst.clamp(1, MAX_UNITS) }
    }

    /// The units that grow back in a minute.
    pub const fn per_minute(self) -> u64 {
        self.per_minute
    }

    /// The most units that may be taken at once.
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// The share of one of `replicas`: at least one unit.
    #[must_use]
    pub fn share(self, replicas: u64) -> Self {
        let replicas = replicas.max(1);
        Self::new(self.per_minute / replicas, self.burst / replicas)
    }

    /// The whole units that grow back in `time`.
    pub fn units_in(self, time: Duration) -> u64 {
        let grown = time.as_micros() * u128::from(self.per_minute) / u128::from(MINUTE_US);
        u64::try_from(grown).unwrap_or(u64::MAX)
    }

    /// The time in which `units` grow back, rounded up to a microsecond.
    pub fn time_of(self, units: u64) -> Duration {
        let us = (u128::from(units) * u128::from(MINUTE_US)).div_ceil(u128::from(self.per_minute));
        Duration::from_micros(u64::try_from(us).unwrap_or(u64::MAX))
    }
}

impl RateDebt {
    /// The same debt at `now_us`, after what has grown back. A clock that went back grows nothing.
    #[must_use]
    pub fn at(self, now_us: u64, rate: Rate) -> Self {
        let elapsed = now_us.saturating_sub(self.at_us).min(MAX_ELAPSED_US);
        let grown = u128::from(elapsed) * u128::from(rate.per_minute);
        let owed = u128::from(self.units) * u128::from(MINUTE_US) + u128::from(self.part);
        let left = owed.saturating_sub(grown);
        let unit = u128::from(MINUTE_US);
        let units = u64::try_from(left / unit).unwrap_or(u64::MAX);
        let part = u64::try_from(left % unit).unwrap_or(0);
        Self { units, part, at_us: now_us }
    }

    /// The units that may be taken at once: `self` must be of the present moment.
    pub fn left(self, rate: Rate) -> u64 {
        rate.burst.saturating_sub(self.rounded_up())
    }

    /// The time until all units are back, rounded down to a microsecond.
    pub fn reset(self, rate: Rate) -> Duration {
        let owed = u128::from(self.units) * u128::from(MINUTE_US) + u128::from(self.part);
        let us = owed / u128::from(rate.per_minute);
        Duration::from_micros(u64::try_from(us).unwrap_or(u64::MAX))
    }

    /// The time until `cost` units may be taken; zero if they may be now.
    pub fn wait(self, rate: Rate, cost: u64) -> Duration {
        let owed = u128::from(self.units.saturating_add(cost)) * u128::from(MINUTE_US)
            + u128::from(self.part);
        let over = owed.saturating_sub(u128::from(rate.burst) * u128::from(MINUTE_US));
        let us = over.div_ceil(u128::from(rate.per_minute));
        Duration::from_micros(u64::try_from(us).unwrap_or(u64::MAX))
    }

    /// Whether `cost` units may be taken now.
    pub fn has_room(self, rate: Rate, cost: u64) -> bool {
        self.rounded_up().saturating_add(cost) <= rate.burst
    }

    /// The debt after `units` more were taken, or given back if negative.
    #[must_use]
    pub fn with(self, units: i64) -> Self {
        if units >= 0 {
            let units = self.units.saturating_add(units.unsigned_abs()).min(2 * MAX_UNITS);
            return Self { units, ..self };
        }
        match self.units.checked_sub(units.unsigned_abs()) {
            Some(units) => Self { units, ..self },
            None => Self { units: 0, part: 0, ..self },
        }
    }

    /// Cuts the debt to a full burst: a limit that was lowered, or that was charged for more than it
    /// has, refuses for one window at the most.
    #[must_use]
    pub fn capped(self, rate: Rate) -> Self {
        if self.units >= rate.burst {
            return Self { units: rate.burst, part: 0, ..self };
        }
        self
    }

    fn rounded_up(self) -> u64 {
        self.units.saturating_add(u64::from(self.part > 0))
    }
}

/// Takes `cost` units of the limit whose debt is `debt`, if there is room.
///
/// # Errors
///
/// The time until there is room.
pub fn take(debt: &mut RateDebt, now_us: u64, rate: Rate, cost: u64) -> Result<(), Duration> {
    *debt = debt.at(now_us, rate).capped(rate);
    if !debt.has_room(rate, cost) {
        return Err(debt.wait(rate, cost));
    }
    *debt = debt.with(i64::try_from(cost).unwrap_or(i64::MAX));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A request for each letter, of a limit of 3 with one unit back in each 10 ms: `+` is let in,
    /// `-` is not, `.` waits 10 ms.
    #[track_caller]
    fn check(script: &str) {
        let rate = Rate::new(6_000, 3);
        let (mut now, mut debt) = (1_000_000, RateDebt::default());
        for (n, step) in script.chars().enumerate() {
            if step == '.' {
                now += 10_000;
                continue;
            }
            let allowed = take(&mut debt, now, rate, 1).is_ok();
            assert_eq!(allowed, step == '+', "step {n} of {script}");
        }
    }

    #[test]
    fn full_limit_takes_a_burst() {
        check("+++---");
    }

    #[test]
    fn units_refill_evenly() {
        check("+++-.+-.+-..++-");
    }

    #[test]
    fn idle_limit_does_not_save_up() {
        check(".........+++-");
    }

    #[test]
    fn clock_that_went_back_locks_out_for_a_window_at_most() {
        let rate = Rate::new(6_000, 3);
        let mut debt = RateDebt { units: 3, part: 0, at_us: u64::MAX / 2 };
        assert!(take(&mut debt, 1_000, rate, 1).is_err());
        assert!(take(&mut debt, 11_000, rate, 1).is_ok());
    }

    #[test]
    fn correction_moves_the_debt_both_ways() {
        let debt = RateDebt { units: 2, part: 5, at_us: 0 };
        assert_eq!(debt.with(-1), RateDebt { units: 1, ..debt });
        assert_eq!(debt.with(-9), RateDebt { units: 0, part: 0, at_us: 0 });
        assert_eq!(debt.with(9).units, 11);
    }

    proptest! {
        /// However requests arrive, a limit of up to a thousand million a minute lets in exactly
        /// its burst and what has grown back: never a unit more, and none less when it is asked
        /// for all there is.
        #[test]
        fn rate_is_exact_up_to_a_thousand_million_a_minute(
            per_minute in prop_oneof![
                1_u64..100, 1_u64..1_000_000, 1_u64..=MAX_UNITS, Just(MAX_UNITS),
                Just(7_000_000), Just(40_000_000),
            ],
            steps in proptest::collection::vec((0_u64..5_000_000, 1_u64..1_000_000), 1..200),
        ) {
            let rate = Rate::new(per_minute, per_minute.max(1_000_000));
            let (start, mut debt) = (1_790_000_000_000_000_u64, RateDebt::default());
            let (mut now, mut taken) = (start, 0_u128);
            for (wait, cost) in steps {
                now += wait;
                match take(&mut debt, now, rate, cost) {
                    Ok(()) => taken += u128::from(cost),
                    Err(after) => {
                        let left = debt.left(rate);
                        prop_assert!(left < cost);
                        prop_assert!(take(&mut debt, now, rate, left).is_ok(), "all that is left");
                        taken += u128::from(left);
                        let us = u64::try_from(after.as_micros()).unwrap();
                        prop_assert!(us > 0);
                    }
                }
                let grown = u128::from(now - start) * u128::from(per_minute) / 60_000_000;
                prop_assert!(taken <= u128::from(rate.burst()) + grown);
            }
        }

        /// A refused request is let in when its wait is over, and not a microsecond earlier.
        #[test]
        fn wait_is_exact(per_minute in 1_u64..=MAX_UNITS, burst in 1_u64..1_000, cost in 1_u64..1_000) {
            let (rate, cost) = (Rate::new(per_minute, burst), cost.min(burst));
            let mut debt = RateDebt::default();
            let now = 1_790_000_000_000_000;
            prop_assert!(take(&mut debt, now, rate, burst).is_ok());
            let wait = take(&mut debt, now, rate, cost).unwrap_err();
            let us = u64::try_from(wait.as_micros()).unwrap();
            let (mut early, mut late) = (debt, debt);
            prop_assert!(take(&mut early, now + us - 1, rate, cost).is_err());
            prop_assert!(take(&mut late, now + us, rate, cost).is_ok());
        }

        /// Whatever was kept, under whichever clock: a request is refused for two windows at most,
        /// and no more than a burst is given at once.
        #[test]
        fn step_of_the_clock_does_no_lasting_harm(
            units in 0_u64..MAX_UNITS,
            at_us in 0_u64..1 << 51,
            now in 0_u64..1 << 51,
            per_minute in 1_u64..1_000_000,
            burst in 1_u64..50,
        ) {
            let (rate, mut debt) = (Rate::new(per_minute, burst), RateDebt { units, part: 0, at_us });
            let taken = (0..=burst).filter(|_| take(&mut debt, now, rate, 1).is_ok()).count();
            prop_assert!(taken as u64 <= burst);
            let windows = u64::try_from(rate.time_of(2 * burst).as_micros()).unwrap();
            prop_assert!(take(&mut debt, now + windows, rate, burst).is_ok());
        }
    }
}
