//! The engine: one generation of everything that a request to a model passes.

use crate::{
    ContextWindows, LocalModels, ProviderDirectory, RequestMetrics, RequestObserver, Toolbox,
};
use gateway_core::{ContextService, MemoryBudget, Result};
use gateway_limits::{AdmissionPermit, Client, Limits};
use gateway_sessions::{Responses, SessionManager};
use std::{fmt, sync::Arc, time::Duration};

/// The service of requests to models. Immutable: a new configuration is a new engine, and requests
/// in progress continue with the one they started with.
pub struct Engine {
    /// The providers, and which model name leads to which of them.
    pub directory: ProviderDirectory,
    /// The defaults of requests.
    pub settings: EngineSettings,
    /// Clients' limits, admission and the usage ledger.
    pub limits: Limits,
    /// The tools that the gateway runs.
    pub toolbox: Toolbox,
    /// Sessions, and the turns in progress.
    pub sessions: SessionManager,
    /// Stored responses, and those made in the background.
    pub responses: Responses,
    /// Fits conversations into the context windows of models; absent if not configured.
    pub context_service: Option<Arc<dyn ContextService>>,
    /// The context windows of local models as their server reports them.
    pub context_windows: Arc<ContextWindows>,
    /// The models that local servers report.
    pub local_models: Arc<LocalModels>,
    /// The metrics of requests.
    pub metrics: Arc<RequestMetrics>,
    /// The observers of requests: the log, the console.
    pub observers: Vec<Arc<dyn RequestObserver>>,
    /// The memory for bodies of requests and responses.
    pub memory: Arc<MemoryBudget>,
    /// The number of the configuration, counted from 1.
    pub generation: u64,
}

/// The defaults of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSettings {
    /// Reject parameters that a translation cannot carry, instead of dropping them.
    pub strict: bool,
    /// The model of requests that name none.
    pub default_model: Option<String>,
    /// The deepest nesting of JSON that is accepted.
    pub json_depth: usize,
    /// Whether the response cache is on.
    pub caching: bool,
    /// The size above which a response that is not streamed passes on while it arrives, in bytes,
    /// where nothing needs it whole. Default: `None`, every response is collected.
    pub passthrough_above: Option<usize>,
    /// Maximum delay of a streamed response's start, in which a failure can still set the status.
    pub first_output: Duration,
    /// The silence in a stream after which a comment is sent, so that no proxy closes it.
    pub keep_alive: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            strict: false,
            default_model: None,
            json_depth: 64,
            caching: false,
            passthrough_above: None,
            first_output: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
        }
    }
}

impl Engine {
    /// Takes an admission slot for a request of `client`; waits in the queue for a short time.
    ///
    /// # Errors
    ///
    /// [`Overloaded`](gateway_core::ErrorKind::Overloaded) if no slot gets free,
    /// [`RateLimited`](gateway_core::ErrorKind::RateLimited) if the tenant is at its limit.
    pub async fn admit(
        &self,
        client: &Client,
        priority: Option<gateway_limits::Priority>,
    ) -> Result<Option<AdmissionPermit>> {
        let tenant = (!client.is_anonymous).then_some(&client.tenant);
        self.limits.admission.admit(tenant, priority.unwrap_or(client.priority)).await
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("directory", &self.directory)
            .field("settings", &self.settings)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
