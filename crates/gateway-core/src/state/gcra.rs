//! The generic cell rate algorithm: a limit by rate, in one number.
//!
//! The number is the *theoretical arrival time*: the moment at which all units will be back. A
//! request moves it forward by what it costs, and is refused if that would be more than a full
//! window away. All is integer microseconds, so that every backend decides alike.

use std::time::Duration;

/// How many units there are, and how fast they grow back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How long one unit takes to grow back, in microseconds.
    pub interval_us: u64,
    /// How many units there are at most.
    pub burst: u64,
}

/// What is decided on one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Whether there is room for it.
    pub allowed: bool,
    /// The number to keep; absent if it need not change.
    pub store: Option<u64>,
    /// How many units are left.
    pub remaining: u64,
    /// How long until there is room, in microseconds; 0 if there is.
    pub retry_after_us: u64,
    /// How long until all units are back, in microseconds.
    pub reset_us: u64,
}

impl Rate {
    /// `units` in each `period`, all of which may be used at once. At least one unit, and at most
    /// one in a microsecond.
    pub fn per(units: u64, period: Duration) -> Self {
        let burst = units.max(1);
        let period = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        Self { interval_us: (period / burst).max(1), burst }
    }

    /// How long an unused limit takes from empty to full, in microseconds.
    pub const fn window_us(self) -> u64 {
        self.interval_us.saturating_mul(self.burst)
    }
}

/// Decides on a request that costs `cost` units, which must not be more than there ever are.
///
/// `stored` is the number kept, if there is one. What a verdict says to keep must be kept before
/// the next decision, also when the request is refused.
pub fn decide(stored: Option<u64>, now_us: u64, rate: Rate, cost: u64) -> Verdict {
    let latest = now_us.saturating_add(rate.window_us());
    let kept = stored.unwrap_or(now_us);
    // Later than a full window from now: the clock went back, or the limit was lowered. Unless the
    // correction is kept, each refusal would be corrected anew, and never come to an end.
    let arrival = kept.clamp(now_us, latest);
    let corrected = (kept > latest).then_some(arrival);
    let interval = rate.interval_us.max(1);
    let next = arrival.saturating_add(interval.saturating_mul(cost));
    if next > latest {
        return Verdict {
            allowed: false,
            store: corrected,
            remaining: (latest - arrival) / interval,
            retry_after_us: next - latest,
            reset_us: arrival - now_us,
        };
    }
    Verdict {
        allowed: true,
        store: Some(next),
        remaining: (latest - next) / interval,
        retry_after_us: 0,
        reset_us: next - now_us,
    }
}

/// The number to keep after taking `units` more, or giving them back if negative: the true cost of
/// a request is known only at its end. It may leave the limit overdrawn.
pub fn correct(stored: Option<u64>, now_us: u64, rate: Rate, units: i64) -> u64 {
    let arrival = stored.unwrap_or(now_us).max(now_us);
    let by = rate.interval_us.saturating_mul(units.unsigned_abs());
    let corrected = if units < 0 { arrival.saturating_sub(by) } else { arrival.saturating_add(by) };
    corrected.max(now_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A request for each letter, at 10 ms steps, of a limit of 3 in 30 ms: `+` is let in, `-` is
    /// not, `.` waits.
    #[track_caller]
    fn check(script: &str) {
        let rate = Rate::per(3, Duration::from_millis(30));
        let (mut now, mut stored) = (1_000_000, None);
        for (n, step) in script.chars().enumerate() {
            if step == '.' {
                now += 10_000;
                continue;
            }
            let verdict = decide(stored, now, rate, 1);
            stored = verdict.store.or(stored);
            assert_eq!(verdict.allowed, step == '+', "step {n} of {script}");
        }
    }

    #[test]
    fn full_bucket_admits_burst() {
        check("+++---");
    }

    #[test]
    fn bucket_refills_continuously() {
        check("+++-.+-.+-..++-");
    }

    #[test]
    fn idle_bucket_does_not_exceed_capacity() {
        check(".........+++-");
    }

    #[test]
    fn backward_clock_does_not_block_bucket() {
        let rate = Rate::per(3, Duration::from_millis(30));
        let verdict = decide(Some(u64::MAX / 2), 1_000, rate, 1);
        assert!(!verdict.allowed);
        let verdict = decide(verdict.store, 1_000 + 10_000, rate, 1);
        assert!(verdict.allowed);
    }

    #[test]
    fn correction_adjusts_bucket_in_both_directions() {
        let rate = Rate::per(3, Duration::from_millis(30));
        assert_eq!(correct(Some(20_000), 0, rate, -1), 10_000);
        assert_eq!(correct(Some(20_000), 0, rate, -9), 0);
        assert_eq!(correct(Some(20_000), 0, rate, 9), 110_000);
    }

    proptest! {
        /// However requests arrive, no window lets in more than its burst and what grew back since
        /// the start.
        #[test]
        fn a_limit_is_never_exceeded(
            steps in proptest::collection::vec((0_u64..30_000, 1_u64..4), 1..300),
        ) {
            let rate = Rate { interval_us: 7_000, burst: 5 };
            let (mut now, mut stored, mut taken) = (1_000_000_u64, None, 0);
            for (wait, cost) in steps {
                now += wait;
                let verdict = decide(stored, now, rate, cost);
                stored = verdict.store.or(stored);
                taken += if verdict.allowed { cost } else { 0 };
                prop_assert!(taken <= rate.burst + (now - 1_000_000) / rate.interval_us);
                if !verdict.allowed {
                    let later = now + verdict.retry_after_us;
                    prop_assert!(decide(stored, later, rate, cost).allowed);
                    prop_assert!(!decide(stored, later - 1, rate, cost).allowed);
                }
            }
        }

        /// Whatever was kept, under whichever clock and limit: nobody is kept out for longer than a
        /// window, and no more than a burst is given at once.
        #[test]
        fn no_step_of_a_clock_does_lasting_harm(
            kept in proptest::num::u64::ANY,
            now in 0_u64..1 << 60,
            interval_us in 1_u64..100_000_000,
            burst in 1_u64..50,
            cost in 1_u64..50,
        ) {
            let (rate, cost) = (Rate { interval_us, burst }, cost.min(burst));
            let verdict = decide(Some(kept), now, rate, cost);
            prop_assert!(verdict.retry_after_us <= rate.window_us());
            let stored = verdict.store.or(Some(kept));
            prop_assert!(decide(stored, now + rate.window_us(), rate, cost).allowed);
            let (mut stored, mut taken) = (Some(kept), 0);
            for _ in 0..=burst {
                let verdict = decide(stored, now, rate, 1);
                stored = verdict.store.or(stored);
                taken += u64::from(verdict.allowed);
            }
            prop_assert!(taken <= burst);
        }
    }
}
