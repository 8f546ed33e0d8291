//! The handshake: from a request to a connection.

use super::{ConnectionBudget, WebSocketHost, connection::WebSocketConnection, names};
use crate::{RequestBody, names::REQUEST_ID, reply};
use gateway_core::{ErrorKind, GatewayError, Result};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{
        CONNECTION, CONTENT_LENGTH, HOST, IF_NONE_MATCH, SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
        TRANSFER_ENCODING, UPGRADE,
    },
};
use std::net::IpAddr;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The one version of the protocol.
const VERSION: &str = "13";

/// The headers of a handshake that do not apply to the requests on its connection.
const OWN: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_LENGTH,
    IF_NONE_MATCH,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING,
    UPGRADE,
    crate::names::IDEMPOTENCY_KEY,
];

/// Returns whether a request is a WebSocket handshake.
pub(crate) fn is_websocket<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    names(headers, UPGRADE, "websocket") && names(headers, CONNECTION, "upgrade")
}

/// Accepts a request to upgrade, which came from `peer` and may be served. A frame may have
/// `max_bytes`; what arrives and waits is charged to `budget`.
///
/// # Errors
///
/// If no more connections are accepted.
pub(crate) fn accept(
    peer: IpAddr,
    max_bytes: usize,
    budget: ConnectionBudget,
    mut request: Request<RequestBody>,
) -> Result<Response<reply::Body>> {
    let Some(host) = request.extensions_mut().remove::<WebSocketHost>() else {
        return Ok(upgrade_required("Responses over WebSocket are switched off: use POST"));
    };
    let headers = request.headers();
    let key = headers.get(SEC_WEBSOCKET_KEY).cloned();
    let is_known = headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|it| it == VERSION);
    let Some(key) = key.filter(|_| is_known) else {
        let mut reply = upgrade_required("the version of WebSocket must be 13");
        reply.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        return Ok(reply);
    };
    let place = host.places.take(&budget.tenant, budget.is_anonymous);
    let Some(place) = place.filter(|_| !host.closing.is_cancelled()) else {
        let message = "no more WebSocket connections are accepted";
        return Err(GatewayError::new(ErrorKind::Overloaded, message));
    };
    let connection = WebSocketConnection::new(host.clone(), (peer, inherited(headers)), budget);
    let upgrade = hyper::upgrade::on(&mut request);
    host.tasks.spawn(async move {
        let running = async {
            match upgrade.await {
                Ok(upgraded) => connection.run(upgraded, max_bytes).await,
                Err(error) => tracing::debug!(%error, "a WebSocket handshake was not completed"),
            }
        };
        host.terminated.run_until_cancelled(running).await;
        drop(place);
    });
    Ok(switched(&key))
}

/// The headers that each request on the connection has.
fn inherited(headers: &HeaderMap) -> HeaderMap {
    let mut inherited = headers.clone();
    for name in OWN {
        inherited.remove(name);
    }
    inherited.remove(REQUEST_ID);
    inherited.entry(HOST).or_insert(HeaderValue::from_static("localhost"));
    inherited
}

fn switched(key: &HeaderValue) -> Response<reply::Body> {
    let mut reply = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accepted) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    }
    reply
}

/// Clients take this status for the advice to use HTTP, at once and without asking again.
fn upgrade_required(message: &'static str) -> Response<reply::Body> {
    let error = GatewayError::invalid("upgrade", message).with_code("upgrade_required");
    let mut reply = reply::written(StatusCode::UPGRADE_REQUIRED, reply::platform_error(&error));
    let headers = reply.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade, close"));
    reply
}
