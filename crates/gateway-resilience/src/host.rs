//! A host that cannot be reached is not tried by every model behind it.

use crate::{
    breaker::{Breaker, Config, Outcome, State},
    guarded::Observer,
    told::Circuit,
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
pub struct Host {
    circuit: Circuit,
    breaker: Mutex<Breaker>,
    /// The last connection failed, or the breaker is not closed.
    troubled: AtomicBool,
}

/// Whether a call was counted when it was admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Counted {
    Yes,
    No,
}

/// A share that is never reached: only failures in a row count.
const NEVER: u32 = 101;

impl Host {
    /// The host called `name`, whose breaker opens and closes as `config` says. `observer`
    /// learns what it does.
    pub fn new(name: &str, config: Config, observer: Option<Observer>) -> Self {
        let config = Config { failed_percent: NEVER, ..config };
        let breaker = Mutex::new(Breaker::new(config));
        let circuit = Circuit { name: name.into(), observer };
        Self { circuit, breaker, troubled: AtomicBool::new(false) }
    }

    /// What speaks against a call now.
    pub(crate) fn unavailability(&self, now: Instant) -> Option<UnavailableReason> {
        if !self.troubled.load(Ordering::Relaxed) {
            return None;
        }
        self.lock().wait(now).map(|wait| UnavailableReason::CircuitOpen { wait })
    }

    pub(crate) fn admit(&self, now: Instant, pressed: bool) -> Result<Counted, UnavailableReason> {
        if !self.troubled.load(Ordering::Relaxed) {
            return Ok(Counted::No);
        }
        let mut breaker = self.lock();
        let before = breaker.state();
        let admitted = if pressed { breaker.press(now) } else { breaker.admit(now) };
        self.circuit.tell(before, breaker.state());
        admitted.map(|()| Counted::Yes).map_err(|wait| UnavailableReason::CircuitOpen { wait })
    }

    pub(crate) fn record(&self, counted: Counted, outcome: Outcome, jitter: f64) {
        let troubled = self.troubled.load(Ordering::Relaxed);
        if !troubled && outcome != Outcome::Failure {
            return;
        }
        let mut breaker = self.lock();
        let before = breaker.state();
        // On probation only the probe counts.
        if counted == Counted::Yes || matches!(before, State::Closed { .. }) {
            breaker.record(Instant::now(), outcome, jitter);
        }
        let well = matches!(breaker.state(), State::Closed { failures: 0 });
        self.troubled.store(!well, Ordering::Relaxed);
        self.circuit.tell(before, breaker.state());
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("name", &self.circuit.name).finish_non_exhaustive()
    }
}
