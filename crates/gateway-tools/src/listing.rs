//! Refresh of the tools of MCP servers: periodic, and when a server announces a change.

use crate::{mcp::McpServer, registry::ToolRegistry};
use arc_swap::ArcSwap;
use std::{sync::Arc, time::Duration};
use tokio::time;

/// Refresh interval of a server's tools.
const OFTEN: Duration = Duration::from_mins(1);

/// Refresh interval of a server that does not answer.
const SOON: Duration = Duration::from_secs(5);

/// Pause before a list that has changed is read: changes come together.
const PAUSE: Duration = Duration::from_millis(100);

/// Polls the tool list of `server` and updates `registry`. Tools of an unreachable server remain
/// registered: their calls fail with an error.
pub(crate) async fn keep(server: McpServer, registry: Arc<ArcSwap<ToolRegistry>>) {
    let service = server.service();
    let mut was_there = true;
    loop {
        let before = server.lists();
        let told = server.tools().await;
        let is_there = told.is_ok();
        match told {
            Ok(tools) => {
                registry.rcu(|known| known.with_service(&service, &tools));
                server.read_lists().await;
                server.announce_changes(&before);
            }
            Err(error) if was_there => {
                tracing::warn!(target: "gateway::tool", service, %error, "no tools");
            }
            Err(_) => {}
        }
        was_there = is_there;
        let pause = if is_there { OFTEN } else { SOON };
        if time::timeout(pause, server.lists_changed()).await.is_ok() {
            time::sleep(PAUSE).await;
        }
    }
}
