//! The HTTP surface of the gateway, as a function from request to reply. No listener.
//!
//! [`handle`] is the whole of it: give it an [`App`] and the requests of any HTTP server.

mod admin;
mod app;
mod auth;
mod body;
mod caching;
mod console;
mod context;
mod conversations;
mod cors;
mod count;
mod decision;
mod embeddings;
mod endpoint;
mod event_body;
mod explain;
mod fit;
mod generate;
mod headers;
mod health;
mod hold;
pub mod hygiene;
mod idempotency;
mod meters;
mod models;
mod names;
mod outcome;
mod platform;
mod reply;
pub mod request;
mod responses;
mod service;
mod sessions;
mod several;
mod tools;
mod usage;
mod windows;
mod wishes;

pub use self::{
    admin::Admin,
    app::{About, App, Paused, Render, Times},
    body::{Budget, Limits},
    console::LiveFeed,
    cors::Cors,
    endpoint::Endpoint,
    health::{Dependency, Finding, Health, Probe, STORE, Told, probe},
    meters::{Meters, names as metric_names},
    reply::Body,
    service::handle,
    tools::Toolbox,
    windows::Windows,
};
