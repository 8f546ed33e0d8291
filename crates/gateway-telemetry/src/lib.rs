//! Log, metrics and traces.

pub mod breaker_metrics;
pub mod instrumented_store;
pub mod log;
pub mod memory;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otel;
#[cfg(not(feature = "otlp"))]
#[path = "otel/absent.rs"]
pub mod otel;
mod otel_settings;
