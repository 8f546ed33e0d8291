//! The host circuit: one breaker for all models behind an unreachable host.

use crate::{
    breaker::{BreakerPolicy, BreakerState, CallOutcome, CircuitBreaker},
    breaker_metrics::CircuitReporter,
    circuit_breaker::CircuitObserver,
};
use gateway_core::{UnavailableReason, sync};
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
use tokio::time::Instant;

/// A circuit breaker for a host: it opens after consecutive connection failures.
///
/// As long as all is well, calls pass without a lock.
pub struct HostCircuit {
    reporter: CircuitReporter,
    breaker: Mutex<CircuitBreaker>,
    /// Whether the last connection failed or the breaker is not closed.
    impaired: AtomicBool,
}

/// Whether an admitted call was counted by the host's breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HostAdmission {
    Counted,
    Uncounted,
}

/// A failure rate that is never reached: only consecutive failures count.
const NEVER: u32 = 101;

impl HostCircuit {
    /// Creates the circuit of the host `name` with the policy `config`. `observer`
    /// is called on state transitions.
    pub fn new(name: &str, config: BreakerPolicy, observer: Option<CircuitObserver>) -> Self {
        let config = BreakerPolicy { failure_percent: NEVER, ..config };
        let breaker = Mutex::new(CircuitBreaker::new(config));
        let reporter = CircuitReporter { name: name.into(), observer };
        Self { reporter, breaker, impaired: AtomicBool::new(false) }
    }

    /// Returns why the host cannot be called now.
    pub(crate) fn unavailability(&self, now: Instant) -> Option<UnavailableReason> {
        if !self.impaired.load(Ordering::Relaxed) {
            return None;
        }
        self.lock().wait(now).map(|wait| UnavailableReason::CircuitOpen { wait })
    }

    pub(crate) fn admit(
        &self,
        now: Instant,
        forced: bool,
    ) -> Result<HostAdmission, UnavailableReason> {
        if !self.impaired.load(Ordering::Relaxed) {
            return Ok(HostAdmission::Uncounted);
        }
        let mut breaker = self.lock();
        let before = breaker.state();
        let admitted = if forced { breaker.force(now) } else { breaker.admit(now) };
        self.reporter.report(before, breaker.state());
        admitted
            .map(|()| HostAdmission::Counted)
            .map_err(|wait| UnavailableReason::CircuitOpen { wait })
    }

    pub(crate) fn record(&self, counted: HostAdmission, outcome: CallOutcome, jitter: f64) {
        let impaired = self.impaired.load(Ordering::Relaxed);
        if !impaired && outcome != CallOutcome::Failure {
            return;
        }
        let mut breaker = self.lock();
        let before = breaker.state();
        // On probation only the probe counts.
        if counted == HostAdmission::Counted || matches!(before, BreakerState::Closed { .. }) {
            breaker.record(Instant::now(), outcome, jitter);
        }
        let well = matches!(breaker.state(), BreakerState::Closed { failures: 0 });
        self.impaired.store(!well, Ordering::Relaxed);
        self.reporter.report(before, breaker.state());
    }

    fn lock(&self) -> MutexGuard<'_, CircuitBreaker> {
        sync::lock(&self.breaker)
    }
}

impl std::fmt::Debug for HostCircuit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("name", &self.reporter.name).finish_non_exhaustive()
    }
}
