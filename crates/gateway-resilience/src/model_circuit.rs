//! The circuit of one model: its breaker and its cooldown.

use crate::{
    breaker::{BreakerPolicy, BreakerState, CallOutcome, CircuitBreaker},
    breaker_metrics::CircuitReporter,
    host_circuit::{HostAdmission, HostCircuit},
};
use gateway_core::{ErrorKind, GatewayError, StreamEnd, UnavailableReason, sync};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

/// The circuit of one model behind one credential.
///
/// A failing model is stopped by its breaker. A rate limit and a refused credential
/// cause a cooldown instead: neither means that the model fails.
pub(crate) struct ModelCircuit {
    reporter: CircuitReporter,
    state: Mutex<ModelState>,
    host: Option<Arc<HostCircuit>>,
    random: fn() -> f64,
    /// Whether the provider has no other credential.
    is_only_credential: bool,
}

struct ModelState {
    breaker: Option<CircuitBreaker>,
    cooldown: Option<Cooldown>,
    /// The consecutive refusals of the credential.
    refusals: u32,
}

/// A cooldown and its reason.
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

/// Minimum cooldown after a rate limit.
const MIN_COOLDOWN: Duration = Duration::from_secs(1);
/// Maximum cooldown after a rate limit.
const MAX_COOLDOWN: Duration = Duration::from_mins(10);
/// Cooldown after a refused credential, if there are others.
const CREDENTIAL_COOLDOWN: Duration = Duration::from_mins(1);
/// Cooldown after the second refusal in a row of an only credential; it doubles with each further
/// one. A single refusal may be a fault of the provider's, and would take the model away.
const ONLY_CREDENTIAL_COOLDOWN: Duration = Duration::from_secs(1);

impl ModelCircuit {
    pub(crate) fn new(
        reporter: CircuitReporter,
        config: Option<BreakerPolicy>,
        host: Option<Arc<HostCircuit>>,
        random: fn() -> f64,
        is_only_credential: bool,
    ) -> Self {
        let breaker = config.map(CircuitBreaker::new);
        let state = Mutex::new(ModelState { breaker, cooldown: None, refusals: 0 });
        Self { reporter, state, host, random, is_only_credential }
    }

    /// Returns why the model cannot be called now.
    pub(crate) fn unavailability(&self) -> Option<UnavailableReason> {
        let now = Instant::now();
        let host = self.host.as_ref().and_then(|host| host.unavailability(now));
        let state = self.lock();
        let open =
            || Some(UnavailableReason::CircuitOpen { wait: state.breaker.as_ref()?.wait(now)? });
        state.cooling_down(now).or(host).or_else(open)
    }

    /// Admits a call at `now`; with `forced`, even if the circuit is open.
    ///
    /// # Errors
    ///
    /// The reason why the call is rejected.
    pub(crate) fn admit(
        self: &Arc<Self>,
        forced: bool,
        now: Instant,
    ) -> Result<CircuitPermit, UnavailableReason> {
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
        sync::lock(&self.state)
    }

    fn record(&self, verdict: CallVerdict, host: HostAdmission, probe: bool) {
        let jitter = if verdict.is_failure() { (self.random)() } else { 0.0 };
        if let Some(it) = &self.host {
            it.record(host, verdict.host, jitter);
        }
        let mut state = self.lock();
        if verdict.cooldown.is_none() && !verdict.is_failure() && state.is_healthy() {
            return;
        }
        let now = Instant::now();
        if let Some((wait, reason)) = verdict.cooldown {
            let until = now + state.cooldown_time(wait, reason, self.is_only_credential);
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
        if matches!(verdict.model, CallOutcome::Success) {
            state.refusals = 0;
        }
    }
}

impl ModelState {
    /// Whether another success would change nothing.
    fn is_healthy(&self) -> bool {
        let state = self.breaker.as_ref().map(CircuitBreaker::state);
        self.refusals == 0 && matches!(state, None | Some(BreakerState::Closed { failures: 0 }))
    }

    /// Returns the time for which a call with `wait` as its cooldown keeps others away.
    fn cooldown_time(&mut self, wait: Duration, reason: CooldownReason, is_only: bool) -> Duration {
        match reason {
            CooldownReason::CredentialRefused if is_only => {
                self.refusals = self.refusals.saturating_add(1);
                match self.refusals {
                    1 => Duration::ZERO,
                    many => ONLY_CREDENTIAL_COOLDOWN
                        .saturating_mul(1 << (many - 2).min(6))
                        .min(CREDENTIAL_COOLDOWN),
                }
            }
            CooldownReason::CredentialRefused | CooldownReason::RateLimited => wait,
        }
    }

    fn cooling_down(&self, now: Instant) -> Option<UnavailableReason> {
        let cooldown = self.cooldown.filter(|cooldown| now < cooldown.until)?;
        let wait = cooldown.until - now;
        Some(match cooldown.reason {
            CooldownReason::RateLimited => UnavailableReason::CoolingDown { wait },
            CooldownReason::CredentialRefused => UnavailableReason::CredentialRefused { wait },
        })
    }
}

/// The verdict of a call on its model and host.
#[derive(Clone, Copy)]
struct CallVerdict {
    model: CallOutcome,
    host: CallOutcome,
    cooldown: Option<(Duration, CooldownReason)>,
}

impl CallVerdict {
    /// A verdict that changes nothing.
    const IGNORED: Self =
        Self { model: CallOutcome::Dropped, host: CallOutcome::Dropped, cooldown: None };
    /// A verdict of success for model and host.
    const SUCCESS: Self =
        Self { model: CallOutcome::Success, host: CallOutcome::Success, cooldown: None };

    /// Whether the call failed by the fault of its model or host.
    fn is_failure(&self) -> bool {
        self.model == CallOutcome::Failure || self.host == CallOutcome::Failure
    }

    /// Returns the verdict of a failed call.
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

/// Returns the cooldown after a rate limit.
fn cooldown_after(error: &GatewayError) -> Duration {
    error.retry_after().unwrap_or_default().clamp(MIN_COOLDOWN, MAX_COOLDOWN)
}

/// An admitted call. Dropped without an outcome, it counts neither way.
pub(crate) struct CircuitPermit {
    circuit: Arc<ModelCircuit>,
    host: HostAdmission,
    /// Whether the call is a probe of a half-open circuit.
    pub(crate) probe: bool,
    end: Option<CallVerdict>,
}

impl CircuitPermit {
    /// Records a successful call.
    pub(crate) fn succeeded(mut self) {
        self.end = Some(CallVerdict::SUCCESS);
    }

    /// Records the end of a stream.
    pub(crate) fn ended(mut self, end: StreamEnd<'_>) {
        self.end = Some(match end {
            StreamEnd::Complete => CallVerdict::SUCCESS,
            StreamEnd::Failed(error) => CallVerdict::from_error(error, self.circuit.host.is_some()),
            StreamEnd::Cancelled => CallVerdict::IGNORED,
        });
    }

    /// Records a failure. After a rate limit the returned error carries the cooldown as retry-after.
    pub(crate) fn failed(mut self, error: GatewayError) -> GatewayError {
        self.end = Some(CallVerdict::from_error(&error, self.circuit.host.is_some()));
        if error.kind() == ErrorKind::RateLimited {
            let wait = cooldown_after(&error);
            return error.with_retry_after(Some(wait));
        }
        error
    }
}

impl Drop for CircuitPermit {
    fn drop(&mut self) {
        if let Some(verdict) = self.end.take() {
            self.circuit.record(verdict, self.host, self.probe);
        }
    }
}
