//! Metrics of the circuit breakers, and the list of those that are not closed.

use gateway_core::sync;
use gateway_resilience::breaker::BreakerState;
use metrics::{counter, gauge};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Mutex};

/// The circuit breakers that are not closed, by name.
#[derive(Debug, Default)]
pub struct OpenBreakers(Mutex<BTreeMap<String, &'static str>>);

impl OpenBreakers {
    /// Records a state transition of the breaker `circuit`.
    pub fn record_transition(&self, circuit: &str, from: BreakerState, to: BreakerState) {
        let (from_state, to_state) = (from.as_str(), to.as_str());
        let mut open = sync::lock(&self.0);
        match to {
            BreakerState::Closed { .. } => drop(open.remove(circuit)),
            BreakerState::HalfOpen { .. } | BreakerState::Open { .. } => {
                open.insert(circuit.to_owned(), to_state);
            }
        }
        drop(open);
        let name = circuit.to_owned();
        counter!("llm_gateway_circuit_breaker_state_transitions_total",
            "circuit_name" => name.clone(), "from_state" => from_state, "to_state" => to_state)
        .increment(1);
        gauge!("llm_gateway_circuit_breaker_state", "circuit_name" => name).set(match to {
            BreakerState::Closed { .. } => 0.0,
            BreakerState::HalfOpen { .. } => 1.0,
            BreakerState::Open { .. } => 2.0,
        });
        tracing::warn!(target: "gateway::breaker", circuit, from = from_state, to = to_state);
    }

    /// Returns whether a breaker of `provider` is open.
    pub fn is_open(&self, provider: &str) -> bool {
        let open = sync::lock(&self.0);
        let is_its = |circuit: &str| {
            circuit.strip_prefix(provider).is_some_and(|model| model.starts_with('/'))
        };
        open.iter().any(|(circuit, state)| *state == "open" && is_its(circuit))
    }

    /// Returns the breakers that are not closed with their states.
    pub fn to_json(&self) -> Map<String, Value> {
        let open = sync::lock(&self.0);
        open.iter().map(|(name, state)| (name.clone(), (*state).into())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test]
    async fn closed_breaker_is_not_listed() {
        let breakers = OpenBreakers::default();
        let (closed, open) =
            (BreakerState::Closed { failures: 0 }, BreakerState::Open { until: Instant::now() });
        let half = BreakerState::HalfOpen { probing: false, successes: 0 };
        breakers.record_transition("lab/m", closed, open);
        breakers.record_transition("lab/other", closed, open);
        breakers.record_transition("lab/other", open, half);
        assert_eq!(
            Value::Object(breakers.to_json()).to_string(),
            r#"{"lab/m":"open","lab/other":"half_open"}"#
        );
        assert!(breakers.is_open("lab") && !breakers.is_open("la") && !breakers.is_open("other"));
        breakers.record_transition("lab/m", half, closed);
        assert!(!breakers.is_open("lab"), "it is being tried again");
        assert_eq!(breakers.to_json().len(), 1);
    }
}
