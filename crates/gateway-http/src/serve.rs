//! Serving: every request passes here, top to bottom.

use crate::{
    Endpoint, HttpService, RequestBody,
    dispatch::{HandlerFuture, dispatch},
    endpoint::Kind,
    failure::FailedDispatch,
    gemini, headers, health, hygiene, idempotency, models, names, platform, reply,
    request::{ArrivedRequest, id::request_id, method_label},
    request_log::{self, RefusalReply, RefusedRequest},
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use gateway_core::{BoxError, ErrorKind, GatewayError, Result};
use gateway_engine::FailedRequest;
use gateway_wire::{InboundDialect, messages::MessagesInbound};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{ALLOW, ORIGIN},
};
use http_body::Body;
use http_body_util::BodyExt as _;
use std::{net::IpAddr, panic::AssertUnwindSafe, pin::pin, sync::Arc};
use tokio::time::Instant;

/// Serves `request`, which came from `peer`. Never fails: a failure is a reply in the caller's
/// dialect.
///
/// # Cancel safety
///
/// Dropping the future cancels the request and everything done for it.
pub fn handle<B>(
    service: Arc<HttpService>,
    peer: IpAddr,
    request: Request<B>,
) -> impl Future<Output = Response<reply::Body>> + Send
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    serve(service, peer, request.map(|body| body.map_err(Into::into).boxed_unsync()))
}

/// Answers only health endpoints, without a key: for a port of its own that callers do not reach.
pub async fn probe<B>(
    service: Arc<HttpService>,
    peer: IpAddr,
    request: Request<B>,
) -> Response<reply::Body>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match Endpoint::at(request.uri().path()) {
        Some(Endpoint::HealthDetailed) => health::detailed(&service).await,
        Some(Endpoint::Metrics) => platform::metrics(&service)
            .unwrap_or_else(|error| reply::failure(&error, reply::platform_error(&error))),
        Some(endpoint) if endpoint.is_probed() => handle(service, peer, request).await,
        Some(_) | None => {
            let missing =
                GatewayError::new(ErrorKind::NotFound, "this port serves health checks only");
            reply::failure(&missing, reply::platform_error(&missing))
        }
    }
}

/// The path of the endpoints of Anthropic's API.
const MESSAGES: &str = "/v1/messages";
/// The path of the endpoints of Gemini's API.
const GEMINI: &str = "/v1beta/";

async fn serve(
    service: Arc<HttpService>,
    peer: IpAddr,
    mut request: Request<RequestBody>,
) -> Response<reply::Body> {
    let started = Instant::now();
    if request.uri().path().starts_with(GEMINI) {
        gemini::key::take_from_query(&mut request);
    }
    let method = method_label(request.method());
    let request_id = request_id(request.headers());
    let origin = request.headers().get(ORIGIN).cloned();
    let (path, kind, asks_model) = Endpoint::at(request.uri().path())
        .map_or(("unmatched", Kind::Open, false), |endpoint| {
            (endpoint.label(), endpoint.kind(), endpoint.asks_model())
        });
    let arrival = ArrivedRequest { request_id: &request_id, peer, started };
    // Pinned here, so that what is around it does not move it.
    let answering = pin!(answer(&service, arrival, request));
    let mut reply = AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
        let bug = GatewayError::new(ErrorKind::Internal, "the gateway failed");
        let mut reply = reply::failure(&bug, reply::platform_error(&bug));
        let refused = RefusedRequest::new(&bug, FailedRequest::default());
        reply.extensions_mut().insert(refused);
        reply
    });
    let headers = reply.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        if path.starts_with(MESSAGES) {
            headers.insert(names::MESSAGES_REQUEST_ID, id.clone());
        }
        headers.insert(names::REQUEST_ID, id);
    }
    if kind != Kind::Open {
        headers::admission::write_headers(&service.engine.limits.admission, headers);
    }
    service.gate.cors.write_headers(origin.as_ref(), headers);
    let (status, took) = (reply.status().as_u16(), started.elapsed());
    service.engine.metrics.reply_sent(method, path, status, took);
    if kind != Kind::Open
        && let Some(refused) = reply.extensions_mut().remove::<RefusedRequest>()
    {
        let request_id = &request_id;
        let refusal = RefusalReply { request_id, method, path, asks_model, status, took };
        request_log::record(&service.engine, &refused, refusal);
    }
    reply
}

async fn answer(
    service: &HttpService,
    arrival: ArrivedRequest<'_>,
    request: Request<RequestBody>,
) -> Response<reply::Body> {
    let path = request.uri().path().to_owned();
    let Some(endpoint) = Endpoint::at(&path) else {
        let missing = || GatewayError::new(ErrorKind::NotFound, "unknown endpoint");
        let checked = hygiene::check(&request).and_then(|()| service.gate.check(&request));
        let error = checked.err().unwrap_or_else(missing);
        return reply::failure(&error, reply::platform_error(&error));
    };
    let dialect = error_dialect(endpoint, request.headers());
    let answered = match check(service, endpoint, &request) {
        Ok(()) if request.method() == Method::OPTIONS => {
            Ok(service.gate.cors.preflight(endpoint, request.headers()))
        }
        Ok(()) => dispatch_once(service, endpoint, arrival, request).await,
        Err(error) => Err(error.into()),
    };
    answered.unwrap_or_else(|failure| failed(service, endpoint, dialect, arrival, &failure))
}

/// The reply to a request that failed, in the caller's dialect.
fn failed(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    dialect: Option<&'static dyn InboundDialect>,
    arrival: ArrivedRequest<'_>,
    FailedDispatch(failure): &FailedDispatch,
) -> Response<reply::Body> {
    let error = &failure.error;
    service.engine.metrics.request_refused(error);
    let body = match dialect {
        Some(dialect) => dialect.write_error(error, arrival.request_id),
        None => reply::platform_error(error),
    };
    let body = headers::admission::annotate_error(&service.engine.limits.admission, error, body);
    let mut reply = reply::failure(error, body);
    if !failure.is_accounted {
        let refused = RefusedRequest::new(error, failure.request.clone());
        reply.extensions_mut().insert(refused);
    }
    headers::facts::write(&failure.facts, reply.headers_mut());
    if error.kind() == ErrorKind::MethodNotAllowed {
        add_allow(endpoint, &mut reply);
    }
    reply
}

/// The dialect in which failures are reported: the endpoint's, or that of the caller's SDK where one
/// path serves two.
fn error_dialect(
    endpoint: Endpoint<'_>,
    headers: &HeaderMap,
) -> Option<&'static dyn InboundDialect> {
    let is_models = matches!(endpoint, Endpoint::Models | Endpoint::Model(_));
    if is_models && models::is_for_anthropic(headers) {
        return Some(&MessagesInbound);
    }
    endpoint.caller()
}

fn check(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    request: &Request<RequestBody>,
) -> Result<()> {
    hygiene::check(request)?;
    service.gate.check(request)?;
    let method = request.method();
    let is_served = endpoint.methods().contains(method)
        || method == Method::OPTIONS
        || (method == Method::HEAD && endpoint.methods().contains(&Method::GET));
    if is_served {
        return Ok(());
    }
    Err(GatewayError::new(ErrorKind::MethodNotAllowed, "method not allowed"))
}

/// Serves a request; under an `Idempotency-Key` only once.
fn dispatch_once<'a>(
    service: &'a HttpService,
    endpoint: Endpoint<'a>,
    arrival: ArrivedRequest<'a>,
    request: Request<RequestBody>,
) -> HandlerFuture<'a> {
    if !idempotency::is_asked(endpoint, request.method(), request.headers()) {
        return dispatch(service, endpoint, arrival, request);
    }
    Box::pin(async move {
        let client = service.identify(request.headers(), arrival.peer)?;
        let work = |request| dispatch(service, endpoint, arrival, request);
        let done = idempotency::once(service, endpoint, (&client, arrival.peer), request, work);
        done.await.map_err(|failure| failure.of(&client))
    })
}

fn add_allow(endpoint: Endpoint<'_>, reply: &mut Response<reply::Body>) {
    let allow = endpoint.methods().iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        reply.headers_mut().insert(ALLOW, allow);
    }
}
