//! Replies, and the one place where an error becomes a status.

use crate::{event_body::EventBody, headers, names, passing_body::PassingBody};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use gateway_core::{BoxError, ErrorKind, GatewayError};
use gateway_wire::{error_status, error_type};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The body of a reply.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Room for the headers that most replies get, so that it need not grow.
pub(crate) const HEADERS: usize = 20;

/// A reply of `bytes`.
pub(crate) fn bytes(
    status: StatusCode,
    content_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response<Body> {
    let body = Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync();
    let mut reply = Response::new(body);
    *reply.headers_mut() = HeaderMap::with_capacity(HEADERS);
    *reply.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    reply
}

/// A reply of JSON that is written already.
pub(crate) fn written(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    bytes(status, "application/json", body)
}

/// A reply of JSON that is written meanwhile. Dropping its body drops the pieces.
pub(crate) fn passing(
    length: Option<u64>,
    pieces: BoxStream<'static, Result<Bytes, GatewayError>>,
) -> Response<Body> {
    let mut reply = Response::new(PassingBody::new(length, pieces).boxed_unsync());
    *reply.headers_mut() = HeaderMap::with_capacity(HEADERS);
    let content_type = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    reply
}

/// A reply in the words of a provider, which arrives meanwhile; its type is one of its facts.
pub(crate) fn relayed(
    status: u16,
    length: Option<u64>,
    pieces: BoxStream<'static, Result<Bytes, GatewayError>>,
) -> Response<Body> {
    let mut reply = Response::new(PassingBody::new(length, pieces).boxed_unsync());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = reply.headers_mut();
    headers.reserve(HEADERS);
    // Sound and events are heard and read as they come.
    headers.insert(names::ACCEL_BUFFERING, HeaderValue::from_static("no"));
    reply
}

/// A reply of `value` as JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    written(status, serde_json::to_vec(value).unwrap_or_default())
}

/// A reply of server-sent events. Dropping its body drops the stream.
pub(crate) fn event_stream(events: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let mut reply = Response::new(StreamBody::new(EventBody::new(events)).boxed_unsync());
    let headers = reply.headers_mut();
    headers.reserve(HEADERS);
    let content_type = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies such as nginx buffer a reply before they pass it on, unless this says otherwise.
    headers.insert(names::ACCEL_BUFFERING, HeaderValue::from_static("no"));
    reply
}

/// The body, cut off when `end` is cancelled.
pub(crate) fn until(body: Body, end: CancellationToken) -> Body {
    let data = body.into_data_stream().take_until(end.cancelled_owned());
    StreamBody::new(data.map_ok(Frame::data)).boxed_unsync()
}

/// A reply without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut reply = Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    reply
}

/// The reply to a request that failed, with `body` as the dialect writes it.
pub(crate) fn failure(error: &GatewayError, body: Vec<u8>) -> Response<Body> {
    let mut reply = written(status(error), body);
    add_advice(error, reply.headers_mut());
    reply
}

/// Returns the error body of the platform's own endpoints: OpenAI's format, and `detail` for the
/// platform's clients.
pub(crate) fn platform_error(error: &GatewayError) -> Vec<u8> {
    let body = json!({
        "error": {
            "message": error.message(),
            "type": error_type(error.kind()),
            "param": error.param(),
            "code": error.code(),
        },
        "detail": error.message(),
    });
    body.to_string().into_bytes()
}

/// The status for `error`.
pub(crate) fn status(error: &GatewayError) -> StatusCode {
    StatusCode::from_u16(error_status(error.kind())).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Writes `x-should-retry` and `retry-after`.
fn add_advice(error: &GatewayError, headers: &mut HeaderMap) {
    if let Some(delay) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(delay)));
    }
    if let Some(status) = error.upstream_status() {
        headers.insert(names::UPSTREAM_STATUS, HeaderValue::from(status));
    }
    if let Some(meta) = error.meta() {
        headers::facts::write_meta(meta, headers);
    }
    // The clients made by Stainless, OpenAI's and Anthropic's among them, repeat these unless a
    // header says that it is of no use. It agrees with `retryable` in the body.
    let status = status(error);
    let is_repeated = status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 429);
    if is_repeated != error.is_retryable() {
        let advice = if is_repeated { "false" } else { "true" };
        headers.insert(names::SHOULD_RETRY, HeaderValue::from_static(advice));
    }
    // Where the request's body was not read to its end, or may end where another program says.
    if matches!(
        error.kind(),
        ErrorKind::RequestTimeout | ErrorKind::TooLarge | ErrorKind::NotImplemented
    ) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if error.kind() == ErrorKind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}

/// Returns whole seconds, rounded up, so that a retry is not too early.
fn seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}
