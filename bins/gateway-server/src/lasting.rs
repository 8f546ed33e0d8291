//! What outlives a configuration: made once, and shared by the gateways that configurations make.

use crate::{compose, compose::control::Accounts, config::Config, drain::Drain, instrumentation};
use gateway_engine::RequestMetrics;
use gateway_http::RenderMetrics;
use gateway_store::Stores;
use gateway_telemetry::{breaker_metrics::OpenBreakers, log::DroppedLines, otel};
use std::sync::Arc;

/// Made when the process starts, closed when it ends.
#[derive(Debug)]
pub struct Lasting {
    /// Where state is kept.
    pub stores: Stores,
    /// How the process stops.
    pub drain: Drain,
    /// What renders the metrics.
    pub metrics: Rendering,
    /// What counts.
    pub meters: Arc<RequestMetrics>,
    /// What the breakers do.
    pub breakers: Arc<OpenBreakers>,
    /// What makes spans, if there are to be any.
    pub tracing: Option<Arc<otel::Tracing>>,
    /// Accounts of callers.
    pub accounts: Accounts,
}

/// Renders the metrics.
#[derive(Clone)]
pub struct Rendering(pub RenderMetrics);

impl std::fmt::Debug for Rendering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rendering")
    }
}

impl Lasting {
    /// Opens the state and begins to count.
    ///
    /// # Errors
    ///
    /// If the state cannot be opened, or something else counts already.
    pub async fn begin(config: &Config, losses: Arc<DroppedLines>) -> anyhow::Result<Self> {
        let metrics = Rendering(instrumentation::metrics(losses)?);
        let tracing = instrumentation::tracing(config)?;
        let meters = Arc::default();
        let mut stores = compose::stores(config).await?;
        instrumentation::stores(&mut stores, config.store.backend(), &meters, tracing.as_ref());
        let (drain, breakers) = (Drain::default(), Arc::default());
        let accounts = Accounts::begin(config, &stores).await;
        Ok(Self { stores, drain, metrics, meters, breakers, tracing, accounts })
    }
}
