//! The gateway's tools as far as a client may use them.

use async_trait::async_trait;
use gateway_core::{Json, ToolCall, ToolContext, ToolError, ToolSpec, Tools};
use gateway_limits::Client;
use std::sync::Arc;

/// Tools of which a client knows only those that it may use.
struct Permitted {
    all: Arc<dyn Tools>,
    client: Client,
}

/// What `client` sees of the tools `all`: of a tool that it may not use, nothing.
pub(super) fn to(client: &Client, all: &Arc<dyn Tools>) -> Arc<dyn Tools> {
    if client.tools.is_none() {
        return Arc::clone(all);
    }
    Arc::new(Permitted { all: Arc::clone(all), client: client.clone() })
}

#[async_trait]
impl Tools for Permitted {
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
