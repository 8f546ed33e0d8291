//! Requests on their way to the service: traced ones in a span, upgrades with a host.

use crate::{ActiveConfig, ShutdownStages};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use gateway_core::BoxError;
use gateway_http::{Body, DispatchFuture, Endpoint, HttpService, RequestDispatch, WebSocketHost};
use gateway_telemetry::otel::OtelPipeline;
use http::{Request, Response};
use std::{net::IpAddr, sync::Arc};

/// A reply on its way. Boxed: its future is large, and an idle connection needs none.
pub type AnswerFuture = BoxFuture<'static, Response<Body>>;

/// Answers `request`, which came from `peer`, in a span if there is `tracing`.
///
/// # Cancel safety
///
/// Dropping the future cancels the request.
pub fn answer<B>(
    app: Arc<HttpService>,
    tracing: Option<Arc<OtelPipeline>>,
    peer: IpAddr,
    request: Request<B>,
) -> AnswerFuture
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Some(tracing) = tracing else {
        return Box::pin(gateway_http::handle(app, peer, request));
    };
    let endpoint = Endpoint::at(request.uri().path());
    // Health checks are not traced.
    if endpoint.is_some_and(|it| it.is_probed() || it == Endpoint::Root) {
        return Box::pin(gateway_http::handle(app, peer, request));
    }
    let route = endpoint.map(Endpoint::label);
    Box::pin(async move {
        let handle = |request| gateway_http::handle(app, peer, request);
        tracing.answer(route, request, handle).await
    })
}

/// Returns the host of WebSocket connections: each of their requests sees the configuration that is
/// active then. It offers no upgrades while the configuration says so.
pub fn websocket_host(active: &Arc<ActiveConfig>, shutdown: &ShutdownStages) -> WebSocketHost {
    let (enabled, active) = (Arc::clone(active), Arc::clone(active));
    let dispatch: RequestDispatch = Arc::new(move |peer, request| -> DispatchFuture {
        Box::pin(gateway_http::handle(active.app(), peer, request))
    });
    let is_enabled = Arc::new(move || enabled.config().server.websockets);
    WebSocketHost::new(dispatch, shutdown.closing.clone(), shutdown.terminated.clone())
        .enabled_while(is_enabled)
}
