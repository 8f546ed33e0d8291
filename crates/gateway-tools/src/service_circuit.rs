//! The breaker of a service.

use gateway_core::{ToolError, ToolErrorCode, sync};
use gateway_resilience::breaker::{BreakerPolicy, CallOutcome, CircuitBreaker};
use std::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Keeps calls from a service that is known to fail.
#[derive(Debug)]
pub(crate) struct ServiceCircuit {
    breaker: Mutex<CircuitBreaker>,
    random: fn() -> f64,
}

impl ServiceCircuit {
    pub(crate) fn new(config: BreakerPolicy, random: fn() -> f64) -> Self {
        Self { breaker: Mutex::new(CircuitBreaker::new(config)), random }
    }

    pub(crate) fn admit(&self) -> Result<ServicePermit<'_>, ToolError> {
        self.lock().admit(Instant::now()).map_err(|_| {
            ToolError::new(ToolErrorCode::CircuitOpen, "the circuit breaker of the service is open")
        })?;
        Ok(ServicePermit { guard: self, outcome: CallOutcome::Dropped })
    }

    fn lock(&self) -> MutexGuard<'_, CircuitBreaker> {
        sync::lock(&self.breaker)
    }
}

/// An admitted call. Dropped without news, it proves nothing.
#[derive(Debug)]
pub(crate) struct ServicePermit<'a> {
    guard: &'a ServiceCircuit,
    outcome: CallOutcome,
}

impl ServicePermit<'_> {
    pub(crate) fn report(mut self, error: Option<&ToolError>) {
        self.outcome = match error {
            Some(error) if is_the_services_fault(error) => CallOutcome::Failure,
            Some(_) | None => CallOutcome::Success,
        };
    }
}

impl Drop for ServicePermit<'_> {
    fn drop(&mut self) {
        let jitter = (self.guard.random)();
        self.guard.lock().record(Instant::now(), self.outcome, jitter);
    }
}

fn is_the_services_fault(error: &ToolError) -> bool {
    match error.code {
        ToolErrorCode::Timeout | ToolErrorCode::UpstreamInvalid | ToolErrorCode::Unavailable => {
            true
        }
        ToolErrorCode::UpstreamStatus => error.status.is_none_or(|status| status >= 500),
        ToolErrorCode::CircuitOpen
        | ToolErrorCode::NotFound
        | ToolErrorCode::InvalidArguments
        | ToolErrorCode::TooLarge
        | ToolErrorCode::Failed => false,
    }
}
