//! The resources that outlive a configuration.

use super::{limits::LimitResources, stores};
use crate::{config::Config, drain::Drain, instrumentation};
use gateway_engine::RequestMetrics;
use gateway_store::Stores;
use gateway_telemetry::{
    breaker_metrics::OpenBreakers, log::DroppedLines, metrics::RenderMetrics, otel::Tracing,
};
use std::{fmt, sync::Arc};

/// The resources shared by all generations: created at the start, closed at the end.
pub(crate) struct SharedResources {
    /// The state store.
    pub(crate) stores: Stores,
    /// The stages of the shutdown.
    pub(crate) drain: Drain,
    /// The renderer of the metrics.
    pub(crate) metrics: RenderMetrics,
    /// The handles of the metrics.
    pub(crate) meters: Arc<RequestMetrics>,
    /// The circuit breakers that are open.
    pub(crate) breakers: Arc<OpenBreakers>,
    /// The tracer, if tracing is on.
    pub(crate) tracing: Option<Arc<Tracing>>,
    /// The state of the limits.
    pub(super) limits: LimitResources,
}

impl SharedResources {
    /// Opens the store and starts metrics, tracing and the background tasks of the limits.
    ///
    /// # Errors
    ///
    /// If the store cannot be opened, or a metrics recorder is already installed.
    pub(crate) async fn open(config: &Config, dropped: Arc<DroppedLines>) -> anyhow::Result<Self> {
        let metrics = instrumentation::metrics(dropped)?;
        let tracing = instrumentation::tracing(config)?;
        let meters = Arc::default();
        let mut stores = stores::open(config).await?;
        instrumentation::stores(&mut stores, config.store.backend(), &meters, tracing.as_ref());
        let (drain, breakers) = (Drain::default(), Arc::default());
        let limits = LimitResources::start(config, &stores).await;
        Ok(Self { stores, drain, metrics, meters, breakers, tracing, limits })
    }
}

impl fmt::Debug for SharedResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedResources").field("drain", &self.drain).finish_non_exhaustive()
    }
}
