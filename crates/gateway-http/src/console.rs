//! The endpoints of the console and of the API reference.

use crate::{App, reply};
use futures_util::StreamExt as _;
use gateway_console::{
    Asset, CONTENT_SECURITY_POLICY, console_asset, feed_events, reference_asset,
};
use gateway_core::{BoxError, ErrorKind, GatewayError, Result};
use gateway_limits::Client;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use gateway_console::LiveFeed;
pub(crate) use gateway_console::{EndedRequest, LiveRequest, StartedRequest};

/// `GET /console/feed`: the requests of the caller's tenant, as they happen.
///
/// # Errors
///
/// If there is no console, or too many watch.
pub(crate) fn watch(app: &App, client: &Client) -> Result<Response<reply::Body>> {
    let feed = app.console.as_ref().ok_or_else(off)?;
    let watch = feed.subscribe().ok_or_else(|| {
        GatewayError::new(ErrorKind::Overloaded, "too many watch already")
            .with_retry_after(Some(Duration::from_secs(10)))
    })?;
    let events = feed_events(watch, Arc::clone(&client.tenant));
    let events = events.map(|event| Ok::<_, BoxError>(Frame::data(event)));
    let mut reply = Response::new(StreamBody::new(events).boxed_unsync());
    let headers = reply.headers_mut();
    let event_stream = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, event_stream);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(reply)
}

/// `GET /console` and the files it consists of.
///
/// # Errors
///
/// If there is no such file, or no console.
pub(crate) fn page(app: &App, name: &str) -> Result<Response<reply::Body>> {
    if app.console.is_none() {
        return Err(off());
    }
    file(console_asset(name))
}

/// `GET /docs` and the files it consists of.
///
/// # Errors
///
/// If there is no such file, or the API reference is switched off.
pub(crate) fn docs(app: &App, name: &str) -> Result<Response<reply::Body>> {
    if app.about.docs.is_none() {
        let message = "the documentation is switched off";
        return Err(GatewayError::new(ErrorKind::NotFound, message));
    }
    file(reference_asset(name))
}

fn file(asset: Option<Asset>) -> Result<Response<reply::Body>> {
    let Some(Asset { content_type, text }) = asset else {
        return Err(GatewayError::new(ErrorKind::NotFound, "there is nothing at this path"));
    };
    let mut reply = reply::bytes(StatusCode::OK, content_type, text);
    let headers = reply.headers_mut();
    let mut add = |name, value| headers.insert(name, HeaderValue::from_static(value));
    add(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::REFERRER_POLICY, "no-referrer");
    add(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(header::CACHE_CONTROL, "no-cache");
    Ok(reply)
}

fn off() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "the console is switched off")
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "people read the time of day")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, milliseconds)
}
