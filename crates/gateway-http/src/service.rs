//! The HTTP service of one engine.

use crate::{
    auth, body::BodyLimits, browser_gate::BrowserGate, health::Health, openapi::OpenApiDocument,
    operators::OperatorAccess, request::peer::Peers,
};
use gateway_console::LiveFeed;
use gateway_core::{ErrorKind, Result};
use gateway_engine::Engine;
use gateway_limits::{Access, Client};
use gateway_sessions::{Idempotency, McpSessions};
use http::HeaderMap;
use std::{fmt, net::IpAddr, sync::Arc};

/// The HTTP surface of one engine. Immutable: a new configuration is a new service.
pub struct HttpService {
    /// Serves requests to models.
    pub engine: Arc<Engine>,
    /// The clients, by their keys.
    pub access: Access,
    /// The proxies that are believed about a caller's address.
    pub peers: Peers,
    /// The web pages that may call, and the hosts that requests may name.
    pub gate: BrowserGate,
    /// The limits of request bodies.
    pub bodies: BodyLimits,
    /// Requests that were made under an `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// The sessions of clients of the Model Context Protocol.
    pub mcp_sessions: McpSessions,
    /// The health of the gateway and of its dependencies.
    pub health: Health,
    /// Whether the circuit of a provider is open.
    pub circuits: OpenCircuits,
    /// The feed of the web console; absent if the console is off.
    pub console: Option<LiveFeed>,
    /// The rule for what is for operators.
    pub operators: OperatorAccess,
    /// The API description.
    pub openapi: OpenApiDocument,
    /// Renders `/metrics`; absent if metrics are off.
    pub metrics: Option<RenderMetrics>,
    /// The build information of the gateway.
    pub about: ServiceInfo,
}

/// Renders metrics in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Whether one of the circuits of a provider is open.
pub type OpenCircuits = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The build information of the gateway.
#[derive(Clone, Debug)]
pub struct ServiceInfo {
    /// The version of the build.
    pub version: String,
    /// The path of the API reference; absent if it is off.
    pub docs: Option<String>,
}

impl HttpService {
    /// The client that sent a request with these headers from `peer`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] without a known key; [`ErrorKind::RateLimited`] after too many
    /// failures, whatever the key.
    pub(crate) fn identify(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Arc<Client>> {
        let limits = &self.engine.limits;
        let identify = || auth::identify(&self.access, headers, &limits.virtual_keys);
        if let Access::Open(_) = self.access {
            return identify();
        }
        limits.failed_attempts.check(peer)?;
        let identified = identify();
        match &identified {
            Ok(_) => limits.failed_attempts.record_success(peer),
            Err(error) if error.kind() == ErrorKind::Unauthenticated => {
                limits.failed_attempts.record(peer);
            }
            Err(_) => {}
        }
        identified
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("engine", &self.engine).finish_non_exhaustive()
    }
}
