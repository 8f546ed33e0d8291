//! What operators see of all this.

use crate::{breaker::BreakerState, circuit_breaker::CircuitObserver};
use metrics::counter;
use std::{mem, sync::Arc};

/// A breaker, as operators know it.
pub(crate) struct CircuitReporter {
    /// What it is called.
    pub(crate) name: Arc<str>,
    /// Who learns what it does.
    pub(crate) observer: Option<CircuitObserver>,
}

impl CircuitReporter {
    /// Tells what it did and does, if that is not the same.
    pub(crate) fn report(&self, before: BreakerState, after: BreakerState) {
        if let Some(observer) = &self.observer
            && mem::discriminant(&before) != mem::discriminant(&after)
        {
            observer(&self.name, before, after);
        }
    }
}

/// Counts that a target of a chain is asked.
pub(crate) fn count_attempt(chain: &str, target: &str, operation: &'static str) {
    counter!("llm_gateway_fallback_chain_attempts_total", "chain_name" => chain.to_owned(),
        "backend_name" => target.to_owned(), "operation" => operation)
    .increment(1);
}

/// Counts that a target of a chain has begun to answer.
pub(crate) fn count_success(chain: &str, target: &str) {
    counter!("llm_gateway_fallback_chain_successes_total", "chain_name" => chain.to_owned(),
        "backend_name" => target.to_owned())
    .increment(1);
}
