//! A server of the Model Context Protocol: its tools for models, and its lists for clients.

use super::{
    catalogue::{MAX_ENTRIES, McpCatalogue},
    connection::{Connection, McpQuestion},
    listener::Listener,
    message::ToolMessage,
    settings::McpSettings,
    tool::{McpTool, has_valid_headers},
};
use crate::{client::ServiceClient, registry::ToolPolicy};
use arc_swap::ArcSwap;
use gateway_core::{
    McpAnnouncement, McpList, McpListEntry, McpReply, McpRequest, McpSubscribers, Tool,
    ToolContext, ToolError, ToolErrorCode,
};
use std::{fmt, future, sync::Arc};
use tokio::time;

/// A server of tools, prompts and resources. Clones share what is known of it.
#[derive(Clone)]
pub struct McpServer {
    connection: Connection,
    catalogue: Arc<ArcSwap<McpCatalogue>>,
    /// Hears what the server announces, if there are clients that want to know.
    listener: Option<Listener>,
}

impl McpServer {
    /// The server of `settings`.
    pub fn new(settings: McpSettings, client: ServiceClient) -> Self {
        let connection = Connection::new(settings, client);
        Self { connection, catalogue: Arc::default(), listener: None }
    }

    /// Passes what the server announces on to `subscribers`.
    #[must_use]
    pub fn announcing_to(mut self, subscribers: Arc<dyn McpSubscribers>) -> Self {
        self.listener = Some(Listener::new(self.connection.clone(), subscribers));
        self
    }

    pub(super) fn settings(&self) -> &McpSettings {
        &self.connection.settings
    }

    /// Returns the service name under which its tools share a circuit breaker.
    pub fn service(&self) -> String {
        format!("mcp:{}", self.settings().name)
    }

    /// Asks the server for its tools: those that are allowed, under their prefix.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, or does not answer in time.
    pub async fn tools(&self) -> Result<Vec<(Arc<dyn Tool>, ToolPolicy)>, ToolError> {
        let timeout = self.settings().timeout;
        let listed = time::timeout(timeout, self.connection.list(McpList::Tools)).await.map_err(
            |_| ToolError::new(ToolErrorCode::Timeout, "the server does not list its tools"),
        )??;
        let mut listed: Vec<_> = listed.iter().filter_map(ToolMessage::read).collect();
        listed.retain(|it| has_valid_headers(&it.input_schema));
        self.catalogue.rcu(|known| known.with_tools(self.connection.tool_entries(&listed)));
        let allowed = listed.into_iter().filter(|it| self.settings().allows(&it.name));
        Ok(allowed.take(MAX_ENTRIES).map(|tool| (self.tool(tool), self.policy())).collect())
    }

    /// Listens to the server for ever, if its announcements go to clients.
    pub(crate) async fn listen(&self) {
        match &self.listener {
            Some(listener) => listener.run().await,
            None => future::pending().await,
        }
    }

    /// Waits until the server announces that one of its lists has changed.
    pub(crate) async fn lists_changed(&self) {
        match &self.listener {
            Some(listener) => listener.lists_changed().await,
            None => future::pending().await,
        }
    }

    /// Returns the lists as they were last read.
    pub(crate) fn lists(&self) -> Arc<McpCatalogue> {
        self.catalogue.load_full()
    }

    /// Announces the lists that are others than those of `before`.
    pub(crate) fn announce_changes(&self, before: &McpCatalogue) {
        let Some(listener) = &self.listener else { return };
        for list in self.catalogue.load().changes(before) {
            listener.announce(&McpAnnouncement::ListChanged(list));
        }
        listener.wake();
    }

    /// Subscribes to a resource, and returns the server's reply.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or its announcements have no way.
    pub(crate) async fn subscribe(&self, uri: &str) -> Result<McpReply, ToolError> {
        match &self.listener {
            Some(listener) => listener.subscribe(uri).await,
            None => Err(ToolError::unknown("resources/subscribe")),
        }
    }

    /// Ends the subscription to a resource.
    pub(crate) async fn unsubscribe(&self, uri: &str) {
        if let Some(listener) = &self.listener {
            listener.unsubscribe(uri).await;
        }
    }

    /// Reads the other lists anew, as far as the server has them and answers in time.
    pub(crate) async fn read_lists(&self) {
        if let Ok(lists) = time::timeout(self.settings().timeout, self.connection.lists()).await {
            self.catalogue.rcu(|known| known.with_lists(lists.clone()));
        }
    }

    fn tool(&self, tool: ToolMessage) -> Arc<dyn Tool> {
        Arc::new(McpTool::new(
            self.connection.clone(),
            self.settings().local_name(&tool.name),
            tool,
        ))
    }

    fn policy(&self) -> ToolPolicy {
        let settings = self.settings();
        ToolPolicy {
            timeout: settings.timeout,
            idempotent: settings.idempotent,
            service: Some(self.service()),
            max_bytes: settings.max_bytes,
            common: false,
        }
    }

    /// Returns the entries of `list`, as they were last read.
    pub(crate) fn listed(&self, list: McpList) -> Vec<McpListEntry> {
        self.catalogue.load().entries(list).to_vec()
    }

    /// Whether it is called `name` in the configuration.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        &*self.settings().name == name
    }

    /// Relays a client's request.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or does not answer in time.
    pub(crate) async fn relay(
        &self,
        request: &McpRequest,
        context: &ToolContext,
    ) -> Result<McpReply, ToolError> {
        let question = McpQuestion {
            method: request.method,
            params: request.params.clone(),
            name: request.subject.as_deref(),
            mirrored: Vec::new(),
            relay: Some(Arc::clone(&request.relay)),
        };
        let asked = self.connection.relay(&question, context);
        time::timeout(self.settings().timeout, asked).await.map_err(|_| {
            ToolError::new(ToolErrorCode::Timeout, "the MCP server does not answer in time")
        })?
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("name", &self.settings().name).finish_non_exhaustive()
    }
}
