//! Tools of servers that speak the Model Context Protocol, over HTTP.
//!
//! Each call is a conversation of its own: so it bears the trace and the name of its own request,
//! nothing of one client's calls is left for another's, and dropping it ends it. Connections are
//! kept; no process is ever started.

mod result;
mod settings;

pub use self::settings::McpSettings;

use crate::{
    arguments,
    client::{ServiceClient, headers},
    registry::ToolPolicy,
};
use async_trait::async_trait;
use gateway_core::{Json, Tool, ToolContext, ToolError, ToolErrorCode, ToolSpec};
use rmcp::{
    RoleClient, ServiceExt as _,
    model::{self, CallToolRequestParams},
    service::{ClientInitializeError, RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use std::{collections::HashMap, fmt, sync::Arc};
use tokio::time;

/// More tools than models can choose from.
const MAX_TOOLS: usize = 512;

/// A server of tools.
#[derive(Clone)]
pub struct McpServer {
    settings: Arc<McpSettings>,
    client: ServiceClient,
}

/// A tool that an MCP server listed.
struct McpTool {
    server: McpServer,
    /// Name of the tool on the server.
    remote: String,
    spec: ToolSpec,
}

type McpSession = RunningService<RoleClient, ()>;

impl McpServer {
    /// The server of `settings`.
    pub fn new(settings: McpSettings, client: ServiceClient) -> Self {
        Self { settings: Arc::new(settings), client }
    }

    /// Returns the service name under which its tools share a circuit breaker.
    pub fn service(&self) -> String {
        format!("mcp:{}", self.settings.name)
    }

    /// Asks the server for its tools: those that are allowed, under their prefix.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, or does not answer in time.
    pub async fn tools(&self) -> Result<Vec<(Arc<dyn Tool>, ToolPolicy)>, ToolError> {
        let listing = async {
            let session = self.begin(&ToolContext::default()).await?;
            session.list_all_tools().await.map_err(|error| result::failed(&error))
        };
        let listed = time::timeout(self.settings.timeout, listing).await.map_err(|_| {
            ToolError::new(ToolErrorCode::Timeout, "the MCP server does not list its tools")
        })??;
        let allowed = listed.into_iter().filter(|it| self.settings.allows(&it.name));
        Ok(allowed.take(MAX_TOOLS).map(|tool| (self.tool(&tool), self.policy())).collect())
    }

    fn tool(&self, tool: &model::Tool) -> Arc<dyn Tool> {
        let schema = Json::of(&*tool.input_schema);
        let description = tool.description.as_deref().unwrap_or_default();
        let spec = ToolSpec::function(self.settings.local_name(&tool.name), description, schema);
        Arc::new(McpTool { server: self.clone(), remote: tool.name.to_string(), spec })
    }

    fn policy(&self) -> ToolPolicy {
        ToolPolicy {
            timeout: self.settings.timeout,
            idempotent: self.settings.idempotent,
            service: Some(self.service()),
            max_bytes: self.settings.max_bytes,
            common: false,
        }
    }

    /// Begins a conversation, which ends when it is dropped.
    async fn begin(&self, context: &ToolContext) -> Result<McpSession, ToolError> {
        let mut all: HashMap<_, _> = self.settings.headers.iter().cloned().collect();
        let about = headers(context).into_iter().filter_map(|(name, value)| Some((name?, value)));
        all.extend(about.filter(|(name, _)| name != http::header::ACCEPT));
        let settings = StreamableHttpClientTransportConfig::with_uri(self.settings.url.as_str())
            .custom_headers(all)
            .max_json_response_size(self.settings.max_bytes)
            .max_sse_event_size(self.settings.max_bytes)
            .reinit_on_expired_session(false);
        let transport = StreamableHttpClientTransport::with_client(self.client.inner(), settings);
        ().serve(transport).await.map_err(|error: ClientInitializeError| {
            tracing::debug!(target: "gateway::tool", server = self.settings.name, %error);
            ToolError::new(ToolErrorCode::Unavailable, "the MCP server is unreachable")
        })
    }
}

#[async_trait]
impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: &str, context: &ToolContext) -> Result<Json, ToolError> {
        let arguments = arguments::parse(arguments)?;
        let session = self.server.begin(context).await?;
        let call = CallToolRequestParams::new(self.remote.clone()).with_arguments(arguments);
        let called = session.call_tool(call).await;
        let called = called.map_err(|error: ServiceError| result::failed(&error))?;
        result::of(called)
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("name", &self.settings.name).finish_non_exhaustive()
    }
}
