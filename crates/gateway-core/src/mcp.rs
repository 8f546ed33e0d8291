//! The port to servers of the Model Context Protocol, whose features clients of that protocol find
//! at the gateway.

use crate::{Json, JsonObject, McpRelay, McpReply, ToolContext, ToolError};
use async_trait::async_trait;
use std::{collections::BTreeSet, sync::Arc};

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

/// An announcement of a server, which belongs to no request.
#[derive(Clone, Debug, PartialEq)]
pub enum McpAnnouncement {
    /// A list of the server has changed.
    ListChanged(McpList),
    /// A resource has changed.
    ResourceUpdated {
        /// The resource.
        uri: String,
        /// The notification as the server wrote it.
        notification: Json,
    },
}

/// The port to the clients to which announcements of servers go.
pub trait McpSubscribers: Send + Sync {
    /// Returns the resources of `server` that clients have subscribed to.
    fn subscriptions(&self, server: &str) -> BTreeSet<String>;

    /// Passes an announcement of `server` on to the clients that it concerns.
    fn announce(&self, server: &str, announcement: &McpAnnouncement);
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

    /// Subscribes to changes of the resource `uri` of a server, and returns the server's reply. The
    /// subscription lasts as long as [`McpSubscribers::subscriptions`] has it.
    ///
    /// # Errors
    ///
    /// If there is no such server, or it cannot be reached.
    async fn subscribe(&self, server: &str, uri: &str) -> Result<McpReply, ToolError>;

    /// Ends the subscription to a resource that no client is subscribed to any more.
    async fn unsubscribe(&self, server: &str, uri: &str);
}
