//! The session in which the gateway hears what a server announces: that its lists have changed, and
//! that resources have to which clients are subscribed.
//!
//! ```text
//!   closed --a subscription, or a server that announces its lists--> open --the stream ends--> closed
//! ```
//!
//! All clients share it: the server sees one client with the subscriptions of all of them.

use super::{
    connection::{Connection, answer, request},
    endpoint::ExchangeRules,
    handshake::{HANDSHAKE, ServerSession, has_capability},
    stream_exchange::StreamExchange,
};
use gateway_core::{
    Json, JsonObject, McpAnnouncement, McpRelay, McpReply, McpSubscribers, ToolContext, ToolError,
    ToolErrorCode,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify, watch},
    time,
};

/// The time between two looks at which subscriptions are left.
const OFTEN: Duration = Duration::from_mins(1);
/// The pause before a session is opened again.
const PAUSE: Duration = Duration::from_secs(5);
/// The code of an unknown method.
const METHOD_NOT_FOUND: i32 = -32601;

/// The session in which a server announces. Clones share it.
#[derive(Clone)]
pub(super) struct Listener {
    connection: Connection,
    subscribers: Arc<dyn McpSubscribers>,
    state: Arc<watch::Sender<ListenerState>>,
    /// Wakes the listener up when there is a subscription.
    wanted: Arc<Notify>,
    /// Wakes up what reads the lists of the server.
    lists_changed: Arc<Notify>,
}

#[derive(Clone, Debug)]
enum ListenerState {
    Closed,
    Open(Arc<OpenListener>),
    Failed(ToolError),
}

/// An open session.
#[derive(Debug)]
struct OpenListener {
    session: ServerSession,
    /// The resources; locked while one is added or taken away, so that each is asked for once.
    subscribed: Mutex<BTreeSet<String>>,
}

impl Listener {
    pub(super) fn new(connection: Connection, subscribers: Arc<dyn McpSubscribers>) -> Self {
        Self {
            connection,
            subscribers,
            state: Arc::new(watch::Sender::new(ListenerState::Closed)),
            wanted: Arc::default(),
            lists_changed: Arc::default(),
        }
    }

    /// Waits until the server announces that a list has changed.
    pub(super) async fn lists_changed(&self) {
        self.lists_changed.notified().await;
    }

    /// Wakes the listener up: more is known about the server.
    pub(super) fn wake(&self) {
        self.wanted.notify_one();
    }

    /// Passes an announcement on to the clients.
    pub(super) fn announce(&self, announcement: &McpAnnouncement) {
        self.subscribers.announce(&self.connection.settings.name, announcement);
    }

    /// Listens for ever, as long as there is something to hear.
    pub(super) async fn run(&self) {
        let mut is_again = false;
        loop {
            while !self.is_needed() {
                is_again = false;
                let _ = time::timeout(OFTEN, self.wanted.notified()).await;
            }
            let ended = self.listen(is_again).await;
            is_again = true;
            let state = ended.map_or_else(ListenerState::Failed, |()| ListenerState::Closed);
            self.state.send_replace(state);
            time::sleep(PAUSE).await;
        }
    }

    fn is_needed(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let has_lists =
            is_set(&self.connection.announces_lists) && !is_set(&self.connection.has_no_stream);
        has_lists || !self.subscriptions().is_empty()
    }

    fn subscriptions(&self) -> BTreeSet<String> {
        self.subscribers.subscriptions(&self.connection.settings.name)
    }

    /// Opens a session, perhaps after another, and listens until its stream ends or nothing is left
    /// to hear.
    async fn listen(&self, is_again: bool) -> Result<(), ToolError> {
        let timeout = self.connection.settings.timeout;
        let context = ToolContext::default();
        let opened = time::timeout(timeout, self.connection.open_session(None, &context));
        let session = opened.await.map_err(|_| silent())??;
        let stream = self.connection.open_stream(&session, timeout).await;
        let Some(stream) = stream else {
            self.connection.close_session(&session).await;
            return Err(ToolError::new(
                ToolErrorCode::Unavailable,
                "the MCP server has no stream for its announcements",
            ));
        };
        let open = Arc::new(OpenListener { session, subscribed: Mutex::default() });
        let relay = self.relay();
        let rules = ExchangeRules {
            max_bytes: self.connection.settings.max_bytes,
            relay: Some(&relay),
            has_handshake: true,
        };
        let endpoint = self.connection.endpoint(&open.session.headers);
        let served = StreamExchange::new(endpoint, rules).serve_all(stream);
        let ended = tokio::select! {
            served = served => served,
            () = self.keep_subscriptions(&open, is_again) => Ok(()),
        };
        self.connection.close_session(&open.session).await;
        ended
    }

    /// The way of the server's notifications.
    fn relay(&self) -> McpRelay {
        let listener = self.clone();
        let notifications = Arc::new(move |notification: Json| listener.take(notification));
        McpRelay { notifications: Some(notifications), ..McpRelay::default() }
    }

    fn take(&self, notification: Json) {
        let Ok(members) = notification.read::<JsonObject>() else { return };
        let method = members.get("method").and_then(|it| it.read::<String>().ok());
        match method.as_deref() {
            Some("notifications/resources/updated") => {
                let params = members.get("params").and_then(|it| it.read::<JsonObject>().ok());
                let uri = params.and_then(|params| params.get("uri")?.read::<String>().ok());
                if let Some(uri) = uri {
                    self.announce(&McpAnnouncement::ResourceUpdated { uri, notification });
                }
            }
            Some(method) if method.ends_with("/list_changed") => self.lists_changed.notify_one(),
            // Its log and its progress belong to requests.
            Some(_) | None => {}
        }
    }

    /// Keeps the subscriptions of a session in step with those of the clients; returns when nothing
    /// is left to hear. After another session, something may have been missed.
    async fn keep_subscriptions(&self, open: &Arc<OpenListener>, is_again: bool) {
        for uri in self.subscriptions().into_iter().filter(|_| is_again) {
            let notification = updated(&uri);
            self.announce(&McpAnnouncement::ResourceUpdated { uri, notification });
        }
        self.state.send_replace(ListenerState::Open(Arc::clone(open)));
        while self.is_needed() {
            let wanted = self.subscriptions();
            let known = open.subscribed.lock().await.clone();
            for uri in known.difference(&wanted) {
                self.end(open, uri).await;
            }
            for uri in wanted.difference(&known) {
                if let Err(error) = self.begin(open, uri).await {
                    tracing::debug!(target: "gateway::tool", %error, "no subscription");
                }
            }
            time::sleep(OFTEN).await;
        }
    }

    /// Subscribes to a resource for a client, and returns the server's reply.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or has no stream for announcements.
    pub(super) async fn subscribe(&self, uri: &str) -> Result<McpReply, ToolError> {
        if self.connection.is_stateless() {
            return Ok(unsupported());
        }
        let open = time::timeout(self.connection.settings.timeout, self.opened());
        let open = open.await.map_err(|_| silent())??;
        self.begin(&open, uri).await
    }

    /// Waits for an open session.
    async fn opened(&self) -> Result<Arc<OpenListener>, ToolError> {
        let mut states = self.state.subscribe();
        // A failure of the past says nothing about this attempt.
        let is_past = matches!(*states.borrow_and_update(), ListenerState::Failed(_));
        if is_past {
            self.state.send_replace(ListenerState::Closed);
        }
        self.wake();
        loop {
            match states.borrow_and_update().clone() {
                ListenerState::Open(open) => return Ok(open),
                ListenerState::Failed(error) => return Err(error),
                ListenerState::Closed => {}
            }
            // The listener owns the sender, and so does this.
            let _ = states.changed().await;
        }
    }

    async fn begin(&self, open: &OpenListener, uri: &str) -> Result<McpReply, ToolError> {
        if !has_capability(&open.session.capabilities, "resources", "subscribe") {
            return Ok(unsupported());
        }
        let mut subscribed = open.subscribed.lock().await;
        if subscribed.contains(uri) {
            return Ok(McpReply::Result(Json::of(&json!({}))));
        }
        let reply = self.post(open, "resources/subscribe", uri).await?;
        if matches!(reply, McpReply::Result(_)) {
            subscribed.insert(uri.to_owned());
        }
        Ok(reply)
    }

    /// Ends the subscription to a resource.
    pub(super) async fn unsubscribe(&self, uri: &str) {
        let state = self.state.borrow().clone();
        if let ListenerState::Open(open) = state {
            self.end(&open, uri).await;
        }
    }

    async fn end(&self, open: &OpenListener, uri: &str) {
        let mut subscribed = open.subscribed.lock().await;
        let is_subscribed = subscribed.remove(uri);
        // What the server still announces reaches no client.
        if is_subscribed && let Err(error) = self.post(open, "resources/unsubscribe", uri).await {
            tracing::debug!(target: "gateway::tool", %error, "a subscription has not ended");
        }
    }

    async fn post(
        &self,
        open: &OpenListener,
        method: &str,
        uri: &str,
    ) -> Result<McpReply, ToolError> {
        let connection = &self.connection;
        let params = Json::of(&json!({ "uri": uri }));
        let message = request(connection.next_id(), method, Some(&params));
        let posted = connection.post(&open.session.headers, &message, HANDSHAKE);
        let posted = time::timeout(connection.settings.timeout, posted).await;
        answer(posted.map_err(|_| silent())??)
    }
}

fn updated(uri: &str) -> Json {
    let method = "notifications/resources/updated";
    Json::of(&json!({ "jsonrpc": "2.0", "method": method, "params": { "uri": uri } }))
}

fn unsupported() -> McpReply {
    McpReply::error(METHOD_NOT_FOUND, "the MCP server has no subscriptions")
}

fn silent() -> ToolError {
    ToolError::new(ToolErrorCode::Timeout, "the MCP server does not answer in time")
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("state", &self.state.borrow()).finish_non_exhaustive()
    }
}
