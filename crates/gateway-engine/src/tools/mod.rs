//! The gateway's tools in a request: which are offered, who may use them, how long they may take.

mod attach;
mod context;
mod deadline;
mod events;
mod permitted;
mod taxonomy;

pub use self::{attach::ToolSelection, context::tool_context, permitted::permitted_tools};
pub(crate) use self::{
    attach::{AttachedTools, attach},
    events::{count_calls_as_output, write_tool_events},
    taxonomy::TaxonomySources,
};

use async_trait::async_trait;
use gateway_core::{
    Json, McpList, McpListEntry, McpReply, McpRequest, McpServers, ToolCall, ToolContext,
    ToolError, ToolLoopLimits, ToolSpec, Tools,
};
use std::{fmt, sync::Arc, time::Duration};

/// The tools that the gateway runs, and how far a model may go with them.
#[derive(Clone)]
pub struct Toolbox {
    /// The registered gateway tools.
    pub tools: Arc<dyn Tools>,
    /// The servers of some of them, whose prompts and resources clients of the Model Context
    /// Protocol find here too.
    pub servers: Arc<dyn McpServers>,
    /// The names of those that every request to a model offers, unless it or its session names
    /// others.
    pub offered: Vec<String>,
    /// The limits of a tool loop.
    pub limits: ToolLoopLimits,
    /// The deadline of a request with all of its tool rounds, if the response is not streamed.
    pub total: Duration,
    /// The same, of a streamed response.
    pub stream_total: Duration,
}

/// A registry without tools.
struct NoTools;

#[async_trait]
impl Tools for NoTools {
    fn specs(&self) -> Vec<Arc<ToolSpec>> {
        Vec::new()
    }

    fn spec(&self, _: &str) -> Option<Arc<ToolSpec>> {
        None
    }

    fn recognizes(&self, _: &ToolSpec) -> bool {
        false
    }

    async fn run(&self, call: &ToolCall, _: &ToolContext) -> Result<Json, ToolError> {
        Err(ToolError::unknown(&call.name))
    }
}

#[async_trait]
impl McpServers for NoTools {
    fn list(&self, _: McpList) -> Vec<McpListEntry> {
        Vec::new()
    }

    async fn relay(
        &self,
        _: &str,
        request: McpRequest,
        _: &ToolContext,
    ) -> Result<McpReply, ToolError> {
        Err(ToolError::unknown(request.method))
    }

    async fn subscribe(&self, _: &str, _: &str) -> Result<McpReply, ToolError> {
        Err(ToolError::unknown("resources/subscribe"))
    }

    async fn unsubscribe(&self, _: &str, _: &str) {}
}

impl Default for Toolbox {
    /// Returns a registry without tools.
    fn default() -> Self {
        Self {
            tools: Arc::new(NoTools),
            servers: Arc::new(NoTools),
            offered: Vec::new(),
            limits: ToolLoopLimits::default(),
            total: Duration::from_secs(590),
            stream_total: Duration::from_mins(30),
        }
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolbox")
            .field("offered", &self.offered)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
