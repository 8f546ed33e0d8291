//! A host that cannot be reached is not tried by every model behind it.

use crate::{
    breaker::{BreakerPolicy, BreakerState, CallOutcome, CircuitBreaker},
    breaker_metrics::CircuitReporter,
    circuit_breaker::CircuitObserver,
};
use gateway_core::UnavailableReason;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tokio::time::Instant;

/// A breaker for a host: it opens after failures in a row to connect.
///
/// As long as all is well, calls pass without a lock.
pub struct HostCircuit {
    reporter: CircuitReporter,
    breaker: Mutex<CircuitBreaker>,
    /// The last connection failed, or the breaker is not closed.
    impaired: AtomicBool,
}

/// Whether a call was counted when it was admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HostAdmission {
    Counted,
    Uncounted,
}

/// A share that is never reached: only failures in a row count.
const NEVER: u32 = 101;

impl HostCircuit {
    /// The host called `name`, whose breaker opens and closes as `config` says. `observer`
    /// learns what it does.
    pub fn new(name: &str, config: BreakerPolicy, observer: Option<CircuitObserver>) -> Self {
        let config = BreakerPolicy { failure_percent: NEVER, ..config };
        let breaker = Mutex::new(CircuitBreaker::new(config));
        let reporter = CircuitReporter { name: name.into(), observer };
        Self { reporter, breaker, impaired: AtomicBool::new(false) }
    }

    /// What speaks against a call now.
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
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for HostCircuit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("name", &self.reporter.name).finish_non_exhaustive()
    }
}
