//! The part of a client's request that passes between it and a server of the Model Context
//! Protocol.

use crate::{Json, JsonObject};
use std::{fmt, sync::Arc};

/// Takes notifications that a server sends before its response.
pub type NotificationSink = Arc<dyn Fn(Json) + Send + Sync>;

/// The members of a client's request that concern its server alone.
#[derive(Clone, Default)]
pub struct McpRelay {
    /// `_meta`, `inputResponses` and `requestState`, as far as they are there.
    pub members: JsonObject,
    /// Takes the notifications of the server.
    pub notifications: Option<NotificationSink>,
}

impl fmt::Debug for McpRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpRelay").field("members", &self.members.len()).finish_non_exhaustive()
    }
}
