//! The port to servers of the Model Context Protocol, whose features clients of that protocol find
//! at the gateway.

use crate::{Json, JsonObject, McpRelay, McpReply, ToolContext, ToolError};
use async_trait::async_trait;
use std::sync::Arc;

/// The lists of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum McpList {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    ResourceTemplates,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct McpListEntry {
    /// The server that lists it.
    pub server: Arc<str>,
    /// The name here: with the prefix of its server.
    pub name: String,
    /// The name, URI or URI template by which its server knows it.
    pub remote: String,
    /// The entry as its server wrote it, with the name here.
    pub json: Json,
}

/// A request to a server.
#[derive(Clone, Debug)]
pub struct McpRequest {
    /// The method, `prompts/get` for example.
    pub method: &'static str,
    /// The name or URI that the request is about, as the server knows it.
    pub subject: Option<String>,
    /// The parameters, without those of `relay`.
    pub params: JsonObject,
    /// The rest of the client's request.
    pub relay: Arc<McpRelay>,
}

/// The servers whose features the gateway offers.
#[async_trait]
pub trait McpServers: Send + Sync {
    /// Returns the entries of `list` of all servers, in a fixed order.
    fn list(&self, list: McpList) -> Vec<McpListEntry>;

    /// Relays a request to the server of that name.
    ///
    /// # Errors
    ///
    /// If there is no such server, or it cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    async fn relay(
        &self,
        server: &str,
        request: McpRequest,
        context: &ToolContext,
    ) -> Result<McpReply, ToolError>;
}
