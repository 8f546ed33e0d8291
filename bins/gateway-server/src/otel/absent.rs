//! A gateway that was built without OTLP: there is no tracing, and there can be none.

use crate::config::{Backend, Tracing as Settings};
use bytes::Bytes;
use gateway_core::{BoxError, Provider, Tools};
use gateway_http::{App, Body};
use http::{Request, Response};
use std::{convert::Infallible, net::IpAddr, sync::Arc};

/// Nothing that there is.
#[derive(Debug)]
pub struct Tracing(Infallible);

/// Nothing that there is.
#[derive(Debug)]
pub struct StoreSpan(Infallible);

/// Traces nothing.
///
/// # Errors
///
/// If traces are wanted.
pub fn start(settings: &Settings) -> anyhow::Result<Option<Arc<Tracing>>> {
    anyhow::ensure!(
        settings.endpoint.is_none() || !settings.enabled,
        "tracing.endpoint: this gateway was built without OTLP"
    );
    Ok(None)
}

impl Tracing {
    /// Never called.
    pub fn provider(self: &Arc<Self>, _: Arc<dyn Provider>) -> Arc<dyn Provider> {
        match self.0 {}
    }

    /// Never called.
    pub fn tools(self: &Arc<Self>, _: Arc<dyn Tools>) -> Arc<dyn Tools> {
        match self.0 {}
    }

    /// Never called.
    pub fn store(&self, _: &'static str, _: Backend) -> StoreSpan {
        match self.0 {}
    }

    /// Never called.
    pub async fn answer<B>(self: Arc<Self>, _: Arc<App>, _: IpAddr, _: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        match self.0 {}
    }

    /// Never called.
    pub async fn close(self: Arc<Self>) {
        match self.0 {}
    }
}

impl StoreSpan {
    /// Never called.
    pub fn end(self, _: Option<&str>) {
        match self.0 {}
    }
}
