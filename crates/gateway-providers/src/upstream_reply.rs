//! The replies of an upstream: status, errors and whole bodies.

use crate::{api::Api, response_stream};
use bytes::Bytes;
use gateway_core::{
    Chunk, ChunkStream, Dialect, ErrorKind, GatewayError, Inspection, Payload, ProviderRequest,
    Result, UNCHARGED_BYTES,
};
use gateway_net::client::{
    BodyError, CollectedBody, HttpClient, ResponseBody, ResponseHead, UpstreamResponse,
};
use gateway_wire::{
    ErrorReply, IdGenerator, MAX_ANSWER_BYTES, OutboundDialect, StreamFraming, unreadable,
};
use http::StatusCode;
use std::{ops::Range, ptr, sync::Arc, time::Duration};
use tokio::time;

/// The bytes of an upstream's error that are read.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// The time limit for reading it.
const ERROR_TIME: Duration = Duration::from_secs(5);

/// Returns a response with a usable body; turns any other into an error.
pub(crate) async fn check(api: &Api, response: UpstreamResponse) -> Result<UpstreamResponse> {
    let status = response.head.status;
    if status.is_redirection() {
        return Err(GatewayError::new(
            ErrorKind::UpstreamInvalid,
            "the provider sent a redirect, which is not followed",
        )
        .with_code("upstream_redirect")
        .with_upstream_status(status.as_u16()));
    }
    if !status.is_success() {
        // Boxed, so that it takes no room in the future of a call that is served.
        return Err(Box::pin(refusal(api, response)).await);
    }
    if status == StatusCode::NO_CONTENT {
        return Err(unreadable("a response without content"));
    }
    let encoding = response.head.bytes("content-encoding");
    if encoding.is_some_and(|encoding| encoding != b"identity") {
        return Err(unreadable("an unexpected content encoding"));
    }
    Ok(response)
}

/// Reads the error of a refused request, within bounds of size and time.
async fn refusal(api: &Api, response: UpstreamResponse) -> GatewayError {
    let UpstreamResponse { head, body } = response;
    let body = match time::timeout(ERROR_TIME, body.collect(MAX_ERROR_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) | Err(_) => Bytes::new(),
    };
    api.upstream.read_error(&ErrorReply {
        status: head.status.as_u16(),
        retry_after: crate::retry_after::of_reply(&head.to_map(), head.status),
        should_retry: head.text("x-should-retry").and_then(|value| value.parse().ok()),
        body: &body,
    })
}

/// Reads the body of a whole response, which takes memory of `tenant`.
pub(crate) async fn whole(
    body: ResponseBody,
    client: &HttpClient,
    tenant: &Arc<str>,
) -> Result<Bytes> {
    let lease = || client.memory().lease(tenant);
    body.collect_leased(MAX_ANSWER_BYTES, lease).await.map_err(broken)
}

/// Reads the body of a whole response, or the beginning of one that is longer than `size`.
pub(crate) async fn up_to(
    body: ResponseBody,
    size: usize,
    client: &HttpClient,
    tenant: &Arc<str>,
) -> Result<CollectedBody> {
    if body.length().is_some_and(|length| length > MAX_ANSWER_BYTES as u64) {
        return Err(broken(BodyError::TooLong(MAX_ANSWER_BYTES)));
    }
    let lease = || client.memory().lease(tenant);
    body.collect_up_to(size.min(MAX_ANSWER_BYTES), lease).await.map_err(broken)
}

fn broken(error: BodyError) -> GatewayError {
    match error {
        BodyError::TooLong(_) => unreadable(error),
        BodyError::Io(_) | BodyError::Invalid(_) | BodyError::Http2(_) => {
            response_stream::cut(error)
        }
    }
}

/// Decodes a complete response to a streaming request; its original bytes are dropped, because they
/// are not a stream.
pub(crate) fn read_whole(
    upstream: &dyn OutboundDialect,
    call: &ProviderRequest,
    body: Bytes,
    ids: IdGenerator,
) -> Result<Chunk> {
    if !call.stream {
        return upstream.read_whole(call, body, ids);
    }
    let call = ProviderRequest { inspection: Inspection::Full, ..call.clone() };
    let chunk = upstream.read_whole(&call, body, ids)?;
    Ok(Chunk { verbatim: None, ..chunk })
}

/// Charges the tenant of `call` for the parts of its encoded `body` that are not the caller's own
/// bytes, which hold a lease already.
pub(crate) fn charge_request(body: &mut [Bytes], call: &ProviderRequest, client: &HttpClient) {
    let callers = match &call.payload {
        Payload::Raw(original) => original.body.as_ptr_range(),
        Payload::Parsed(_) | Payload::Relayed(_) => ptr::null()..ptr::null(),
    };
    for part in body {
        if part.len() > UNCHARGED_BYTES && !callers.contains(&part.as_ptr()) {
            let mut lease = client.memory().lease(&call.context.tenant);
            lease.charge(part.len());
            *part = lease.attach(std::mem::take(part));
        }
    }
}

/// Charges `tenant` for the bytes of a response that were written anew, and are not those that were
/// `received` and hold a lease already.
pub(crate) fn charge_copy(
    chunk: &mut Chunk,
    received: Range<*const u8>,
    client: &HttpClient,
    tenant: &Arc<str>,
) {
    let is_copy =
        |bytes: &Bytes| bytes.len() > UNCHARGED_BYTES && !received.contains(&bytes.as_ptr());
    if let Some(bytes) = chunk.verbatim.take_if(|bytes| is_copy(bytes)) {
        let mut lease = client.memory().lease(tenant);
        lease.charge(bytes.len());
        chunk.verbatim = Some(lease.attach(bytes));
    }
}

/// Returns a stream of a single chunk.
pub(crate) fn one(chunk: Chunk) -> ChunkStream {
    Box::pin(futures_util::stream::iter([Ok(chunk)]))
}

/// Returns whether the body is a stream. A server that cannot stream sends a whole response.
pub(crate) fn is_streamed(framing: StreamFraming, head: &ResponseHead) -> bool {
    let kind = head.text("content-type").unwrap_or_default();
    match framing {
        StreamFraming::Sse => kind.trim_start().starts_with("text/event-stream"),
        StreamFraming::Lines => true,
    }
}

/// The header fields by which a client of the Messages API shows how much of its plan is left.
const PLAN_LIMITS: &str = "anthropic-ratelimit-unified-";
/// The most fields that are relayed.
const MAX_RELAYED: usize = 32;

/// Returns the header fields that a caller of the `dialect` of its upstream reads.
pub(crate) fn relayed_headers(
    head: &ResponseHead,
    dialect: Dialect,
) -> Option<Arc<[(String, String)]>> {
    if dialect != Dialect::Messages {
        return None;
    }
    let mut fields = head.with_prefix(PLAN_LIMITS);
    fields.truncate(MAX_RELAYED);
    (!fields.is_empty()).then(|| fields.into())
}

/// Returns the id that the upstream gave the request, of at most 128 bytes.
pub(crate) fn upstream_request_id(head: &ResponseHead) -> Option<String> {
    const NAMES: [&str; 3] = ["x-request-id", "request-id", "x-generation-id"];
    let id = NAMES.into_iter().find_map(|name| head.text(name)).filter(|id| id.len() <= 128);
    id.map(str::to_owned)
}
