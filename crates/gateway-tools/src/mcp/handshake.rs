//! Requests to a server that knows its clients from a handshake: each has a session of its own, in
//! which the server may ask the client of the request.

use super::{
    connection::{
        Connection, McpQuestion, OWN, SESSION, answer, callers_meta, client_info, insert,
        read_error, request,
    },
    endpoint::{ExchangeRules, is_stream},
    message::{LEGACY, RequestMessage},
    result,
    stream_exchange::StreamExchange,
};
use gateway_core::{Json, JsonObject, McpRelay, McpReply, ToolContext, ToolError};
use http::HeaderMap;
use serde_json::json;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time;

/// The timeout of the end of a session.
const GOODBYE: Duration = Duration::from_secs(1);
/// The timeout of the head of a stream that belongs to no request.
const PATIENCE: Duration = Duration::from_secs(1);
/// The rules of a part of the handshake.
pub(super) const HANDSHAKE: ExchangeRules<'static> =
    ExchangeRules { max_bytes: 256 << 10, relay: None, has_handshake: true };

/// A session with a server.
#[derive(Debug)]
pub(super) struct ServerSession {
    /// The headers of its requests.
    pub(super) headers: HeaderMap,
    /// The capabilities of the server.
    pub(super) capabilities: JsonObject,
}

impl Connection {
    /// Asks in a session of its own.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or refuses the session.
    pub(super) async fn ask_with_handshake(
        &self,
        question: &McpQuestion<'_>,
        context: &ToolContext,
    ) -> Result<McpReply, ToolError> {
        let relay = question.relay.as_deref();
        let session = self.open_session(relay, context).await?;
        let replied = self.ask_in_session(question, &session).await;
        self.close_session(&session).await;
        replied
    }

    pub(super) async fn open_session(
        &self,
        relay: Option<&McpRelay>,
        context: &ToolContext,
    ) -> Result<ServerSession, ToolError> {
        let mut headers = self.headers(context);
        let client = relay.and_then(|relay| relay.client.as_ref());
        let declared = client.map(|client| client.capabilities()).unwrap_or_default();
        let params = Json::of(&json!({
            "protocolVersion": LEGACY, "capabilities": declared, "clientInfo": client_info(),
        }));
        let welcome = request(0, "initialize", Some(&params));
        let begun = self.post(&headers, &welcome, HANDSHAKE).await?;
        let session = begun.headers.get(&SESSION).cloned();
        let welcome: JsonObject = match answer(begun)? {
            McpReply::Result(result) => result.read().unwrap_or_default(),
            McpReply::Error(error) => return Err(result::refused(&read_error(&error))),
        };
        let version = welcome.get("protocolVersion").and_then(|it| it.read::<String>().ok());
        insert(&mut headers, "mcp-protocol-version", version.as_deref().unwrap_or(LEGACY));
        if let Some(session) = session {
            headers.insert(SESSION, session);
        }
        let ready = RequestMessage { id: None, ..request(0, "notifications/initialized", None) };
        self.post(&headers, &ready, HANDSHAKE).await?;
        let capabilities = welcome.get("capabilities").and_then(|it| it.read().ok());
        let capabilities: JsonObject = capabilities.unwrap_or_default();
        self.announces_lists.store(announces_lists(&capabilities), Ordering::Relaxed);
        Ok(ServerSession { headers, capabilities })
    }

    async fn ask_in_session(
        &self,
        question: &McpQuestion<'_>,
        session: &ServerSession,
    ) -> Result<McpReply, ToolError> {
        let relay = question.relay.as_deref();
        let level = relay.and_then(|relay| relay.log_level.as_ref());
        if let Some(level) = level.filter(|_| session.capabilities.contains_key("logging")) {
            let params = Json::of(&json!({ "level": level }));
            let set = request(self.next_id(), "logging/setLevel", Some(&params));
            self.post(&session.headers, &set, HANDSHAKE).await?;
        }
        let mut params = question.params.clone();
        params.extend(legacy_meta(relay).map(|meta| ("_meta".to_owned(), meta)));
        let params = (!params.is_empty()).then(|| Json::of(&params));
        let message = request(self.next_id(), question.method, params.as_ref());
        let max_bytes = self.settings.max_bytes;
        let rules = ExchangeRules { max_bytes, relay, has_handshake: true };
        let listened = self.listen(session, relay).await;
        let exchange = self.post(&session.headers, &message, rules);
        let Some(listened) = listened else { return answer(exchange.await?) };
        let stream = StreamExchange::new(self.endpoint(&session.headers), rules);
        tokio::select! {
            exchanged = exchange => answer(exchanged?),
            never = stream.serve(listened) => match never {},
        }
    }

    /// Opens the stream on which many servers ask their clients, if the client of `relay` takes
    /// requests and the server has that stream.
    async fn listen(
        &self,
        session: &ServerSession,
        relay: Option<&McpRelay>,
    ) -> Option<reqwest::Response> {
        let takes_requests = !relay?.client.as_ref()?.capabilities().is_empty();
        if !takes_requests || self.has_no_stream.load(Ordering::Relaxed) {
            return None;
        }
        self.open_stream(session, PATIENCE).await
    }

    /// Opens the stream of a session that belongs to no request; `None` if the server has none, which
    /// is remembered, or cannot be reached.
    pub(super) async fn open_stream(
        &self,
        session: &ServerSession,
        timeout: Duration,
    ) -> Option<reqwest::Response> {
        let endpoint = self.endpoint(&session.headers);
        let opened = match time::timeout(timeout, endpoint.listen(None)).await {
            Ok(opened) => Some(opened.ok()?),
            Err(_) => None,
        };
        let opened = opened.filter(|it| it.status().is_success() && is_stream(it));
        self.has_no_stream.store(opened.is_none(), Ordering::Relaxed);
        opened
    }

    pub(super) async fn close_session(&self, session: &ServerSession) {
        if session.headers.contains_key(SESSION) {
            // A session that is not ended ends by itself.
            let _ = time::timeout(GOODBYE, self.endpoint(&session.headers).end()).await;
        }
    }
}

/// Whether a server with these capabilities announces changes of its lists.
fn announces_lists(capabilities: &JsonObject) -> bool {
    ["tools", "prompts", "resources"]
        .iter()
        .any(|list| has_capability(capabilities, list, "listChanged"))
}

/// Whether `part` of the capability `name` is declared.
pub(super) fn has_capability(capabilities: &JsonObject, name: &str, part: &str) -> bool {
    let declared = capabilities.get(name).and_then(|it| it.read::<JsonObject>().ok());
    declared.is_some_and(|parts| parts.get(part).is_some_and(|it| it.get() == "true"))
}

/// The `_meta` of a relayed request for a server that knows its client from a handshake.
fn legacy_meta(relay: Option<&McpRelay>) -> Option<Json> {
    let mut meta = callers_meta(relay);
    meta.retain(|name, _| !name.starts_with(OWN));
    (!meta.is_empty()).then(|| Json::of(&meta))
}
