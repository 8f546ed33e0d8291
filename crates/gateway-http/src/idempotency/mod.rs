//! Idempotent requests: one with an `Idempotency-Key` runs once, however often it is sent.
//!
//! ```text
//! begin --- unknown --------> runs --- succeeds ----------------> stored, and replayed
//!   |                          |
//!   |                          `--- fails, or is abandoned -----> removed: may be sent again
//!   +------ in progress ----> 409
//!   +------ other content --> 422
//!   `------ completed ------> the stored reply, with `idempotent-replayed: true`
//! ```
//!
//! The guarantee depends on the store: while it is unavailable, such a request is refused. Requests
//! without the header do not use this module.

mod key;
mod recording;

pub(crate) use self::key::{is_asked, mark};

use self::recording::RecordingBody;
use crate::{Endpoint, HttpService, RequestBody, failure::FailedDispatch, names, reply};
use bytes::Bytes;
use gateway_core::{ErrorKind, GatewayError, state::Replay};
use gateway_engine::tenant;
use gateway_limits::Client;
use gateway_sessions::idempotency::{AttemptStart, IdempotentAttempt};
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    response,
};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use std::{future::Future, net::IpAddr};

/// Runs `work`, unless the request was completed before, or is in progress.
///
/// Dropping the future removes the attempt: the request may run again.
///
/// # Errors
///
/// If the key is malformed or belongs to another request, the request is in progress, or the store
/// is unavailable.
pub(crate) async fn once<F>(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    (client, peer): (&Client, IpAddr),
    request: Request<RequestBody>,
    work: impl FnOnce(Request<RequestBody>) -> F,
) -> Result<Response<reply::Body>, FailedDispatch>
where
    F: Future<Output = Result<Response<reply::Body>, FailedDispatch>>,
{
    let (mut head, body) = request.into_parts();
    let name = key::name(&head.headers)?;
    let body = service.read_model_body(&head.headers, body, (client, peer)).await?;
    let fingerprint = key::fingerprint(&head, &body);
    let storage_key = tenant(client)?.key(format!("{} {name}", endpoint.label()));
    match IdempotentAttempt::begin(&service.idempotency, storage_key, fingerprint).await? {
        AttemptStart::Known(replay) => Ok(tell_again(replay)),
        AttemptStart::Ours(attempt) => {
            head.extensions.insert(attempt.mark());
            let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
            let done = work(Request::from_parts(head, body)).await;
            keep(attempt, done).await
        }
    }
}

/// Stores the reply if the request succeeded.
async fn keep(
    attempt: IdempotentAttempt,
    done: Result<Response<reply::Body>, FailedDispatch>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let reply = match done {
        Ok(reply) if reply.status().is_success() => reply,
        failed => {
            attempt.abandon().await;
            return failed;
        }
    };
    let (head, body) = reply.into_parts();
    if body.size_hint().exact().is_none() {
        let body = RecordingBody::new(body, attempt, &head).boxed_unsync();
        return Ok(Response::from_parts(head, body));
    }
    let body = body.collect().await.map_err(|error| {
        GatewayError::new(ErrorKind::Internal, "the stored reply is unreadable").with_source(error)
    })?;
    let body = body.to_bytes();
    // Copied: what a store keeps must not hold the memory of a response in progress.
    attempt.finish(note(&head, Bytes::copy_from_slice(&body))).await;
    let body = Full::new(body).map_err(|never| match never {});
    Ok(Response::from_parts(head, body.boxed_unsync()))
}

/// Returns the stored form of a reply.
fn note(head: &response::Parts, body: Bytes) -> Replay {
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    Replay {
        status: head.status.as_u16(),
        content_type: content_type.unwrap_or_default().to_owned(),
        body,
    }
}

/// The reply to a request that was done before.
fn tell_again(replay: Replay) -> Response<reply::Body> {
    let Replay { status, content_type, body } = replay;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut told = reply::written(status, body);
    let headers = told.headers_mut();
    if let Ok(value) = HeaderValue::try_from(content_type) {
        if value.as_bytes().starts_with(b"text/event-stream") {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        headers.insert(CONTENT_TYPE, value);
    }
    headers.insert(names::IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    told
}
