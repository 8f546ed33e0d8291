//! The gateway's tools: their endpoints, and how requests to models come by them.

mod context;
mod endpoints;
mod entrance;
mod equip;
mod mcp;
mod permitted;
mod remark;
mod within;

pub(crate) use self::{
    endpoints::serve,
    entrance::Asker,
    equip::equip,
    mcp::serve as serve_mcp,
    remark::{are_shown, remark, seen},
};

use async_trait::async_trait;
use gateway_core::{Json, ToolCall, ToolContext, ToolError, ToolLoopLimits, ToolSpec, Tools};
use std::{fmt, sync::Arc, time::Duration};

/// The tools that the gateway runs, and how their calls are met.
#[derive(Clone)]
pub struct Toolbox {
    /// The tools.
    pub tools: Arc<dyn Tools>,
    /// The names of those that every request to a model offers, unless it or its session names
    /// others.
    pub offered: Vec<String>,
    /// How far a model may go with them.
    pub rounds: ToolLoopLimits,
    /// How long a request may take with all its tools, if its answer is not streamed.
    pub total: Duration,
    /// The same, of a streamed answer.
    pub stream_total: Duration,
}

/// No tools at all.
struct Nothing;

#[async_trait]
impl Tools for Nothing {
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

impl Default for Toolbox {
    /// Without a tool.
    fn default() -> Self {
        Self {
            tools: Arc::new(Nothing),
            offered: Vec::new(),
            rounds: ToolLoopLimits::default(),
            total: Duration::from_secs(590),
            stream_total: Duration::from_mins(30),
        }
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolbox")
            .field("offered", &self.offered)
            .field("rounds", &self.rounds)
            .finish_non_exhaustive()
    }
}
