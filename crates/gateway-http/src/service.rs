//! Every request passes here, top to bottom.

use crate::{
    App, Endpoint, body, console, context, conversations, count, embeddings,
    endpoint::Kind,
    explain, generate,
    headers::{admission, rate_limit},
    health, hygiene, idempotency, models, names, platform,
    reply::{self, Refused},
    responses, sessions, tools, usage,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use gateway_core::{BoxError, ErrorKind, GatewayError, Result};
use gateway_limits::{Client, LimitError, RateLimitStatus};
use gateway_wire::{Caller, json, messages::MessagesCaller};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{ALLOW, ORIGIN},
};
use http_body::Body;
use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc};
use tokio::time::Instant;

/// Answers `request`, which came from `peer`. Never fails: what goes wrong is told to the caller.
pub async fn handle<B>(app: Arc<App>, peer: IpAddr, request: Request<B>) -> Response<reply::Body>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let began = Instant::now();
    let method = method_label(request.method());
    let request_id = context::request_id(request.headers());
    let origin = request.headers().get(ORIGIN).cloned();
    let (path, kind) = Endpoint::at(request.uri().path())
        .map_or(("unmatched", Kind::Open), |endpoint| (endpoint.label(), endpoint.kind()));
    let (mut standing, mut is_accounted) = (RateLimitStatus::default(), false);
    let from = Arrival {
        request_id: Arc::clone(&request_id),
        peer,
        standing: &mut standing,
        is_accounted: &mut is_accounted,
    };
    // Boxed, because each function that hands it on has room for it twice.
    let answering = AssertUnwindSafe(answer(&app, from, Box::new(request)));
    let mut reply = answering.catch_unwind().await.unwrap_or_else(|_| {
        let bug = GatewayError::new(ErrorKind::Internal, "the gateway failed");
        reply::failure(&bug, reply::platform_error(&bug))
    });
    let headers = reply.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert(names::REQUEST_ID, id);
    }
    rate_limit::write_headers(&standing, headers);
    if kind != Kind::Open {
        admission::write_headers(&app.control.admission, headers);
    }
    app.cors.admit(origin.as_ref(), headers);
    let (status, took) = (reply.status().as_u16(), began.elapsed());
    app.meters.replied(method, path, status, took);
    if let (false, Some(refused)) = (is_accounted, reply.extensions_mut().remove::<Refused>())
        && kind != Kind::Open
    {
        // Neither the message nor what it is about: they may repeat what was asked.
        tracing::info!(
            target: "gateway::refused",
            request_id = &*request_id,
            method,
            path,
            status,
            code = &*refused.code,
            epoch = app.epoch,
            duration_ms = console::milliseconds(took),
        );
    }
    reply
}

/// Where a request comes from, and what is told of its limits.
struct Arrival<'a> {
    request_id: Arc<str>,
    peer: IpAddr,
    standing: &'a mut RateLimitStatus,
    /// Whether the request has an outcome that is told by itself.
    is_accounted: &'a mut bool,
}

async fn answer<B>(
    app: &Arc<App>,
    from: Arrival<'_>,
    request: Box<Request<B>>,
) -> Response<reply::Body>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let request_id = Arc::clone(&from.request_id);
    let path = request.uri().path().to_owned();
    let Some(endpoint) = Endpoint::at(&path) else {
        let missing = || GatewayError::new(ErrorKind::NotFound, "there is nothing at this path");
        let error = hygiene::check(&request).err().unwrap_or_else(missing);
        return reply::failure(&error, reply::platform_error(&error));
    };
    let voice = voice(endpoint, request.headers());
    let answered = match check(endpoint, &request) {
        Ok(()) if request.method() == Method::OPTIONS => {
            Ok(app.cors.preflight(endpoint, request.headers()))
        }
        Ok(()) => attend(app, endpoint, from, request).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| {
        app.meters.refused(&error);
        let body = match voice {
            Some(voice) => voice.write_error(&error, &request_id),
            None => reply::platform_error(&error),
        };
        let body = admission::annotate_error(&app.control.admission, &error, body);
        let mut reply = reply::failure(&error, body);
        if error.kind() == ErrorKind::MethodNotAllowed {
            add_allow(endpoint, &mut reply);
        }
        reply
    })
}

/// The dialect in which a request is told of failures: the endpoint's, or that of the caller's
/// SDK where one path serves two.
fn voice(endpoint: Endpoint<'_>, headers: &HeaderMap) -> Option<&'static dyn Caller> {
    let of_models = matches!(endpoint, Endpoint::Models | Endpoint::Model(_));
    if of_models && models::is_for_anthropic(headers) {
        return Some(&MessagesCaller);
    }
    endpoint.caller()
}

fn check<B>(endpoint: Endpoint<'_>, request: &Request<B>) -> Result<()> {
    hygiene::check(request)?;
    let method = request.method();
    let known = endpoint.methods().contains(method)
        || method == Method::OPTIONS
        || (method == Method::HEAD && endpoint.methods().contains(&Method::GET));
    if known {
        return Ok(());
    }
    Err(GatewayError::new(ErrorKind::MethodNotAllowed, "this path does not answer that method"))
}

/// Has a request done; only once, if that is asked for.
async fn attend<B>(
    app: &Arc<App>,
    endpoint: Endpoint<'_>,
    from: Arrival<'_>,
    request: Box<Request<B>>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if !idempotency::is_asked(endpoint, request.method(), request.headers()) {
        return dispatch(app, endpoint, from, request).await;
    }
    let client = app.identify(request.headers(), from.peer)?;
    let work = |request| dispatch(app, endpoint, from, Box::new(request));
    // Boxed, so that it takes no room in the future of those who do not ask for it.
    Box::pin(idempotency::once(app, endpoint, &client, *request, work)).await
}

async fn dispatch<B>(
    app: &Arc<App>,
    endpoint: Endpoint<'_>,
    from: Arrival<'_>,
    request: Box<Request<B>>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let in_flight = app.meters.begin(method_label(request.method()));
    let Arrival { request_id, peer, standing, is_accounted } = from;
    let peer = app.peers.caller(peer, request.headers());
    let path = endpoint.label();
    let entry = generate::Entry { path, request_id, in_flight, peer, standing, is_accounted };
    match endpoint.kind() {
        // Boxed, so that their futures take no room in that of a request to a model, which is made
        // and moved with every request.
        Kind::Open => Box::pin(open(app, endpoint)).await,
        Kind::Keyed => Box::pin(serve(app, endpoint, entry, *request)).await,
        Kind::Model => match endpoint.caller() {
            Some(caller) => generate::generate(app, caller, entry, request).await,
            None => Err(unhandled()),
        },
    }
}

/// Answers anybody.
async fn open(app: &App, endpoint: Endpoint<'_>) -> Result<Response<reply::Body>> {
    if endpoint == Endpoint::Root {
        Ok(platform::root(app))
    } else if matches!(endpoint, Endpoint::Health | Endpoint::Live) {
        Ok(platform::health(app))
    } else if matches!(endpoint, Endpoint::HealthReady | Endpoint::Ready) {
        Ok(health::ready(app).await)
    } else if endpoint == Endpoint::Metrics {
        platform::metrics(app)
    } else if endpoint == Endpoint::OpenApi {
        platform::openapi(app)
    } else {
        page(app, endpoint)
    }
}

/// A page, or a file that belongs to one.
fn page(app: &App, endpoint: Endpoint<'_>) -> Result<Response<reply::Body>> {
    if let Endpoint::ConsoleFile(name) = endpoint {
        console::page(app, name)
    } else if let Endpoint::DocsFile(name) = endpoint {
        console::docs(app, name)
    } else if endpoint == Endpoint::Console {
        console::page(app, "")
    } else if endpoint == Endpoint::Docs {
        console::docs(app, "")
    } else {
        Err(unhandled())
    }
}

/// Answers a client.
async fn serve<B>(
    app: &Arc<App>,
    endpoint: Endpoint<'_>,
    entry: generate::Entry<'_>,
    request: Request<B>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let peer = entry.peer;
    let client = app.identify(request.headers(), peer)?;
    if endpoint != Endpoint::Embeddings {
        check_request_rate(app, &client, peer, entry.standing).await?;
    }
    let query = request.uri().query();
    let asker = |request_id| tools::Asker { client: &client, peer, request_id };
    match endpoint {
        Endpoint::Models => models::list(app, request.headers(), query),
        Endpoint::Model(id) => models::show(app, request.headers(), id),
        Endpoint::CountTokens => count::count(app, entry, request).await,
        Endpoint::Embeddings => embeddings::embed(app, entry, request).await,
        Endpoint::Explain => explain::explain(app, &client, entry, request).await,
        Endpoint::Providers => Ok(platform::providers(app)),
        Endpoint::ConsoleFeed => console::watch(app, &client),
        Endpoint::HealthDetailed => Ok(health::detailed(app).await),
        Endpoint::Usage => usage::usage(app, Some(&client.name), query).await,
        Endpoint::Response(id) if request.method() == Method::DELETE => {
            responses::delete(app, &client, id).await
        }
        Endpoint::Response(id) => responses::retrieve(app, &client, id, query).await,
        Endpoint::ResponseCancel(id) => responses::cancel(app, &client, id).await,
        Endpoint::ResponseItems(id) => responses::input_items(app, &client, id, query).await,
        Endpoint::ResponseTokens => input_tokens(app, &client, request).await,
        Endpoint::Conversations
        | Endpoint::Conversation(_)
        | Endpoint::ConversationItems(_)
        | Endpoint::ConversationItem(..) => {
            conversations::serve(app, endpoint, &client, request).await
        }
        Endpoint::Tools | Endpoint::Tool(_) | Endpoint::ToolExecute => {
            tools::serve(app, endpoint, asker(entry.request_id), request).await
        }
        Endpoint::Mcp => tools::serve_mcp(app, asker(entry.request_id), request).await,
        Endpoint::Sessions
        | Endpoint::Session(_)
        | Endpoint::SessionFork(_)
        | Endpoint::SessionMessages(_) => sessions::serve(app, endpoint, &client, request).await,
        // Of another kind.
        Endpoint::Root
        | Endpoint::Health
        | Endpoint::HealthReady
        | Endpoint::Ready
        | Endpoint::Live
        | Endpoint::Metrics
        | Endpoint::OpenApi
        | Endpoint::Docs
        | Endpoint::DocsFile(_)
        | Endpoint::Console
        | Endpoint::ConsoleFile(_)
        | Endpoint::ChatCompletions
        | Endpoint::Responses
        | Endpoint::Messages
        | Endpoint::Completions => Err(unhandled()),
    }
}

/// Charges a request that asks no model to its client's limit of requests.
async fn check_request_rate(
    app: &App,
    client: &Client,
    peer: IpAddr,
    status: &mut RateLimitStatus,
) -> Result<()> {
    let checked = app.control.limiter.check_request_rate(client, peer).await;
    let (now, result) = match checked {
        Ok(status) => (status, Ok(())),
        Err(LimitError { error, status }) => (status, Err(error)),
    };
    *status = now;
    result
}

/// Estimates what a request to a model would have it read.
async fn input_tokens<B>(
    app: &Arc<App>,
    client: &Client,
    request: Request<B>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    let (body, _share) = body::read(&head.headers, body, &app.limits).await?;
    json::validate(&body, &json::Limits { depth: app.json_depth })?;
    responses::input_tokens(app, client, &body).await
}

/// A row of the table of endpoints that nobody here knows; a test asks for each.
fn unhandled() -> GatewayError {
    GatewayError::new(ErrorKind::Internal, "an endpoint without a handler")
}

fn add_allow(endpoint: Endpoint<'_>, reply: &mut Response<reply::Body>) {
    let allow = endpoint.methods().iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        reply.headers_mut().insert(ALLOW, allow);
    }
}

/// A method as a metric's label: one that nobody serves is no label.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        "HEAD" => "HEAD",
        _ => "other",
    }
}
