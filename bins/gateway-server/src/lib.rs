//! The LLM gateway as a process: start, reload, graceful shutdown.

pub use gateway_config as config;

mod admin;
pub mod instrumentation;
mod reload;
pub mod serve;
mod signals;
