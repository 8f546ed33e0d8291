//! The resources that outlive a configuration.

use crate::{limits::LimitResources, process::ProcessHandles, stores};
use gateway_config::Config;
use gateway_core::MemoryBudget;
use gateway_engine::RequestMetrics;
use gateway_http::HttpService;
use gateway_store::Stores;
use gateway_telemetry::breaker_metrics::OpenBreakers;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time;

/// The time limit for recording turns and replies after the last connection closed.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);

/// The resources shared by all generations: opened at the start, closed at the end.
pub struct SharedResources {
    /// The handles of the process.
    pub process: ProcessHandles,
    /// The state store.
    pub(crate) stores: Stores,
    /// The handles of the metrics.
    pub(crate) meters: Arc<RequestMetrics>,
    /// The circuit breakers that are open.
    pub(crate) breakers: Arc<OpenBreakers>,
    /// The memory for bodies of requests and responses.
    pub(crate) memory: Arc<MemoryBudget>,
    /// The state of the limits.
    pub(crate) limits: LimitResources,
}

impl SharedResources {
    /// Opens the store and starts the background tasks of the limits.
    ///
    /// # Errors
    ///
    /// If the store cannot be opened.
    pub async fn open(config: &Config, process: ProcessHandles) -> anyhow::Result<Self> {
        gateway_tasks::watch_failpoints(config.server.data_dir.join("failpoints"));
        let meters = Arc::default();
        let stores = stores::open(config, &meters, process.tracing.as_ref()).await?;
        let limits = LimitResources::start(config, &stores).await;
        let memory = Arc::new(MemoryBudget::new(config.admission.body_memory.0));
        Ok(Self { process, stores, meters, breakers: Arc::default(), memory, limits })
    }

    /// Waits for the background responses of `app`, as long as other responses may take in a
    /// shutdown.
    pub async fn finish_background(&self, app: &HttpService) {
        tokio::select! {
            () = app.engine.responses.idle() => {}
            () = self.process.shutdown.final_notice.cancelled() => {}
        }
    }

    /// Records what callers of `app` were promised, then closes the stores and the tracer.
    pub async fn close(self, app: &HttpService) {
        app.engine.responses.close().await;
        let settling =
            async { tokio::join!(app.engine.sessions.settled(), app.idempotency.settled()) };
        if time::timeout(SETTLE_TIMEOUT, settling).await.is_err() {
            tracing::warn!("shutdown timed out while recording session turns or replies");
        }
        app.engine.limits.close().await;
        self.stores.close().await;
        if let Some(tracing) = self.process.tracing {
            tracing.close().await;
        }
    }
}

impl fmt::Debug for SharedResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedResources").field("process", &self.process).finish_non_exhaustive()
    }
}
