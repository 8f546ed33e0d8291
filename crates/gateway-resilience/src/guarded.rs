//! A provider behind circuit breakers: one for each of its models.

use crate::breaker::{Breaker, Config, Outcome, State};
use async_trait::async_trait;
use gateway_core::{
    Answer, Call, Dialect, Embedded, EmbeddingCall, End, ErrorKind, Frame, GatewayError, Provider,
    Result, Target, Witness, on_end,
};
use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;

/// A provider that is not called while it is known to fail.
///
/// What the upstream refuses for the caller's sake, and a caller that leaves, prove nothing against
/// it. A model of its own trouble does not close the others.
pub struct Guarded {
    inner: Arc<dyn Provider>,
    config: Config,
    breakers: Mutex<HashMap<Arc<str>, Arc<Guard>>>,
    random: fn() -> f64,
    observer: Option<Observer>,
}

/// Learns of every change of a breaker: its name, what it did and what it does now. The name is that
/// of the provider and of the model, or `other` if the catalogue does not know the model.
pub type Observer = Arc<dyn Fn(&str, State, State) + Send + Sync>;

/// Models beyond these share a breaker: their names are the callers'.
const MAX_MODELS: usize = 1024;

impl Guarded {
    /// Guards `inner`. `random` draws from 0 to 1.
    pub fn new(inner: Arc<dyn Provider>, config: Config, random: fn() -> f64) -> Self {
        Self { inner, config, breakers: Mutex::default(), random, observer: None }
    }

    /// Tells `observer` of every change.
    #[must_use]
    pub fn observed(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    fn guard(&self, target: &Target) -> Arc<Guard> {
        let model = &target.model;
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if breakers.len() < MAX_MODELS || breakers.contains_key(model) {
            Arc::clone(model)
        } else {
            "".into()
        };
        let make = || {
            let known = target.card.as_ref().map_or("other", |card| &card.id);
            Arc::new(Guard {
                name: format!("{}/{known}", self.inner.id()),
                breaker: Mutex::new(Breaker::new(self.config)),
                random: self.random,
                observer: self.observer.clone(),
            })
        };
        Arc::clone(breakers.entry(key).or_insert_with(make))
    }
}

#[async_trait]
impl Provider for Guarded {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn speaks(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        self.inner.speaks(target, dialect)
    }

    async fn answer(&self, call: Call) -> Result<Answer> {
        let guard = self.guard(&call.target);
        let permit = guard.admit()?;
        match self.inner.answer(call).await {
            Ok(mut answer) => {
                answer.frames = on_end(answer.frames, Box::new(permit));
                Ok(answer)
            }
            Err(error) => {
                permit.report(outcome_of(&error));
                Err(error)
            }
        }
    }

    /// A provider that does not count proves nothing.
    async fn count_tokens(&self, call: Call) -> Result<Option<u64>> {
        let permit = self.guard(&call.target).admit()?;
        let counted = self.inner.count_tokens(call).await;
        match &counted {
            Ok(None) => {}
            Ok(Some(_)) => permit.report(Outcome::Success),
            Err(error) => permit.report(outcome_of(error)),
        }
        counted
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<Embedded> {
        let permit = self.guard(&call.target).admit()?;
        let embedded = self.inner.embed(call).await;
        permit.report(embedded.as_ref().map_or_else(outcome_of, |_| Outcome::Success));
        embedded
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("inner", &self.inner.id()).finish_non_exhaustive()
    }
}

struct Guard {
    name: String,
    breaker: Mutex<Breaker>,
    random: fn() -> f64,
    observer: Option<Observer>,
}

impl Guard {
    fn admit(self: &Arc<Self>) -> Result<Permit> {
        self.with(|breaker| breaker.admit(Instant::now())).map_err(|wait| {
            GatewayError::new(
                ErrorKind::UpstreamOverloaded,
                "the provider has failed too often and is given a pause",
            )
            .with_code("circuit_open")
            .retry_after(Some(wait))
        })?;
        Ok(Permit { guard: Arc::clone(self), outcome: Some(Outcome::Dropped) })
    }

    /// Uses the breaker, and tells of it if that changed what it does.
    fn with<T>(&self, use_it: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let before = breaker.state();
        let result = use_it(&mut breaker);
        let after = breaker.state();
        drop(breaker);
        if let Some(observer) = &self.observer
            && mem::discriminant(&before) != mem::discriminant(&after)
        {
            observer(&self.name, before, after);
        }
        result
    }
}

/// An admitted call. Dropped without news, it proves nothing.
struct Permit {
    guard: Arc<Guard>,
    outcome: Option<Outcome>,
}

impl Permit {
    fn report(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Witness for Permit {
    fn see(&mut self, _: &Frame) {}

    fn end(self: Box<Self>, end: End<'_>) {
        self.report(match end {
            End::Complete => Outcome::Success,
            End::Failed(error) => outcome_of(error),
            End::Cancelled => Outcome::Dropped,
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            let jitter = (self.guard.random)();
            self.guard.with(|breaker| breaker.record(Instant::now(), outcome, jitter));
        }
    }
}

/// Whose fault it was.
fn outcome_of(error: &GatewayError) -> Outcome {
    let kind = error.kind();
    if kind.is_upstreams_fault() {
        Outcome::Failure
    } else if matches!(kind, ErrorKind::Cancelled | ErrorKind::ShuttingDown | ErrorKind::Internal) {
        Outcome::Dropped
    } else {
        Outcome::Success
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ChatRequest, Head};
    use std::time::Duration;

    /// Fails as it is named: a model called `down` is down, others are not.
    struct Named;

    #[async_trait]
    impl Provider for Named {
        fn id(&self) -> &'static str {
            "named"
        }

        async fn answer(&self, call: Call) -> Result<Answer> {
            let kind = match &*call.target.model {
                "down" => ErrorKind::Upstream,
                "refuses" => ErrorKind::InvalidRequest,
                _ => {
                    return Ok(Answer {
                        head: Head::default(),
                        frames: Box::pin(futures_util::stream::empty()),
                    });
                }
            };
            Err(GatewayError::new(kind, "no"))
        }
    }

    /// Asks for each model in turn: `+` answered, `-` failed, `x` not even asked.
    async fn check(models: &[&str], expected: &str) {
        let config = Config { failures: 2, ..Config::default() };
        let guarded = Guarded::new(Arc::new(Named), config, || 0.5);
        let mut seen = String::new();
        for model in models {
            let call = Call::new(ChatRequest::user(*model, "hello"));
            let answered = match guarded.answer(call).await {
                Ok(answer) => answer.collect().await.map(drop),
                Err(error) => Err(error),
            };
            seen.push(match answered {
                Ok(()) => '+',
                Err(error) if error.code() == "circuit_open" => 'x',
                Err(_) => '-',
            });
            if *model == "wait" {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
        assert_eq!(seen, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_fails_is_given_a_pause() {
        check(&["down", "down", "down", "up", "wait", "down", "down"], "--x++-x").await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_the_callers_fault_proves_nothing() {
        check(&["refuses"; 5], "-----").await;
    }
}
