//! The ways out: what is sent is counted, whether it arrives or not.

use super::{Protocol, http_client::Courier};
use metrics::counter;
use opentelemetry_otlp::{
    MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter as Exporter},
};
use std::{fmt, time::Duration};

/// How long a batch may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The way out of spans.
pub(super) fn spans(protocol: Protocol, endpoint: &str) -> anyhow::Result<Counted<SpanExporter>> {
    let exporter = SpanExporter::builder();
    let exporter = match protocol {
        Protocol::Grpc => exporter.with_tonic().with_endpoint(endpoint).with_timeout(LIMIT).build(),
        Protocol::Http => exporter
            .with_http()
            .with_http_client(Courier::new()?)
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_timeout(LIMIT)
            .build(),
    };
    Ok(Counted { inner: exporter?, signal: "traces" })
}

/// The way out of metrics.
pub(super) fn metrics(
    protocol: Protocol,
    endpoint: &str,
) -> anyhow::Result<Counted<MetricExporter>> {
    let exporter = MetricExporter::builder();
    let exporter = match protocol {
        Protocol::Grpc => exporter.with_tonic().with_endpoint(endpoint).with_timeout(LIMIT).build(),
        Protocol::Http => exporter
            .with_http()
            .with_http_client(Courier::new()?)
            .with_endpoint(format!("{endpoint}/v1/metrics"))
            .with_timeout(LIMIT)
            .build(),
    };
    Ok(Counted { inner: exporter?, signal: "metrics" })
}

/// A way out that is counted.
pub(super) struct Counted<E> {
    inner: E,
    signal: &'static str,
}

impl<E> Counted<E> {
    fn count(&self, sent: OTelSdkResult) -> OTelSdkResult {
        let result = if sent.is_ok() { "ok" } else { "failed" };
        counter!("llm_gateway_otlp_exports_total", "signal" => self.signal, "result" => result)
            .increment(1);
        if let Err(error) = &sent {
            tracing::warn!(target: "gateway::otlp", signal = self.signal, %error, "not sent");
        }
        sent
    }
}

impl<E> fmt::Debug for Counted<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("signal", &self.signal).finish_non_exhaustive()
    }
}

impl<E: Exporter> Exporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.inner.export(batch).await;
        self.count(sent)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Counted<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let sent = self.inner.export(metrics).await;
        self.count(sent)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
