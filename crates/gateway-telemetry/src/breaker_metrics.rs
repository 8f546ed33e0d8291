//! What the circuit breakers do, for metrics and for whoever asks.

use gateway_resilience::breaker::State;
use metrics::{counter, gauge};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The breakers that are not closed.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<BTreeMap<String, &'static str>>);

impl Breakers {
    /// Notes that the breaker `circuit` changed.
    pub fn changed(&self, circuit: &str, from: State, to: State) {
        let (from_state, to_state) = (from.as_str(), to.as_str());
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match to {
            State::Closed { .. } => drop(open.remove(circuit)),
            State::HalfOpen { .. } | State::Open { .. } => {
                open.insert(circuit.to_owned(), to_state);
            }
        }
        drop(open);
        let name = circuit.to_owned();
        counter!("llm_gateway_circuit_breaker_state_transitions_total",
            "circuit_name" => name.clone(), "from_state" => from_state, "to_state" => to_state)
        .increment(1);
        gauge!("llm_gateway_circuit_breaker_state", "circuit_name" => name).set(match to {
            State::Closed { .. } => 0.0,
            State::HalfOpen { .. } => 1.0,
            State::Open { .. } => 2.0,
        });
        tracing::warn!(target: "gateway::breaker", circuit, from = from_state, to = to_state);
    }

    /// Whether one of the breakers of `provider` is open.
    pub fn paused(&self, provider: &str) -> bool {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its = |circuit: &str| {
            circuit.strip_prefix(provider).is_some_and(|model| model.starts_with('/'))
        };
        open.iter().any(|(circuit, state)| *state == "open" && is_its(circuit))
    }

    /// The breakers that are not closed, and what they do.
    pub fn told(&self) -> Map<String, Value> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().map(|(name, state)| (name.clone(), (*state).into())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test]
    async fn only_what_is_not_closed_is_told() {
        let breakers = Breakers::default();
        let (closed, open) = (State::Closed { failures: 0 }, State::Open { until: Instant::now() });
        let half = State::HalfOpen { probing: false, successes: 0 };
        breakers.changed("lab/m", closed, open);
        breakers.changed("lab/other", closed, open);
        breakers.changed("lab/other", open, half);
        assert_eq!(
            Value::Object(breakers.told()).to_string(),
            r#"{"lab/m":"open","lab/other":"half_open"}"#
        );
        assert!(breakers.paused("lab") && !breakers.paused("la") && !breakers.paused("other"));
        breakers.changed("lab/m", half, closed);
        assert!(!breakers.paused("lab"), "it is being tried again");
        assert_eq!(breakers.told().len(), 1);
    }
}
