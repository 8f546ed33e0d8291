//! The HTTP client for upstreams: one for all providers, so that they share its settings.
//!
//! HTTP/1.1 is driven by the request itself, without a task of its own; HTTP/2, where the upstream
//! offers it under TLS, by hyper.
//!
//! It follows no redirect, obeys no proxy variable, keeps no cookie and undoes no compression: each
//! of these would send a key, or a bomb, to a place that was not configured.

mod body;
mod connector;
mod error;
mod exchange;
pub mod h1;
mod host;
mod http2;
mod pool;
mod request;
mod resolver;
mod response;
mod settings;
mod stream;
mod tcp;
mod tls;
mod upload;

pub use self::{
    body::{CollectedBody, ResponseBody},
    error::{BodyError, ConnectError, ExchangeError, SettingsError},
    exchange::{HttpClient, WriteAttempt},
    request::RequestTemplate,
    response::{ResponseHead, UpstreamResponse},
    settings::ClientSettings,
    tls::read_roots,
    upload::UploadBody,
};

#[cfg(test)]
mod tests;
