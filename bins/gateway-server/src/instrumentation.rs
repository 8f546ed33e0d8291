//! Log, metrics and traces as configured.

use crate::config::{Config, LogOutput, LogSection, LogVerbosity};
use gateway_engine::metric_names;
use gateway_telemetry::{
    log::{self, DroppedLines},
    metrics::{self, MetricDescription, MetricKind, RenderMetrics},
    otel::{self, OtelPipeline},
};
use std::sync::Arc;

/// Starts the log.
///
/// # Errors
///
/// If a subscriber is already installed, or no thread can be spawned.
pub fn log(it: &LogSection) -> anyhow::Result<log::LogHandle> {
    let format = it.format.map(|format| match format {
        LogOutput::Json => log::LogFormat::Json,
        LogOutput::Pretty => log::LogFormat::Pretty,
    });
    log::start(level(it.level), format)
}

/// Returns the log level.
pub const fn level(it: LogVerbosity) -> tracing::Level {
    match it {
        LogVerbosity::Error => tracing::Level::ERROR,
        LogVerbosity::Warn => tracing::Level::WARN,
        LogVerbosity::Info => tracing::Level::INFO,
        LogVerbosity::Debug => tracing::Level::DEBUG,
        LogVerbosity::Trace => tracing::Level::TRACE,
    }
}

/// Installs the metrics recorder.
///
/// # Errors
///
/// If a recorder is already installed.
pub(crate) fn metrics(dropped: Arc<DroppedLines>) -> anyhow::Result<RenderMetrics> {
    let describe = |metric: &metric_names::Metric| MetricDescription {
        name: metric.name,
        kind: match metric.kind {
            metric_names::Kind::Counter => MetricKind::Counter,
            metric_names::Kind::Gauge => MetricKind::Gauge,
            metric_names::Kind::Histogram(bounds) => MetricKind::Histogram(bounds),
        },
        meaning: metric.meaning,
    };
    let all: Vec<_> = metric_names::ALL.iter().map(describe).collect();
    metrics::install(&all, env!("CARGO_PKG_VERSION"), dropped)
}

/// Starts tracing, if an endpoint is configured.
///
/// # Errors
///
/// If an exporter cannot be created.
pub(crate) fn tracing(config: &Config) -> anyhow::Result<Option<Arc<OtelPipeline>>> {
    otel::start(gateway_assembly::otlp_settings(config, env!("CARGO_PKG_VERSION")).as_ref())
}
