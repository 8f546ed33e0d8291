//! The session of a client: what it has declared, its log level, and its replies to requests of
//! servers.

use super::message::{
    INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, McpFailure, McpResult,
    Message,
};
use crate::names;
use async_trait::async_trait;
use gateway_core::{
    ErrorKind, GatewayError, Json, JsonObject, McpClientRequests, McpReply, Result,
};
use gateway_limits::Client;
use gateway_sessions::{McpLogLevel, McpSessionId, McpSessionKey, McpSessions, McpStream};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// A session of a client.
#[derive(Clone, Debug)]
pub(super) struct ClientSession {
    sessions: McpSessions,
    key: McpSessionKey,
    /// The capabilities that the client has declared.
    capabilities: JsonObject,
}

impl ClientSession {
    /// Returns the session that the headers name; `None` without one, or with an id of another
    /// form.
    ///
    /// # Errors
    ///
    /// If the client has ended it.
    pub(super) fn find(
        sessions: &McpSessions,
        client: &Client,
        headers: &HeaderMap,
    ) -> Result<Option<Self>> {
        let id = headers.get(names::MCP_SESSION).and_then(|id| id.to_str().ok());
        let Some(id) = id.and_then(McpSessionId::parse) else { return Ok(None) };
        let key = McpSessionKey {
            tenant: Arc::clone(&client.tenant),
            client: Arc::clone(&client.name),
            session: id.text.into(),
        };
        if sessions.has_ended(&key) {
            return Err(unknown());
        }
        Ok(Some(Self { sessions: sessions.clone(), key, capabilities: id.capabilities }))
    }

    /// Takes a message that is no request, and returns the status of its reply: an answer has to be
    /// one to a request that waits for it.
    pub(super) fn accept(&self, message: &Message<'_>) -> StatusCode {
        let Some(reply) = message.reply() else { return StatusCode::ACCEPTED };
        let id = message.id.and_then(|id| serde_json::from_str::<String>(id.get()).ok());
        let is_delivered = id.is_some_and(|id| self.sessions.deliver(&self.key, &id, reply));
        if is_delivered { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST }
    }

    /// Returns the name of the session's log level, if it has one.
    pub(super) fn log_level(&self) -> Option<String> {
        self.sessions.log_level(&self.key).map(|level| level.as_str().to_owned())
    }

    /// Opens the stream on which the client hears announcements; `None` if there are too many.
    pub(super) fn open_stream(&self) -> Option<McpStream> {
        self.sessions.open_stream(self.key.clone())
    }

    /// Subscribes the session to a resource; `false` if there are too many subscriptions.
    pub(super) fn subscribe(&self, server: &Arc<str>, uri: &str) -> bool {
        self.sessions.subscribe(&self.key, server, uri)
    }

    /// Ends a subscription, and returns whether another session has the same.
    pub(super) fn unsubscribe(&self, server: &Arc<str>, uri: &str) -> bool {
        self.sessions.unsubscribe(&self.key, server, uri)
    }

    /// Ends the session.
    pub(super) fn end(&self) {
        self.sessions.end(self.key.clone());
    }

    /// Returns the way to the client for requests of servers, which become events of a stream.
    pub(super) fn requests(&self, events: Sender<Json>) -> Arc<dyn McpClientRequests> {
        Arc::new(SessionRequests { session: self.clone(), events })
    }
}

/// The error for a session that does not exist: its client begins another.
pub(super) fn unknown() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "unknown MCP session")
}

/// Serves `logging/setLevel`.
pub(super) fn set_log_level(
    session: Option<&ClientSession>,
    params: Option<&RawValue>,
) -> McpResult {
    #[derive(Deserialize)]
    struct LevelParams {
        level: String,
    }
    let params = params.and_then(|it| serde_json::from_str::<LevelParams>(it.get()).ok());
    let Some(level) = params.and_then(|params| McpLogLevel::parse(&params.level)) else {
        return Err(McpFailure::new(INVALID_PARAMS, "params must have a level of the protocol"));
    };
    let Some(session) = session else {
        let message = "a log level needs the Mcp-Session-Id that initialize has returned";
        return Err(McpFailure::new(INVALID_REQUEST, message));
    };
    session.sessions.set_log_level(session.key.clone(), level);
    Ok(Json::of(&serde_json::Map::new()))
}

/// Sends requests of servers to the client of a session, on the stream of the request that they
/// belong to.
struct SessionRequests {
    session: ClientSession,
    events: Sender<Json>,
}

/// The capability that a client needs for a request of a server.
fn needed(method: &str) -> Option<&'static str> {
    match method {
        "sampling/createMessage" => Some("sampling"),
        "elicitation/create" => Some("elicitation"),
        "roots/list" => Some("roots"),
        _ => None,
    }
}

#[async_trait]
impl McpClientRequests for SessionRequests {
    fn capabilities(&self) -> JsonObject {
        self.session.capabilities.clone()
    }

    async fn send(&self, method: &str, params: Option<Json>) -> McpReply {
        let ClientSession { sessions, key, capabilities } = &self.session;
        if !needed(method).is_some_and(|needed| capabilities.contains_key(needed)) {
            return McpReply::error(METHOD_NOT_FOUND, "the client does not support this request");
        }
        let Some(pending) = sessions.open_request(key.clone()) else {
            return undelivered("too many requests wait for the client");
        };
        let request = Json::of(&ClientRequest {
            jsonrpc: "2.0",
            id: pending.id(),
            method,
            params: params.as_ref(),
        });
        if self.events.try_send(request).is_err() {
            return undelivered("the client does not read its stream");
        }
        pending.reply().await.unwrap_or_else(|| undelivered("the client has gone"))
    }
}

/// A request as an event of a stream.
#[derive(Serialize)]
struct ClientRequest<'a> {
    jsonrpc: &'static str,
    id: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a Json>,
}

fn undelivered(message: &str) -> McpReply {
    McpReply::error(INTERNAL_ERROR, message)
}
