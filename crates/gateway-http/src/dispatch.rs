//! From an endpoint to its handler.

use crate::{
    Endpoint, RequestBody, console, conversations, count, embeddings,
    endpoint::Kind,
    explain,
    failure::FailedDispatch,
    gemini::{self, GenerationAddress},
    generation, headers, health, models, platform, relay, reply,
    request::{ArrivedRequest, Origin, method_label},
    request_log, responses,
    service::HttpService,
    sessions, tools, usage, websocket,
};
use futures_util::future::BoxFuture;
use gateway_core::{ErrorKind, GatewayError, Result};
use gateway_limits::{Client, LimitError};
use gateway_tasks::failpoint;
use gateway_wire::json;
use http::{Method, Request, Response};
use std::{net::IpAddr, sync::Arc};

/// The reply to come. Boxed, so that the layers around a handler do not move its future.
pub(crate) type HandlerFuture<'a> = BoxFuture<'a, Result<Response<reply::Body>, FailedDispatch>>;

/// Serves a request at `endpoint`.
///
/// # Errors
///
/// Whatever fails before the reply begins.
pub(crate) fn dispatch<'a>(
    service: &'a HttpService,
    endpoint: Endpoint<'a>,
    arrival: ArrivedRequest<'a>,
    request: Request<RequestBody>,
) -> HandlerFuture<'a> {
    failpoint("request");
    let origin = Origin {
        path: endpoint.label(),
        request_id: Arc::clone(arrival.request_id),
        peer: service.peers.caller(arrival.peer, request.headers()),
        started: arrival.started,
        in_flight: service.engine.metrics.request_started(method_label(request.method())),
    };
    match endpoint.kind() {
        Kind::Open => {
            Box::pin(async move { Ok(serve_open(service, endpoint, (&origin, request)).await?) })
        }
        Kind::Keyed => Box::pin(serve_keyed(service, endpoint, origin, request)),
        Kind::Relayed => match endpoint.relayed() {
            Some(row) => Box::pin(relay::relay(service, row, origin, request)),
            None => Box::pin(relay::passthrough(service, endpoint, origin, request)),
        },
        Kind::Model if *request.method() != Method::POST => {
            let upgraded = upgrade(service, arrival.peer, request);
            Box::pin(async { upgraded })
        }
        Kind::Model if endpoint == Endpoint::ResponseCompact => {
            Box::pin(responses::compact(service, origin, request))
        }
        Kind::Model => match (GenerationAddress::of(endpoint), endpoint.caller()) {
            (Some(address), _) => Box::pin(gemini::generate(service, address, origin, request)),
            (None, Some(dialect)) => {
                Box::pin(generation::generate(service, dialect, origin, request))
            }
            (None, None) => Box::pin(async { Err(unhandled().into()) }),
        },
    }
}

/// Lets a client upgrade its connection to WebSocket.
fn upgrade(
    service: &HttpService,
    peer: IpAddr,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    if !websocket::is_websocket(&request) {
        let message = "this path answers POST, and GET with an upgrade to websocket";
        return Err(GatewayError::new(ErrorKind::MethodNotAllowed, message).into());
    }
    let headers = request.headers();
    let client = service.identify(headers, service.peers.caller(peer, headers))?;
    let budget = websocket::ConnectionBudget {
        budget: Arc::clone(&service.bodies.budget),
        tenant: Arc::clone(&client.tenant),
        is_anonymous: client.is_anonymous,
    };
    Ok(websocket::accept(peer, service.bodies.max_bytes, budget, request)?)
}

/// Serves an endpoint that needs no key.
async fn serve_open(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    (origin, request): (&Origin, Request<RequestBody>),
) -> Result<Response<reply::Body>> {
    let headers = request.headers();
    if endpoint == Endpoint::Root {
        Ok(platform::root(service))
    } else if matches!(endpoint, Endpoint::Health | Endpoint::Live) {
        Ok(platform::health(service))
    } else if matches!(endpoint, Endpoint::HealthReady | Endpoint::Ready) {
        Ok(health::ready(service).await)
    } else if endpoint == Endpoint::Metrics {
        service.check_operator(origin.peer, headers)?;
        platform::metrics(service)
    } else if endpoint == Endpoint::OpenApi {
        service.openapi.reply(&service.about.version, headers)
    } else {
        page(service, endpoint)
    }
}

/// A page, or a file that belongs to one.
fn page(service: &HttpService, endpoint: Endpoint<'_>) -> Result<Response<reply::Body>> {
    if let Endpoint::ConsoleFile(name) = endpoint {
        console::page(service, name)
    } else if let Endpoint::DocsFile(name) = endpoint {
        console::docs(service, name)
    } else if endpoint == Endpoint::Console {
        console::page(service, "")
    } else if endpoint == Endpoint::Docs {
        console::docs(service, "")
    } else {
        Err(unhandled())
    }
}

/// Serves an endpoint that needs a key, within the client's rate limit.
async fn serve_keyed(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    if endpoint == Endpoint::Embeddings {
        return embeddings::embed(service, origin, request).await;
    }
    if endpoint == Endpoint::HealthDetailed && service.is_for_operators() {
        service.check_operator(origin.peer, request.headers())?;
        return Ok(health::detailed(service).await);
    }
    let client = service.identify(request.headers(), origin.peer)?;
    let limiter = &service.engine.limits.limiter;
    let status = match limiter.check_request_rate(&client, origin.peer).await {
        Ok(status) => status,
        Err(LimitError { error, status }) => {
            return Err(FailedDispatch::from(error).with_rate_limits(status).of(&client));
        }
    };
    let served = serve_client(service, endpoint, (&client, origin), request).await;
    match served {
        Ok(mut reply) => {
            headers::facts::write_rate_limits(&status, reply.headers_mut());
            Ok(match &client.revocation {
                Some(revocation) => reply.map(|body| reply::until(body, revocation.clone())),
                None => reply,
            })
        }
        Err(failure) => Err(failure.with_rate_limits(status).of(&client)),
    }
}

/// Serves an identified client.
async fn serve_client(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    (client, origin): (&Arc<Client>, Origin),
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (query, method) = (request.uri().query(), request.method());
    let sender = (&**client, origin.peer);
    Ok(match endpoint {
        Endpoint::Models => models::list(service, client, request.headers(), query)?,
        Endpoint::Model(id) => models::show(service, client, request.headers(), id)?,
        Endpoint::CountTokens => return count::count(service, origin, request).await,
        Endpoint::Embeddings => return embeddings::embed(service, origin, request).await,
        Endpoint::Explain => return explain::explain(service, origin, request).await,
        Endpoint::Providers => platform::providers(service),
        Endpoint::ConsoleFeed => console::watch(service, client)?,
        Endpoint::HealthDetailed => health::detailed(service).await,
        Endpoint::Usage => usage::usage(service, Some(&client.name), query).await?,
        Endpoint::Requests | Endpoint::Request(_) | Endpoint::RequestExport => {
            let reader = request_log::LogReader::Tenant(&client.tenant);
            request_log::serve(&service.engine, endpoint, reader, query).await?
        }
        Endpoint::Response(id) => stored_response(service, client, id, (method, query)).await?,
        Endpoint::ResponseCancel(id) => responses::cancel(service, client, id).await?,
        Endpoint::ResponseItems(id) => responses::input_items(service, client, id, query).await?,
        Endpoint::ResponseTokens => input_tokens(service, sender, request).await?,
        Endpoint::Conversations
        | Endpoint::Conversation(_)
        | Endpoint::ConversationItems(_)
        | Endpoint::ConversationItem(..) => {
            conversations::serve(service, endpoint, sender, request).await?
        }
        Endpoint::Tools | Endpoint::Tool(_) | Endpoint::ToolExecute => {
            tools::serve(service, endpoint, tool_caller(client, &origin), request).await?
        }
        Endpoint::Mcp => tools::serve_mcp(service, tool_caller(client, &origin), request).await?,
        Endpoint::Sessions
        | Endpoint::Session(_)
        | Endpoint::SessionFork(_)
        | Endpoint::SessionMessages(_) => {
            sessions::serve(service, endpoint, sender, request).await?
        }
        // Endpoints of the other kinds.
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
        | Endpoint::ResponseCompact
        | Endpoint::Messages
        | Endpoint::Completions
        | Endpoint::GeminiGenerate(_)
        | Endpoint::GeminiStream(_)
        | Endpoint::Passthrough(_)
        | Endpoint::Relayed(_) => return Err(unhandled().into()),
    })
}

/// Retrieves a stored response, or deletes it.
async fn stored_response(
    service: &HttpService,
    client: &Client,
    id: &str,
    (method, query): (&Method, Option<&str>),
) -> Result<Response<reply::Body>> {
    if method == Method::DELETE {
        return responses::delete(service, client, id).await;
    }
    responses::retrieve(service, client, id, query).await
}

/// The caller of a gateway tool.
fn tool_caller(client: &Arc<Client>, origin: &Origin) -> tools::ToolCaller {
    let (peer, request_id) = (origin.peer, Arc::clone(&origin.request_id));
    tools::ToolCaller { client: Arc::clone(client), peer, request_id }
}

/// Estimates the input tokens of a Responses request.
async fn input_tokens(
    service: &HttpService,
    sender: (&Client, IpAddr),
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>> {
    let (head, body) = request.into_parts();
    let body = service.read_body(&head.headers, body, sender).await?;
    json::validate(&body, &json::JsonLimits { depth: service.engine.settings.json_depth })?;
    responses::input_tokens(service, sender.0, &body).await
}

/// Returns the error for an endpoint without a handler; a test checks each row of the table.
fn unhandled() -> GatewayError {
    GatewayError::new(ErrorKind::Internal, "an endpoint without a handler")
}
