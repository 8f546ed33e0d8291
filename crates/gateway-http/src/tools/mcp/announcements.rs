//! Announcements of servers to the client of a session: the stream of the session, and
//! subscriptions to resources.

use super::{
    message::{INTERNAL_ERROR, INVALID_REQUEST, McpFailure, McpResult},
    relay,
    session::{self, ClientSession},
    stateless, stream,
};
use crate::{HttpService, names, reply};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream as streams};
use gateway_core::{ErrorKind, GatewayError, Json, McpReply, Result};
use gateway_limits::Client;
use gateway_sessions::McpStream;
use http::{HeaderMap, Response, StatusCode};
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time;

const UNSUBSCRIBE: &str = "resources/unsubscribe";

/// The methods of subscriptions.
pub(super) const METHODS: [&str; 2] = ["resources/subscribe", UNSUBSCRIBE];

/// The time after which a quiet stream gets a comment, so that proxies keep it open.
const QUIET: Duration = Duration::from_secs(15);

/// Opens the stream of the session that the headers name.
///
/// # Errors
///
/// If they name none, or there are too many streams.
pub(super) fn open(
    service: &HttpService,
    client: &Client,
    headers: &HeaderMap,
) -> Result<Response<reply::Body>> {
    let session = named_session(service, client, headers)?;
    let announced = session.open_stream().ok_or_else(|| {
        GatewayError::new(ErrorKind::Overloaded, "too many MCP sessions have a stream")
            .with_retry_after(Some(Duration::from_secs(10)))
    })?;
    let draining = service.health.draining().cancelled_owned();
    Ok(reply::event_stream(events(announced).take_until(draining)))
}

/// Ends the session that the headers name.
///
/// # Errors
///
/// If they name none.
pub(super) fn end(
    service: &HttpService,
    client: &Client,
    headers: &HeaderMap,
) -> Result<Response<reply::Body>> {
    named_session(service, client, headers)?.end();
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

fn named_session(
    service: &HttpService,
    client: &Client,
    headers: &HeaderMap,
) -> Result<ClientSession> {
    if stateless::is_named(headers) {
        let message = "requests of this version of the protocol are posted";
        return Err(GatewayError::new(ErrorKind::MethodNotAllowed, message));
    }
    if !headers.contains_key(names::MCP_SESSION) {
        let message = "only a session has a stream: send the Mcp-Session-Id of initialize";
        return Err(GatewayError::new(ErrorKind::InvalidRequest, message));
    }
    let session = ClientSession::find(&service.mcp_sessions, client, headers)?;
    session.ok_or_else(session::unknown)
}

/// The events of a stream: announcements, and comments while there are none.
fn events(announced: McpStream) -> impl futures_util::Stream<Item = Bytes> + Send + 'static {
    // The head of a reply may wait for the first bytes of its body.
    let begun = Bytes::from_static(b": open\n\n");
    let rest = streams::unfold(announced, |mut announced| async move {
        let event = match time::timeout(QUIET, announced.next()).await {
            Ok(notification) => stream::event(notification?.get().as_bytes()),
            Err(_) => Bytes::from_static(b": open\n\n"),
        };
        Some((event, announced))
    });
    streams::iter([begun]).chain(rest)
}

/// Subscribes a session to a resource, or ends the subscription.
pub(super) async fn answer(
    service: &HttpService,
    client: &Client,
    session: Option<&ClientSession>,
    (method, params): (&str, Option<&RawValue>),
) -> McpResult {
    let session = session.ok_or_else(without_session)?;
    let servers = &service.engine.toolbox.servers;
    let uri = relay::text_param(&relay::members(params), "uri")?;
    let server = relay::resource_server(servers, client, &uri)?;
    if method == UNSUBSCRIBE {
        if !session.unsubscribe(&server, &uri) {
            servers.unsubscribe(&server, &uri).await;
        }
        return Ok(empty());
    }
    if !session.subscribe(&server, &uri) {
        return Err(McpFailure::new(INTERNAL_ERROR, "the client has too many subscriptions"));
    }
    let failure = match servers.subscribe(&server, &uri).await {
        Ok(McpReply::Result(_)) => return Ok(empty()),
        Ok(McpReply::Error(error)) => McpFailure::of(&error),
        Err(error) => relay::failed(&error),
    };
    session.unsubscribe(&server, &uri);
    Err(failure)
}

fn without_session() -> McpFailure {
    let message = "a subscription needs the Mcp-Session-Id that initialize has returned";
    McpFailure::new(INVALID_REQUEST, message)
}

fn empty() -> Json {
    Json::of(&serde_json::Map::new())
}
