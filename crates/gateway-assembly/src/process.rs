//! The handles that the process gives to the gateway. Nothing in this crate claims anything global: a
//! log, a metrics recorder or a tracer is the host's.

use gateway_telemetry::{metrics::RenderMetrics, otel::OtelPipeline};
use std::{fmt, sync::Arc};
use tokio_util::sync::CancellationToken;

/// The handles of the process that runs the gateway.
#[derive(Clone)]
pub struct ProcessHandles {
    /// The version that `/` and metrics report.
    pub version: &'static str,
    /// The renderer of the metrics, if the process installed a recorder.
    pub metrics: Option<RenderMetrics>,
    /// The tracer, if tracing is on.
    pub tracing: Option<Arc<OtelPipeline>>,
    /// The stages of the shutdown.
    pub shutdown: ShutdownStages,
}

/// The stages of a graceful shutdown, in their order. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ShutdownStages {
    /// Readiness fails; requests are still served.
    pub draining: CancellationToken,
    /// No connection is accepted, and idle ones are closed.
    pub closing: CancellationToken,
    /// Streams that still run end with `server_shutting_down`.
    pub final_notice: CancellationToken,
    /// Connections that are still open are cut.
    pub terminated: CancellationToken,
}

impl Default for ProcessHandles {
    /// Without metrics and traces.
    fn default() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self { version, metrics: None, tracing: None, shutdown: ShutdownStages::default() }
    }
}

impl fmt::Debug for ProcessHandles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessHandles")
            .field("version", &self.version)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}
