//! The LLM gateway as a process: its configuration, its listener and its end.

pub use gateway_config as config;

pub mod admin;
pub mod before;
pub mod compose;
pub mod connections;
mod dependencies;
pub mod drain;
pub mod health;
pub mod instrumentation;
mod kept;
pub mod lasting;
pub mod live;
mod local;
pub mod plan;
mod pressure;
mod providers;
mod reload;
pub mod serve;
pub mod settings;
mod signals;
mod tools;
