//! Resilience: circuit breakers, retries, fallback, deadlines, response cache, bulkheads.
//!
//! [`ResilientProvider`] protects the calls of one provider: its stages run in one future and one
//! stream. A [`FallbackGroup`] combines several providers: the credentials of one, or the targets of
//! one model name. The rest are layers: each a [`Provider`](gateway_core::Provider) around a provider.

mod attempt;
mod attempt_log;
pub mod breaker;
mod breaker_metrics;
mod bulkhead;
mod circuit_breaker;
mod deadlines;
mod fallback;
mod hedging;
mod host_circuit;
mod model_circuit;
mod replay;
mod resilient_provider;
mod response_cache;
mod retry;
mod retry_budget;
mod shutdown;

pub use self::{
    circuit_breaker::{CircuitBreakerConfig, CircuitObserver},
    deadlines::DeadlineLimits,
    fallback::{FallbackCondition, FallbackGroup, FallbackOrder, FallbackRules, FallbackTarget},
    hedging::HedgingLayer,
    host_circuit::HostCircuit,
    resilient_provider::ResilientProvider,
    response_cache::ResponseCacheLayer,
    retry::{RetryObserver, RetryPolicy},
};
