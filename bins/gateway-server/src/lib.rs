//! The LLM gateway as a process: its configuration, its listener and its end.

pub use gateway_config as config;

pub mod admin;
pub mod before;
pub mod breakers;
pub mod compose;
pub mod connections;
mod dependencies;
pub mod drain;
pub mod health;
mod kept;
pub mod lasting;
pub mod live;
mod local;
mod memory;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otel;
#[cfg(not(feature = "otlp"))]
#[path = "otel/absent.rs"]
pub mod otel;
pub mod plan;
mod pressure;
mod providers;
mod reload;
pub mod serve;
pub mod settings;
mod signals;
pub mod telemetry;
mod tools;
mod watched;
