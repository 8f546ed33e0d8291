//! The configured gateway: every part is built from a configuration and joined to one HTTP service.
//!
//! `gateway-config` knows no other part, and no other part knows the configuration. This crate knows
//! all of them, so that a program of its own embeds the whole service without copying the binary:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use gateway_assembly::{ProcessHandles, SharedResources, check, service};
//! use gateway_config::{ConfigSource, Environment};
//!
//! let source = ConfigSource::new(None, Environment::of_process()).checked_by(check);
//! let config = source.load()?.config;
//! let shared = SharedResources::open(&config, ProcessHandles::default()).await?;
//! let app = std::sync::Arc::new(service(&config, &shared, None)?);
//! // For each request: gateway_http::handle(app.clone(), caller_address, request).await
//! # shared.close(&app).await;
//! # Ok(())
//! # }
//! ```

mod active_config;
mod answer;
mod budget_alerts;
mod catalogue;
mod catalogue_commands;
mod certificates;
mod check;
mod configuration_files;
mod connections;
mod drain;
mod health;
mod healthcheck;
mod limits;
mod local_models;
mod memory_pressure;
mod previous;
mod process;
mod providers;
mod service;
mod settings;
mod shared;
mod start_banner;
mod stateful;
mod stores;
mod terminal_chat;
mod tools;
mod tracing_export;
mod unpriced;

pub use self::{
    active_config::ActiveConfig,
    answer::{AnswerFuture, answer, websocket_host},
    catalogue::{catalogue_age, has_same_catalogue, load_catalogue},
    catalogue_commands::{diff_catalogues, import_catalogue, show_model},
    certificates::{reload_certificate, watch_certificate},
    check::check,
    configuration_files::{import_configuration, init_configuration},
    connections::{connection_limits, server_tls},
    drain::{DrainSchedule, drain, listener_shutdown},
    healthcheck::check_health,
    local_models::refresh_local_models,
    previous::PreviousGeneration,
    process::{ProcessHandles, ShutdownStages},
    service::service,
    shared::SharedResources,
    start_banner::start_banner,
    terminal_chat::{TerminalChat, terminal_chat},
    tracing_export::otlp_settings,
    unpriced::{pricing_warnings, unpriced_names},
};
