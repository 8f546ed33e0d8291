//! OpenTelemetry traces and model metrics over OTLP, active only with an endpoint.
//!
//! ```text
//! request (SERVER) ─┬─ chat MODEL (CLIENT), one for each attempt
//!                   ├─ execute_tool NAME (INTERNAL)
//!                   └─ store.OPERATION (CLIENT)
//! ```
//!
//! Upstreams and services receive `traceparent`, so that the span of each call is the parent of
//! their spans. Without an endpoint providers and stores are not wrapped, and requests cost nothing.

mod attributes;
mod content;
mod export;
mod http_client;
mod instruments;
mod provider;
mod request;
mod store;
mod tools;

pub use self::{request::TracedBody, store::StoreSpan};
pub use crate::otel_settings::{OtlpProtocol, OtlpSettings};

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

/// The time limit for the last export at shutdown.
const FLUSH: Duration = Duration::from_secs(2);
/// The instrumentation scope.
const SCOPE: &str = "llm-gateway";

/// The tracer, the meter and their exporters.
pub struct OtelPipeline {
    tracer: SdkTracer,
    traces: SdkTracerProvider,
    meters: SdkMeterProvider,
    instruments: Instruments,
    content: bool,
}

/// Starts tracing; returns `None` without settings.
///
/// # Errors
///
/// If an exporter cannot be created for the endpoint.
pub fn start(settings: Option<&OtlpSettings>) -> anyhow::Result<Option<Arc<OtelPipeline>>> {
    let Some(settings) = settings else { return Ok(None) };
    let endpoint = settings.endpoint.as_str();
    let usual = if endpoint.ends_with(":4318") { OtlpProtocol::Http } else { OtlpProtocol::Grpc };
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
    tracing::info!(endpoint, protocol = protocol.as_str(), "OTLP export started");
    Ok(Some(Arc::new(OtelPipeline {
        tracer: traces.tracer(SCOPE),
        instruments: Instruments::of(&meters.meter(SCOPE)),
        traces,
        meters,
        content: settings.content,
    })))
}

impl OtelPipeline {
    /// Wraps a provider so that each attempt is a span.
    pub fn provider(self: &Arc<Self>, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(provider::TracedProvider::new(inner, Arc::clone(self)))
    }

    /// Wraps tools so that each call is a span.
    pub fn tools(self: &Arc<Self>, inner: Arc<dyn Tools>) -> Arc<dyn Tools> {
        Arc::new(tools::TracedTools::new(inner, Arc::clone(self)))
    }

    /// Exports what is buffered, within two seconds.
    pub async fn close(self: Arc<Self>) {
        let (done, sent) = tokio::sync::oneshot::channel();
        // The exporters block on tasks of the runtime, so a thread of its own calls them.
        let flushing = std::thread::Builder::new().name("flush".to_owned()).spawn(move || {
            let _ = self.traces.shutdown_with_timeout(FLUSH);
            let _ = self.meters.shutdown_with_timeout(FLUSH);
            let _ = done.send(());
        });
        if flushing.is_err() || tokio::time::timeout(FLUSH, sent).await.is_err() {
            tracing::warn!("OTLP shutdown timed out; the last spans were not exported");
        }
    }
}

impl fmt::Debug for OtelPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelPipeline").field("content", &self.content).finish_non_exhaustive()
    }
}

/// Returns the parent context of the trace headers.
fn parent(traceparent: Option<&str>, tracestate: Option<&str>) -> Context {
    use opentelemetry::propagation::TextMapPropagator as _;
    let named = [("traceparent", traceparent), ("tracestate", tracestate)];
    let carrier: HashMap<String, String> = named
        .into_iter()
        .filter_map(|(name, it)| Some((name.to_owned(), it?.to_owned())))
        .collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// Formats a `traceparent` header.
fn traceparent(it: &SpanContext) -> String {
    let flags = it.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", it.trace_id(), it.span_id())
}

/// Returns the current span's context, if there is one.
fn current_context() -> Option<Context> {
    let context = Context::current();
    context.span().span_context().is_valid().then_some(context)
}
