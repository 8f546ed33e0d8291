//! The gateway's tools that a client may use.

use async_trait::async_trait;
use gateway_core::{Json, ToolCall, ToolContext, ToolError, ToolSpec, Tools};
use gateway_limits::Client;
use std::sync::Arc;

/// The tools that a client may use; it learns of no others.
struct PermittedTools {
    all: Arc<dyn Tools>,
    client: Client,
}

/// The tools of `all` that `client` may use.
pub fn permitted_tools(client: &Client, all: &Arc<dyn Tools>) -> Arc<dyn Tools> {
    if client.tools.is_none() {
        return Arc::clone(all);
    }
    Arc::new(PermittedTools { all: Arc::clone(all), client: client.clone() })
}

#[async_trait]
impl Tools for PermittedTools {
    fn specs(&self) -> Vec<Arc<ToolSpec>> {
        let mut specs = self.all.specs();
        specs.retain(|spec| self.client.may_use(spec.name()));
        specs
    }

    fn spec(&self, name: &str) -> Option<Arc<ToolSpec>> {
        self.all.spec(name).filter(|_| self.client.may_use(name))
    }

    fn recognizes(&self, described: &ToolSpec) -> bool {
        self.client.may_use(described.name()) && self.all.recognizes(described)
    }

    async fn run(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError> {
        if self.client.may_use(&call.name) {
            self.all.run(call, context).await
        } else {
            Err(ToolError::unknown(&call.name))
        }
    }
}
