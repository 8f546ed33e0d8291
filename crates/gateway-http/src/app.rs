//! What a request handler may use.

use crate::{
    auth, body, console::LiveFeed, cors::Cors, health::Health, meters::Meters,
    request::peer::Peers, tools::Toolbox, windows::Windows,
};
use gateway_core::{ContextService, ErrorKind, Provider, Result, Route};
use gateway_engine::ProviderDirectory;
use gateway_limits::{Access, Client};
use gateway_sessions::{Idempotency, Keeper, Responses};
use http::HeaderMap;
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

/// Built once of a configuration; shared by every request.
pub struct App {
    /// Who may call.
    pub access: Access,
    /// The providers, and which model name leads to which of them.
    pub directory: ProviderDirectory,
    /// Which of them are given a pause.
    pub paused: Paused,
    /// Whether answers may be remembered.
    pub caching: bool,
    /// Conversations that are kept.
    pub keeper: Keeper,
    /// Requests that were already made.
    pub idempotency: Idempotency,
    /// Answers that are kept.
    pub responses: Responses,
    /// Fits conversations into the windows of models; absent if not configured.
    pub context_service: Option<Arc<dyn ContextService>>,
    /// What local models can read and write.
    pub windows: Arc<Windows>,
    /// The tools that the gateway runs.
    pub toolbox: Toolbox,
    /// What is accepted of bodies.
    pub limits: body::Limits,
    /// How deep JSON may be nested.
    pub json_depth: usize,
    /// Whether what a translation cannot carry is refused, whatever the request says.
    pub strict: bool,
    /// The model of requests that name none.
    pub default_model: Option<String>,
    /// How long things may take.
    pub times: Times,
    /// Which web pages may call.
    pub cors: Cors,
    /// Renders `/metrics`; absent if switched off.
    pub metrics: Option<Render>,
    /// Counts.
    pub meters: Arc<Meters>,
    /// Whose word counts about where a caller is.
    pub peers: Peers,
    /// Who may do how much.
    pub control: gateway_limits::Limits,
    /// What the page for operators shows; absent if there is none.
    pub console: Option<LiveFeed>,
    /// How well it is.
    pub health: Health,
    /// What is told of the gateway itself.
    pub about: About,
    /// Counts the configurations that the process has had; this is the one that made it.
    pub epoch: u64,
}

/// Renders metrics in Prometheus' text format.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// Whether a provider is given a pause, because it failed too often.
pub type Paused = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// How long things may take on the way to the caller.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long the head of a streamed reply is held back for the first output, so that what fails
    /// before it can still be told by a status.
    pub head_hold: Duration,
    /// After so much silence in a stream a comment is sent, lest somebody between takes the
    /// connection for dead.
    pub keep_alive: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { head_hold: Duration::from_secs(10), keep_alive: Duration::from_secs(15) }
    }
}

/// What is told of the gateway itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Its version.
    pub version: String,
    /// Where its documentation is served.
    pub docs: Option<String>,
}

impl App {
    /// Who sent a request with these headers from `peer`.
    ///
    /// # Errors
    ///
    /// If the key is missing or not known; after too many failures [`ErrorKind::RateLimited`].
    pub(crate) fn identify(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Arc<Client>> {
        auth::identify(&self.access, headers, &self.control.virtual_keys).map_err(|error| {
            if error.kind() == ErrorKind::Unauthenticated {
                self.control.failed_attempts.record(peer, error)
            } else {
                error
            }
        })
    }

    /// Who answers `client` where its request for `name` goes. A chain checks each of its targets
    /// for itself.
    ///
    /// # Errors
    ///
    /// If `client` may not use the model, or its provider is not set up.
    pub(crate) fn answerer(
        &self,
        client: &Client,
        name: &str,
        route: &Route,
    ) -> Result<&Arc<dyn Provider>> {
        if let Some(group) = self.directory.fallback(route) {
            return Ok(group);
        }
        client.check_model(name, &route.target.model)?;
        self.directory.provider(&route.provider)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("access", &self.access).finish_non_exhaustive()
    }
}
