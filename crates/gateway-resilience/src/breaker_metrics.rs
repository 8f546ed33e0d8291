//! Metrics of circuit breakers and fallback groups.

use crate::{breaker::BreakerState, circuit_breaker::CircuitObserver};
use metrics::counter;
use std::{mem, sync::Arc};

/// A circuit's name and the observer of its transitions.
pub(crate) struct CircuitReporter {
    /// Name of the circuit.
    pub(crate) name: Arc<str>,
    /// Observer of its state transitions.
    pub(crate) observer: Option<CircuitObserver>,
}

impl CircuitReporter {
    /// Reports a transition to the observer, if the state changed.
    pub(crate) fn report(&self, before: BreakerState, after: BreakerState) {
        if let Some(observer) = &self.observer
            && mem::discriminant(&before) != mem::discriminant(&after)
        {
            observer(&self.name, before, after);
        }
    }
}

/// Counts a call to a target of a fallback group.
pub(crate) fn count_attempt(chain: &str, target: &str, operation: &'static str) {
    counter!("llm_gateway_fallback_chain_attempts_total", "chain_name" => chain.to_owned(),
        "backend_name" => target.to_owned(), "operation" => operation)
    .increment(1);
}

/// Counts a response of a target of a fallback group.
pub(crate) fn count_success(chain: &str, target: &str) {
    counter!("llm_gateway_fallback_chain_successes_total", "chain_name" => chain.to_owned(),
        "backend_name" => target.to_owned())
    .increment(1);
}
