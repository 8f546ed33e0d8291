//! What keeps calls from one model that fails, or wants to be asked less often.

use crate::{
    breaker::{Breaker, Config, Outcome, State as BreakerState},
    host::{Counted, Host},
    told::Circuit,
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
pub(crate) struct Guard {
    circuit: Circuit,
    state: Mutex<State>,
    host: Option<Arc<Host>>,
    random: fn() -> f64,
}

struct State {
    breaker: Option<Breaker>,
    pause: Option<Pause>,
}

/// Until when nobody is asked, and why.
#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    why: Why,
}

#[derive(Clone, Copy)]
enum Why {
    RateLimited,
    CredentialRefused,
}

/// An upstream that wants fewer requests is left alone at least for this long.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// And at most for this long.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// A credential that was refused is not tried again for so long.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);

impl Guard {
    pub(crate) fn new(
        circuit: Circuit,
        config: Option<Config>,
        host: Option<Arc<Host>>,
        random: fn() -> f64,
    ) -> Self {
        let state = State { breaker: config.map(Breaker::new), pause: None };
        Self { circuit, state: Mutex::new(state), host, random }
    }

    /// What speaks against a call now.
    pub(crate) fn unavailability(&self) -> Option<UnavailableReason> {
        let now = Instant::now();
        let host = self.host.as_ref().and_then(|host| host.unavailability(now));
        let state = self.lock();
        let open =
            || Some(UnavailableReason::CircuitOpen { wait: state.breaker.as_ref()?.wait(now)? });
        state.paused(now).or(host).or_else(open)
    }

    /// Admits a call; `pressed`, even though the model is given a pause for its failures.
    ///
    /// # Errors
    ///
    /// What speaks against it.
    pub(crate) fn admit(self: &Arc<Self>, pressed: bool) -> Result<Permit, UnavailableReason> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(against) = state.paused(now) {
            return Err(against);
        }
        state.pause = None;
        let host = match &self.host {
            Some(host) => host.admit(now, pressed)?,
            None => Counted::No,
        };
        let mut probe = false;
        if let Some(breaker) = &mut state.breaker {
            let before = breaker.state();
            let admitted = if pressed { breaker.press(now) } else { breaker.admit(now) };
            if let Err(wait) = admitted {
                if let Some(it) = &self.host {
                    it.record(host, Outcome::Dropped, (self.random)());
                }
                return Err(UnavailableReason::CircuitOpen { wait });
            }
            self.circuit.tell(before, breaker.state());
            probe = matches!(breaker.state(), BreakerState::HalfOpen { .. });
        }
        drop(state);
        Ok(Permit { guard: Arc::clone(self), host, probe, end: Some(Told::NOTHING) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, told: Told, host: Counted, probe: bool) {
        let now = Instant::now();
        let jitter = (self.random)();
        if let Some(it) = &self.host {
            it.record(host, told.host, jitter);
        }
        let mut state = self.lock();
        if let Some((wait, why)) = told.pause {
            let until = now + wait;
            // Of two pauses the longer counts.
            if state.pause.is_none_or(|pause| pause.until < until) {
                state.pause = Some(Pause { until, why });
            }
        }
        if let Some(breaker) = &mut state.breaker {
            let before = breaker.state();
            // On probation only the probe counts: what began before says nothing of now.
            if probe || !matches!(before, BreakerState::HalfOpen { .. }) {
                breaker.record(now, told.model, jitter);
            }
            self.circuit.tell(before, breaker.state());
        }
    }
}

impl State {
    fn paused(&self, now: Instant) -> Option<UnavailableReason> {
        let pause = self.pause.filter(|pause| now < pause.until)?;
        let wait = pause.until - now;
        Some(match pause.why {
            Why::RateLimited => UnavailableReason::CoolingDown { wait },
            Why::CredentialRefused => UnavailableReason::CredentialRefused { wait },
        })
    }
}

/// What a call tells of those it went through.
#[derive(Clone, Copy)]
struct Told {
    model: Outcome,
    host: Outcome,
    pause: Option<(Duration, Why)>,
}

impl Told {
    /// Nothing.
    const NOTHING: Self = Self { model: Outcome::Dropped, host: Outcome::Dropped, pause: None };
    /// All did their part.
    const WELL: Self = Self { model: Outcome::Success, host: Outcome::Success, pause: None };

    /// Whose fault it was.
    fn by(error: &GatewayError, has_host: bool) -> Self {
        let kind = error.kind();
        let reached = Self { host: Outcome::Success, ..Self::NOTHING };
        if kind == ErrorKind::RateLimited {
            return Self { pause: Some((cool_down(error), Why::RateLimited)), ..reached };
        }
        if kind == ErrorKind::UpstreamAuth {
            return Self { pause: Some((REFUSED_PAUSE, Why::CredentialRefused)), ..reached };
        }
        // A host that cannot be reached says nothing of the models behind it.
        if kind == ErrorKind::UpstreamUnreachable && has_host {
            return Self { host: Outcome::Failure, ..Self::NOTHING };
        }
        if kind.is_upstreams_fault() {
            return Self { model: Outcome::Failure, ..reached };
        }
        let unsaid = [ErrorKind::Cancelled, ErrorKind::ShuttingDown, ErrorKind::Internal];
        if unsaid.contains(&kind) { Self::NOTHING } else { Self::WELL }
    }
}

/// For how long an upstream that limits the rate of requests is left alone.
fn cool_down(error: &GatewayError) -> Duration {
    error.retry_after().unwrap_or_default().clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// An admitted call. Dropped without news, it proves nothing.
pub(crate) struct Permit {
    guard: Arc<Guard>,
    host: Counted,
    /// The call is a trial: the model is on probation.
    pub(crate) probe: bool,
    end: Option<Told>,
}

impl Permit {
    /// The call went well.
    pub(crate) fn succeeded(mut self) {
        self.end = Some(Told::WELL);
    }

    /// The call failed. What is told of a limit says how long to wait: as long as nobody is asked.
    pub(crate) fn failed(mut self, error: GatewayError) -> GatewayError {
        self.end = Some(Told::by(&error, self.guard.host.is_some()));
        if error.kind() == ErrorKind::RateLimited {
            let wait = cool_down(&error);
            return error.with_retry_after(Some(wait));
        }
        error
    }
}

impl StreamObserver for Permit {
    fn on_chunk(&mut self, _: &Chunk) {}

    fn on_end(mut self: Box<Self>, end: StreamEnd<'_>) {
        self.end = Some(match end {
            StreamEnd::Complete => Told::WELL,
            StreamEnd::Failed(error) => Told::by(error, self.guard.host.is_some()),
            StreamEnd::Cancelled => Told::NOTHING,
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(told) = self.end.take() {
            self.guard.record(told, self.host, self.probe);
        }
    }
}
