//! Traces and metrics of models, over OTLP: only if somebody says where to.
//!
//! ```text
//! request (SERVER) ─┬─ chat MODEL (CLIENT), one for each attempt
//!                   ├─ execute_tool NAME (INTERNAL)
//!                   └─ store.OPERATION (CLIENT)
//! ```
//!
//! Who was called is told of the trace by `traceparent`, so that the span of each call is the parent
//! of what happens there. Without an address nothing of this exists: providers and stores are not
//! wrapped, and requests pass by.

mod attributes;
mod content;
mod export;
mod http_client;
mod instruments;
mod provider;
mod request;
mod store;
mod tools;

pub use self::{request::Body, store::StoreSpan};
pub use crate::otel_settings::{Protocol, Settings};

use anyhow::Context as _;
use gateway_core::{Provider, Tools};
use instruments::Instruments;
use opentelemetry::{
    Context, KeyValue,
    metrics::MeterProvider as _,
    trace::{SpanContext, TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    Resource,
    metrics::SdkMeterProvider,
    propagation::TraceContextPropagator,
    resource::EnvResourceDetector,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

/// How long what waits to be sent may take at the end.
const FLUSH: Duration = Duration::from_secs(2);
/// The name of what makes the spans.
const SCOPE: &str = "llm-gateway";

/// Makes spans, and sends them.
pub struct Tracing {
    tracer: SdkTracer,
    traces: SdkTracerProvider,
    meters: SdkMeterProvider,
    instruments: Instruments,
    content: bool,
}

/// Begins to trace, if there are `settings`.
///
/// # Errors
///
/// If the address is not one to send to.
pub fn start(settings: Option<&Settings>) -> anyhow::Result<Option<Arc<Tracing>>> {
    let Some(settings) = settings else { return Ok(None) };
    let endpoint = settings.endpoint.as_str();
    let usual = if endpoint.ends_with(":4318") { Protocol::Http } else { Protocol::Grpc };
    let protocol = settings.protocol.unwrap_or(usual);
    let resource = Resource::builder_empty()
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_service_name(settings.service_name.clone())
        .with_attribute(KeyValue::new("service.version", settings.service_version))
        .build();
    let traces = SdkTracerProvider::builder()
        .with_batch_exporter(export::spans(protocol, endpoint).context("tracing.endpoint")?)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample))))
        .with_resource(resource.clone())
        .build();
    let meters = SdkMeterProvider::builder()
        .with_periodic_exporter(export::metrics(protocol, endpoint).context("tracing.endpoint")?)
        .with_resource(resource)
        .build();
    tracing::info!(endpoint, protocol = protocol.as_str(), "traces are sent");
    Ok(Some(Arc::new(Tracing {
        tracer: traces.tracer(SCOPE),
        instruments: Instruments::of(&meters.meter(SCOPE)),
        traces,
        meters,
        content: settings.content,
    })))
}

impl Tracing {
    /// `inner`, each of whose attempts is a span.
    pub fn provider(self: &Arc<Self>, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(provider::Traced::new(inner, Arc::clone(self)))
    }

    /// `inner`, each of whose calls is a span.
    pub fn tools(self: &Arc<Self>, inner: Arc<dyn Tools>) -> Arc<dyn Tools> {
        Arc::new(tools::Traced::new(inner, Arc::clone(self)))
    }

    /// Sends what waits, for a while.
    pub async fn close(self: Arc<Self>) {
        let (done, sent) = tokio::sync::oneshot::channel();
        // Sending waits for tasks of the runtime, which must not wait for it.
        let flushing = std::thread::Builder::new().name("flush".to_owned()).spawn(move || {
            let _ = self.traces.shutdown_with_timeout(FLUSH);
            let _ = self.meters.shutdown_with_timeout(FLUSH);
            let _ = done.send(());
        });
        if flushing.is_err() || tokio::time::timeout(FLUSH, sent).await.is_err() {
            tracing::warn!("the last spans were not sent");
        }
    }
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing").field("content", &self.content).finish_non_exhaustive()
    }
}

/// The span that these headers tell of, as a parent.
fn parent(traceparent: Option<&str>, tracestate: Option<&str>) -> Context {
    use opentelemetry::propagation::TextMapPropagator as _;
    let named = [("traceparent", traceparent), ("tracestate", tracestate)];
    let carrier: HashMap<String, String> = named
        .into_iter()
        .filter_map(|(name, it)| Some((name.to_owned(), it?.to_owned())))
        .collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// What a callee is told of the span `it`.
fn traceparent(it: &SpanContext) -> String {
    let flags = it.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", it.trace_id(), it.span_id())
}

/// Whether the present task works for a span.
fn current() -> Option<Context> {
    let context = Context::current();
    context.span().span_context().is_valid().then_some(context)
}
