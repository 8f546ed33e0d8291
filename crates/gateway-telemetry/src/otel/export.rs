//! OTLP exporters whose exports are counted by result.

use super::{OtlpProtocol, http_client::OtlpHttpClient};
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

/// The time limit of one export.
const LIMIT: Duration = Duration::from_secs(5);

/// Builds an exporter over `$protocol`. A macro, because the builders of spans and metrics are
/// different types, whose `build` is no method of a trait.
macro_rules! exporter {
    ($builder:expr, $protocol:expr, $endpoint:expr, $signal:literal) => {{
        let exporter = match $protocol {
            OtlpProtocol::Grpc => {
                $builder.with_tonic().with_endpoint($endpoint).with_timeout(LIMIT).build()
            }
            OtlpProtocol::Http => $builder
                .with_http()
                .with_http_client(OtlpHttpClient::new()?)
                .with_endpoint(format!(concat!("{}/v1/", $signal), $endpoint))
                .with_timeout(LIMIT)
                .build(),
        };
        Ok(CountingExporter { inner: exporter?, signal: $signal })
    }};
}

/// Creates the exporter of spans.
pub(super) fn spans(
    protocol: OtlpProtocol,
    endpoint: &str,
) -> anyhow::Result<CountingExporter<SpanExporter>> {
    exporter!(SpanExporter::builder(), protocol, endpoint, "traces")
}

/// Creates the exporter of metrics.
pub(super) fn metrics(
    protocol: OtlpProtocol,
    endpoint: &str,
) -> anyhow::Result<CountingExporter<MetricExporter>> {
    exporter!(MetricExporter::builder(), protocol, endpoint, "metrics")
}

/// An exporter that counts its exports by result.
pub(super) struct CountingExporter<E> {
    inner: E,
    signal: &'static str,
}

impl<E> CountingExporter<E> {
    fn count(&self, sent: OTelSdkResult) -> OTelSdkResult {
        let result = if sent.is_ok() { "ok" } else { "failed" };
        counter!("llm_gateway_otlp_exports_total", "signal" => self.signal, "result" => result)
            .increment(1);
        if let Err(error) = &sent {
            tracing::warn!(target: "gateway::otlp", signal = self.signal, %error, "OTLP export failed");
        }
        sent
    }
}

impl<E> fmt::Debug for CountingExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingExporter").field("signal", &self.signal).finish_non_exhaustive()
    }
}

impl<E: Exporter> Exporter for CountingExporter<E> {
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

impl<E: PushMetricExporter> PushMetricExporter for CountingExporter<E> {
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
