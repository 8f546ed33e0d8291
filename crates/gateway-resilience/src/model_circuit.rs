//! What keeps calls from one model that fails, or wants to be asked less often.

use crate::{
    breaker::{BreakerPolicy, BreakerState, CallOutcome, CircuitBreaker},
    breaker_metrics::CircuitReporter,
    host_circuit::{HostAdmission, HostCircuit},
};
use gateway_core::{Chunk, ErrorKind, GatewayError, StreamEnd, StreamObserver, UnavailableReason};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Guards one model, as one credential reaches it.
///
/// A model that fails is given a pause by its breaker. One that wants fewer requests, and a
/// credential that is refused, are given one by the clock: neither says that the model is unwell.
pub(crate) struct ModelCircuit {
    reporter: CircuitReporter,
    state: Mutex<ModelState>,
    host: Option<Arc<HostCircuit>>,
    random: fn() -> f64,
}

struct ModelState {
    breaker: Option<CircuitBreaker>,
    cooldown: Option<Cooldown>,
}

/// Until when nobody is asked, and why.
#[derive(Clone, Copy)]
struct Cooldown {
    until: Instant,
    reason: CooldownReason,
}

#[derive(Clone, Copy)]
enum CooldownReason {
    RateLimited,
    CredentialRefused,
}

/// An upstream that wants fewer requests is left alone at least for this long.
const MIN_COOLDOWN: Duration = Duration::from_secs(1);
/// And at most for this long.
const MAX_COOLDOWN: Duration = Duration::from_mins(10);
/// A credential that was refused is not tried again for so long.
const CREDENTIAL_COOLDOWN: Duration = Duration::from_mins(1);

impl ModelCircuit {
    pub(crate) fn new(
        reporter: CircuitReporter,
        config: Option<BreakerPolicy>,
        host: Option<Arc<HostCircuit>>,
        random: fn() -> f64,
    ) -> Self {
        let state = ModelState { breaker: config.map(CircuitBreaker::new), cooldown: None };
        Self { reporter, state: Mutex::new(state), host, random }
    }

    /// What speaks against a call now.
    pub(crate) fn unavailability(&self) -> Option<UnavailableReason> {
        let now = Instant::now();
        let host = self.host.as_ref().and_then(|host| host.unavailability(now));
        let state = self.lock();
        let open =
            || Some(UnavailableReason::CircuitOpen { wait: state.breaker.as_ref()?.wait(now)? });
        state.cooling_down(now).or(host).or_else(open)
    }

    /// Admits a call; `forced`, even though the model is given a pause for its failures.
    ///
    /// # Errors
    ///
    /// What speaks against it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        forced: bool,
    ) -> Result<CircuitPermit, UnavailableReason> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(reason) = state.cooling_down(now) {
            return Err(reason);
        }
        state.cooldown = None;
        let host = match &self.host {
            Some(host) => host.admit(now, forced)?,
            None => HostAdmission::Uncounted,
        };
        let mut probe = false;
        if let Some(breaker) = &mut state.breaker {
            let before = breaker.state();
            let admitted = if forced { breaker.force(now) } else { breaker.admit(now) };
            if let Err(wait) = admitted {
                if let Some(it) = &self.host {
                    it.record(host, CallOutcome::Dropped, (self.random)());
                }
                return Err(UnavailableReason::CircuitOpen { wait });
            }
            self.reporter.report(before, breaker.state());
            probe = matches!(breaker.state(), BreakerState::HalfOpen { .. });
        }
        drop(state);
        Ok(CircuitPermit {
            circuit: Arc::clone(self),
            host,
            probe,
            end: Some(CallVerdict::IGNORED),
        })
    }

    fn lock(&self) -> MutexGuard<'_, ModelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, verdict: CallVerdict, host: HostAdmission, probe: bool) {
        let now = Instant::now();
        let jitter = (self.random)();
        if let Some(it) = &self.host {
            it.record(host, verdict.host, jitter);
        }
        let mut state = self.lock();
        if let Some((wait, reason)) = verdict.cooldown {
            let until = now + wait;
            // Of two pauses the longer counts.
            if state.cooldown.is_none_or(|cooldown| cooldown.until < until) {
                state.cooldown = Some(Cooldown { until, reason });
            }
        }
        if let Some(breaker) = &mut state.breaker {
            let before = breaker.state();
            // On probation only the probe counts: what began before says nothing of now.
            if probe || !matches!(before, BreakerState::HalfOpen { .. }) {
                breaker.record(now, verdict.model, jitter);
            }
            self.reporter.report(before, breaker.state());
        }
    }
}

impl ModelState {
    fn cooling_down(&self, now: Instant) -> Option<UnavailableReason> {
        let cooldown = self.cooldown.filter(|cooldown| now < cooldown.until)?;
        let wait = cooldown.until - now;
        Some(match cooldown.reason {
            CooldownReason::RateLimited => UnavailableReason::CoolingDown { wait },
            CooldownReason::CredentialRefused => UnavailableReason::CredentialRefused { wait },
        })
    }
}

/// What a call tells of those it went through.
#[derive(Clone, Copy)]
struct CallVerdict {
    model: CallOutcome,
    host: CallOutcome,
    cooldown: Option<(Duration, CooldownReason)>,
}

impl CallVerdict {
    /// Nothing.
    const IGNORED: Self =
        Self { model: CallOutcome::Dropped, host: CallOutcome::Dropped, cooldown: None };
    /// All did their part.
    const SUCCESS: Self =
        Self { model: CallOutcome::Success, host: CallOutcome::Success, cooldown: None };

    /// Whose fault it was.
    fn from_error(error: &GatewayError, has_host: bool) -> Self {
        let kind = error.kind();
        let reached = Self { host: CallOutcome::Success, ..Self::IGNORED };
        if kind == ErrorKind::RateLimited {
            return Self {
                cooldown: Some((cooldown_after(error), CooldownReason::RateLimited)),
                ..reached
            };
        }
        if kind == ErrorKind::UpstreamAuth {
            return Self {
                cooldown: Some((CREDENTIAL_COOLDOWN, CooldownReason::CredentialRefused)),
                ..reached
            };
        }
        // A host that cannot be reached says nothing of the models behind it.
        if kind == ErrorKind::UpstreamUnreachable && has_host {
            return Self { host: CallOutcome::Failure, ..Self::IGNORED };
        }
        if kind.is_upstreams_fault() {
            return Self { model: CallOutcome::Failure, ..reached };
        }
        let unsaid = [ErrorKind::Cancelled, ErrorKind::ShuttingDown, ErrorKind::Internal];
        if unsaid.contains(&kind) { Self::IGNORED } else { Self::SUCCESS }
    }
}

/// For how long an upstream that limits the rate of requests is left alone.
fn cooldown_after(error: &GatewayError) -> Duration {
    error.retry_after().unwrap_or_default().clamp(MIN_COOLDOWN, MAX_COOLDOWN)
}

/// An admitted call. Dropped without news, it proves nothing.
pub(crate) struct CircuitPermit {
    circuit: Arc<ModelCircuit>,
    host: HostAdmission,
    /// The call is a trial: the model is on probation.
    pub(crate) probe: bool,
    end: Option<CallVerdict>,
}

impl CircuitPermit {
    /// The call went well.
    pub(crate) fn succeeded(mut self) {
        self.end = Some(CallVerdict::SUCCESS);
    }

    /// The call failed. What is told of a limit says how long to wait: as long as nobody is asked.
    pub(crate) fn failed(mut self, error: GatewayError) -> GatewayError {
        self.end = Some(CallVerdict::from_error(&error, self.circuit.host.is_some()));
        if error.kind() == ErrorKind::RateLimited {
            let wait = cooldown_after(&error);
            return error.with_retry_after(Some(wait));
        }
        error
    }
}

impl StreamObserver for CircuitPermit {
    fn on_chunk(&mut self, _: &Chunk) {}

    fn on_end(mut self: Box<Self>, end: StreamEnd<'_>) {
        self.end = Some(match end {
            StreamEnd::Complete => CallVerdict::SUCCESS,
            StreamEnd::Failed(error) => CallVerdict::from_error(error, self.circuit.host.is_some()),
            StreamEnd::Cancelled => CallVerdict::IGNORED,
        });
    }
}

impl Drop for CircuitPermit {
    fn drop(&mut self) {
        if let Some(verdict) = self.end.take() {
            self.circuit.record(verdict, self.host, self.probe);
        }
    }
}
