//! The HTTP surface of the gateway, as a function from request to reply. No listener.
//!
//! [`handle`] is the whole of it: give it an [`HttpService`] and the requests of any HTTP server.

mod admin;
mod auth;
mod body;
mod browser_gate;
mod console;
mod conversations;
mod cors;
mod count;
mod dispatch;
mod embeddings;
mod endpoint;
mod event_body;
mod explain;
mod failure;
mod gemini;
mod generation;
mod headers;
mod health;
pub mod hygiene;
mod idempotency;
mod models;
mod names;
mod openapi;
mod operators;
mod passing_body;
mod platform;
mod relay;
mod reply;
pub mod request;
mod request_access;
mod request_log;
mod responses;
mod serve;
mod service;
mod sessions;
mod tools;
mod usage;
mod websocket;

pub use self::{
    admin::AdminApi,
    body::BodyLimits,
    browser_gate::{BrowserGate, HostRule},
    cors::Cors,
    endpoint::Endpoint,
    health::{CheckResult, Dependency, Health, HealthDetails, Probe, STORE, TASKS},
    openapi::OpenApiDocument,
    operators::OperatorAccess,
    reply::Body,
    serve::{handle, probe},
    service::{HttpService, OpenCircuits, RenderMetrics, ServiceInfo},
    websocket::{DispatchFuture, RequestDispatch, WebSocketHost},
};

use bytes::Bytes;
use gateway_core::BoxError;
use http_body_util::combinators::UnsyncBoxBody;

/// The body of a request, whatever server it came through.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;
