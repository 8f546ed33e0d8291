//! A circuit breaker, as a pure state machine.
//!
//! ```text
//!            failures in a row, or too large a share of them
//!   Closed ──────────────────────────────────────────────────▶ Open ◀──────────┐
//!     ▲                                                         │ cooldown      │ failure
//!     │ enough successes in a row                               ▼               │
//!     └──────────────────────────────────────────────────── HalfOpen ───────────┘
//! ```
//!
//! `HalfOpen` admits one call at a time, the probe. A probe that is dropped, because its caller hung
//! up, proves nothing: the next call probes again. Each opening that follows a failed probe lasts
//! twice as long as the one before.

use std::time::Duration;
use tokio::time::Instant;

/// The thresholds and cooldowns of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Consecutive failures that open the breaker. Default: 5.
    pub consecutive_failures: u32,
    /// Failure rate that opens it, in percent of the calls of the last ten seconds. Default: 50.
    pub failure_percent: u32,
    /// Minimum number of calls for the failure rate to apply. Default: 20.
    pub min_calls: u32,
    /// Cooldown of the first opening. Default: 5 s.
    pub cooldown: Duration,
    /// Maximum cooldown, unless `cooldown` is longer. Default: 8 s.
    pub max_cooldown: Duration,
    /// Consecutive successful probes that close it. Default: 3.
    pub required_probes: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_percent: 50,
            min_calls: 20,
            cooldown: Duration::from_secs(5),
            max_cooldown: Duration::from_secs(8),
            required_probes: 3,
        }
    }
}

/// A circuit breaker for one upstream.
#[derive(Debug)]
pub struct CircuitBreaker {
    config: BreakerPolicy,
    state: BreakerState,
    window: FailureWindow,
    /// Consecutive openings without a closing in between.
    openings: u32,
}

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakerState {
    /// The breaker admits every call.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// The breaker admits no call.
    Open {
        /// End of the cooldown.
        until: Instant,
    },
    /// The breaker admits one probe at a time.
    HalfOpen {
        /// Whether a probe is in progress.
        probing: bool,
        /// The consecutive successful probes.
        successes: u32,
    },
}

impl BreakerState {
    /// The stable name, for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

/// The outcome of an admitted call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallOutcome {
    /// The upstream did its part, even if it said no.
    Success,
    /// The upstream failed to do its part.
    Failure,
    /// The call was dropped before its outcome was known.
    Dropped,
}

impl CircuitBreaker {
    /// Creates a closed breaker.
    pub fn new(config: BreakerPolicy) -> Self {
        let state = BreakerState::Closed { failures: 0 };
        Self { config, state, window: FailureWindow::default(), openings: 0 }
    }

    /// Returns the current state.
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Admits or rejects a call. Every admitted call must be [recorded](Self::record).
    ///
    /// # Errors
    ///
    /// The time to wait, if the breaker is open.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        if let BreakerState::Open { until } = self.state
            && now >= until
        {
            self.state = BreakerState::HalfOpen { probing: false, successes: 0 };
        }
        match &mut self.state {
            // Counted when it begins, so that calls that hang show.
            BreakerState::Closed { .. } => self.window.begin(now),
            BreakerState::Open { until } => return Err(*until - now),
            BreakerState::HalfOpen { probing: true, .. } => return Err(self.config.cooldown),
            BreakerState::HalfOpen { probing, .. } => *probing = true,
        }
        Ok(())
    }

    /// Returns the time until a call is admitted; `None` if one would be admitted now.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        match self.state {
            BreakerState::Closed { .. } | BreakerState::HalfOpen { probing: false, .. } => None,
            BreakerState::Open { until } => {
                until.checked_duration_since(now).filter(|it| !it.is_zero())
            }
            BreakerState::HalfOpen { probing: true, .. } => Some(self.config.cooldown),
        }
    }

    /// Admits a call even if the breaker is open, because no other target is left. The call is a
    /// probe and must be [recorded](Self::record) like any other.
    ///
    /// # Errors
    ///
    /// The time to wait, if a probe is already in progress.
    pub fn force(&mut self, now: Instant) -> Result<(), Duration> {
        if let BreakerState::Open { .. } = self.state {
            self.state = BreakerState::HalfOpen { probing: false, successes: 0 };
        }
        self.admit(now)
    }

    /// Reports how an admitted call went. `jitter`, from 0 to 1, keeps breakers that opened together
    /// from probing together.
    pub fn record(&mut self, now: Instant, outcome: CallOutcome, jitter: f64) {
        match (self.state, outcome) {
            (BreakerState::Closed { .. }, CallOutcome::Success) => {
                self.state = BreakerState::Closed { failures: 0 };
            }
            (BreakerState::Closed { failures }, CallOutcome::Failure) => {
                self.window.fail(now);
                self.state = BreakerState::Closed { failures: failures + 1 };
                let in_a_row = failures + 1 >= self.config.consecutive_failures;
                if in_a_row || self.window.exceeds(now, &self.config) {
                    self.open(now, jitter);
                }
            }
            (BreakerState::HalfOpen { successes, .. }, CallOutcome::Success) => {
                self.state = BreakerState::HalfOpen { probing: false, successes: successes + 1 };
                if successes + 1 >= self.config.required_probes {
                    self.close();
                }
            }
            (BreakerState::HalfOpen { .. }, CallOutcome::Failure) => self.open(now, jitter),
            (BreakerState::HalfOpen { successes, .. }, CallOutcome::Dropped) => {
                self.state = BreakerState::HalfOpen { probing: false, successes };
            }
            // Late news, of a call admitted before the breaker opened; or no news.
            (BreakerState::Open { .. }, _)
            | (BreakerState::Closed { .. }, CallOutcome::Dropped) => {}
        }
    }

    fn open(&mut self, now: Instant, jitter: f64) {
        let doubled = self.config.cooldown.saturating_mul(1 << self.openings.min(16));
        let cooldown = doubled.min(self.config.max_cooldown.max(self.config.cooldown));
        // Within a fifth of it, to either side.
        let cooldown = cooldown.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
        self.openings = self.openings.saturating_add(1);
        self.state = BreakerState::Open { until: now + cooldown };
    }

    fn close(&mut self) {
        self.openings = 0;
        self.window = FailureWindow::default();
        self.state = BreakerState::Closed { failures: 0 };
    }
}

/// Calls and failures of the last ten seconds, in slots.
#[derive(Debug, Default)]
struct FailureWindow {
    began: Option<Instant>,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Turn of the ring to which the counts belong.
    turn: u64,
    calls: u32,
    failures: u32,
}

const SLOTS: usize = 8;
const SLOT: Duration = Duration::from_millis(1250);

impl FailureWindow {
    fn begin(&mut self, now: Instant) {
        let slot = self.slot(now);
        slot.calls = slot.calls.saturating_add(1);
    }

    fn fail(&mut self, now: Instant) {
        let slot = self.slot(now);
        slot.failures = slot.failures.saturating_add(1);
    }

    fn exceeds(&mut self, now: Instant, config: &BreakerPolicy) -> bool {
        let turn = self.turn(now);
        let recent = self.slots.iter().filter(|slot| slot.turn + SLOTS as u64 > turn);
        let (calls, failures) = recent.fold((0u32, 0u32), |(calls, failures), slot| {
            (calls.saturating_add(slot.calls), failures.saturating_add(slot.failures))
        });
        let share = u64::from(failures) * 100;
        calls >= config.min_calls && share >= u64::from(calls) * u64::from(config.failure_percent)
    }

    fn turn(&mut self, now: Instant) -> u64 {
        let began = *self.began.get_or_insert(now);
        let turns = now.saturating_duration_since(began).as_millis() / SLOT.as_millis();
        u64::try_from(turns).unwrap_or(u64::MAX)
    }

    fn slot(&mut self, now: Instant) -> &mut Slot {
        let turn = self.turn(now);
        let at = usize::try_from(turn % SLOTS as u64).unwrap_or_default();
        #[expect(clippy::indexing_slicing, reason = "a remainder is less than its divisor")]
        let slot = &mut self.slots[at];
        if slot.turn != turn {
            *slot = Slot { turn, ..Slot::default() };
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerPolicy = BreakerPolicy {
        consecutive_failures: 2,
        failure_percent: 50,
        min_calls: 6,
        cooldown: Duration::from_secs(10),
        max_cooldown: Duration::from_secs(30),
        required_probes: 2,
    };

    /// Runs a script, one step a second: `+` a call that succeeds, `-` one that fails, `?` one
    /// that is dropped, `x` one that must be rejected, `.` no call.
    #[track_caller]
    fn check(script: &str) {
        let start = Instant::now();
        let mut breaker = CircuitBreaker::new(CONFIG);
        for (second, step) in (0..).zip(script.chars()) {
            let now = start + Duration::from_secs(second);
            let outcome = match step {
                '.' => continue,
                'x' => {
                    assert!(breaker.admit(now).is_err(), "admitted at {second}");
                    continue;
                }
                '+' => CallOutcome::Success,
                '-' => CallOutcome::Failure,
                '?' => CallOutcome::Dropped,
                other => panic!("no such step: {other}"),
            };
            assert_eq!(breaker.admit(now), Ok(()), "rejected at {second}");
            breaker.record(now, outcome, 0.5);
        }
    }

    #[test]
    fn breaker_stays_closed_below_threshold() {
        check("-++-++-++-++");
    }

    #[test]
    fn breaker_opens_and_recovers() {
        check("--xxxxxxxxx+++-+");
    }

    #[test]
    fn breaker_opens_at_failure_rate() {
        check("+-+-+-xxxxxxxxx+");
    }

    #[test]
    fn failed_probe_doubles_cooldown() {
        check("--xxxxxxxxx-xxxxxxxxxxxxxxxxxxx+");
        check("--xxxxxxxxx+-xxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxx+");
    }

    #[test]
    fn dropped_probe_leaves_breaker_half_open() {
        check("--xxxxxxxxx?+?+-+");
    }

    #[test]
    fn half_open_breaker_admits_one_probe() {
        let start = Instant::now();
        let mut breaker = CircuitBreaker::new(CONFIG);
        for _ in 0..2 {
            breaker.admit(start).unwrap();
            breaker.record(start, CallOutcome::Failure, 0.5);
        }
        let later = start + Duration::from_secs(10);
        assert_eq!(breaker.admit(later), Ok(()));
        assert!(breaker.admit(later).is_err(), "a second probe");
    }
}
