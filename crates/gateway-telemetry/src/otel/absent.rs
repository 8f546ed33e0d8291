//! The stand-in for a build without the feature `otlp`: tracing cannot be started.

pub use crate::otel_settings::{OtlpProtocol, OtlpSettings};

use bytes::Bytes;
use gateway_core::{BoxError, Provider, Tools};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use std::{convert::Infallible, sync::Arc};

/// The body of a response.
pub type TracedBody = UnsyncBoxBody<Bytes, BoxError>;

/// A type without values.
#[derive(Debug)]
pub struct OtelPipeline(Infallible);

/// A type without values.
#[derive(Debug)]
pub struct StoreSpan(Infallible);

/// Returns `None`.
///
/// # Errors
///
/// If there are settings.
pub fn start(settings: Option<&OtlpSettings>) -> anyhow::Result<Option<Arc<OtelPipeline>>> {
    anyhow::ensure!(
        settings.is_none(),
        "tracing.endpoint: this gateway was built without the feature `otlp`"
    );
    Ok(None)
}

impl OtelPipeline {
    /// Never called.
    pub fn provider(self: &Arc<Self>, _: Arc<dyn Provider>) -> Arc<dyn Provider> {
        match self.0 {}
    }

    /// Never called.
    pub fn tools(self: &Arc<Self>, _: Arc<dyn Tools>) -> Arc<dyn Tools> {
        match self.0 {}
    }

    /// Never called.
    pub fn store(&self, _: &'static str, _: &'static str) -> StoreSpan {
        match self.0 {}
    }

    /// Never called.
    pub async fn answer<B, S, F>(
        self: Arc<Self>,
        _: Option<&'static str>,
        _: Request<B>,
        _: S,
    ) -> Response<TracedBody>
    where
        S: FnOnce(Request<B>) -> F,
        F: Future<Output = Response<TracedBody>>,
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
