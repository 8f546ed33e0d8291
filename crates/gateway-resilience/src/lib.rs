//! Resilience layers: circuit breakers, retries, fallback, deadlines, response cache, bulkheads.
//!
//! Each layer is a [`Provider`](gateway_core::Provider) around a provider, so that they compose
//! in any order: [`RetryLayer`] around [`CircuitBreakerLayer`] around [`DeadlineLayer`] is the
//! usual one. A [`FallbackGroup`] combines several: the credentials of a provider, or the targets
//! of one model name.

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
mod response_cache;
mod retry;
mod shutdown;

pub use self::{
    bulkhead::BulkheadLayer,
    circuit_breaker::{CircuitBreakerConfig, CircuitBreakerLayer, CircuitObserver},
    deadlines::{DeadlineLayer, DeadlineLimits},
    fallback::{FallbackCondition, FallbackGroup, FallbackOrder, FallbackRules, FallbackTarget},
    hedging::HedgingLayer,
    host_circuit::HostCircuit,
    response_cache::ResponseCacheLayer,
    retry::{RetryLayer, RetryObserver, RetryPolicy},
    shutdown::ShutdownLayer,
};
