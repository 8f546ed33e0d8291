//! The part of a client's request that passes between it and a server of the Model Context
//! Protocol.

use crate::{Json, JsonObject, McpReply};
use async_trait::async_trait;
use std::{fmt, sync::Arc};

/// Takes notifications that a server sends before its response.
pub type NotificationSink = Arc<dyn Fn(Json) + Send + Sync>;

/// The members of a client's request that concern its server alone, and the way back to the client.
#[derive(Clone, Default)]
pub struct McpRelay {
    /// `_meta`, `inputResponses` and `requestState`, as far as they are there.
    pub members: JsonObject,
    /// Takes the notifications of the server.
    pub notifications: Option<NotificationSink>,
    /// Sends requests of the server to the client; absent if the client takes none.
    pub client: Option<Arc<dyn McpClientRequests>>,
    /// The least severe level of log messages that the client asks for.
    pub log_level: Option<String>,
}

/// The port to a client of the Model Context Protocol that takes requests of servers: for sampling,
/// for input of its user, for its roots.
#[async_trait]
pub trait McpClientRequests: Send + Sync {
    /// Returns the capabilities that servers may use.
    fn capabilities(&self) -> JsonObject;

    /// Sends a request to the client, and returns the client's reply. A request that the client
    /// does not support, or that cannot be delivered, has an error as its reply.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future withdraws the request.
    async fn send(&self, method: &str, params: Option<Json>) -> McpReply;
}

impl fmt::Debug for McpRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpRelay").field("members", &self.members.len()).finish_non_exhaustive()
    }
}
