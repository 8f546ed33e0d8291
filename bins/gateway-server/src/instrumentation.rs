//! What is logged, measured and traced, as the configuration says.

use crate::config::{Backend, Config, Format, Level, Log, Protocol};
use gateway_engine::{RequestMetrics, metric_names};
use gateway_store::Stores;
use gateway_telemetry::{
    instrumented_store::StoreInstrumentation,
    log::{self, DroppedLines},
    metrics::{self, MetricDescription, MetricKind, RenderMetrics},
    otel::{self, Tracing},
};
use std::sync::Arc;

/// Begins to log.
///
/// # Errors
///
/// If something else logs already, or there can be no more threads.
pub fn log(it: &Log) -> anyhow::Result<log::LogHandle> {
    let format = it.format.map(|format| match format {
        Format::Json => log::LogFormat::Json,
        Format::Pretty => log::LogFormat::Pretty,
    });
    log::start(level(it.level), format)
}

/// How much is logged.
pub const fn level(it: Level) -> tracing::Level {
    match it {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
        Level::Trace => tracing::Level::TRACE,
    }
}

/// Begins to count.
///
/// # Errors
///
/// If something else counts already.
pub(crate) fn metrics(losses: Arc<DroppedLines>) -> anyhow::Result<RenderMetrics> {
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
    metrics::install(&all, env!("CARGO_PKG_VERSION"), losses)
}

/// Begins to trace, if the configuration says where to.
///
/// # Errors
///
/// If the address is not one to send to.
pub(crate) fn tracing(config: &Config) -> anyhow::Result<Option<Arc<Tracing>>> {
    let it = &config.tracing;
    let settings = it.endpoint.as_ref().filter(|_| it.enabled).map(|endpoint| otel::OtlpSettings {
        endpoint: endpoint.as_str().to_owned(),
        protocol: it.protocol.map(|protocol| match protocol {
            Protocol::Grpc => otel::OtlpProtocol::Grpc,
            Protocol::Http => otel::OtlpProtocol::Http,
        }),
        sample: it.sample,
        service_name: it.service_name.clone(),
        service_version: env!("CARGO_PKG_VERSION"),
        content: it.content,
    });
    otel::start(settings.as_ref())
}

/// Watches every operation on `stores`, which `backend` keeps.
pub(crate) fn stores(
    stores: &mut Stores,
    backend: Backend,
    meters: &Arc<RequestMetrics>,
    tracing: Option<&Arc<Tracing>>,
) {
    let meters = Arc::clone(meters);
    let instrumentation = StoreInstrumentation {
        system: match backend {
            Backend::Memory => "memory",
            Backend::Embedded => "redb",
            Backend::Redis => "redis",
        },
        observer: Arc::new(move |operation, took, error| {
            meters.store_operation(operation, took, error);
        }),
        tracing: tracing.cloned(),
    };
    stores.sessions = Arc::new(instrumentation.wrap(&stores.sessions));
    stores.responses = Arc::new(instrumentation.wrap(&stores.responses));
    stores.cache = Arc::new(instrumentation.wrap(&stores.cache));
    stores.side = Arc::new(instrumentation.wrap(&stores.side));
    stores.idempotency = Arc::new(instrumentation.wrap(&stores.idempotency));
    stores.quotas = Arc::new(instrumentation.wrap(&stores.quotas));
    stores.ledger = Arc::new(instrumentation.wrap(&stores.ledger));
    stores.client_keys = Arc::new(instrumentation.wrap(&stores.client_keys));
}
