//! The endpoint: retries, circuit breakers, fallback and accounting of the engine behind axum.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::StreamExt;
use gateway_core::ErrorKind;
use gateway_engine::{BuildError, Engine, InboundRequest, ResponseBody};
use gateway_limits::Client;
use gateway_wire::{InboundDialect, chat::ChatInbound};
use std::{convert::Infallible, sync::Arc};

/// Builds the router.
///
/// # Errors
///
/// If the engine cannot be built.
pub fn router() -> Result<Router, BuildError> {
    let engine = Engine::builder().provider("fake", &[]).alias("small", "fake/echo").build()?;
    Ok(Router::new().route("/v1/chat/completions", post(chat)).with_state(engine))
}

async fn chat(State(engine): State<Arc<Engine>>, body: Bytes) -> Response {
    let client = Arc::new(Client::new("search", "acme"));
    match engine.generate(&ChatInbound, InboundRequest::new(client, body)).await {
        Ok(response) => match response.body {
            ResponseBody::Whole(json) => reply(StatusCode::OK, "application/json", json.into()),
            ResponseBody::Passing { pieces, .. } | ResponseBody::Relayed { pieces, .. } => {
                reply(StatusCode::OK, "application/json", Body::from_stream(pieces))
            }
            ResponseBody::Events(events) => {
                let body = Body::from_stream(events.map(Ok::<_, Infallible>));
                reply(StatusCode::OK, "text/event-stream", body)
            }
        },
        Err(failure) => {
            let is_callers = failure.error.kind() == ErrorKind::InvalidRequest;
            let status = if is_callers { StatusCode::BAD_REQUEST } else { StatusCode::BAD_GATEWAY };
            let body = ChatInbound.write_error(&failure.error, "");
            reply(status, "application/json", body.into())
        }
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    (status, [(CONTENT_TYPE, content_type)], body).into_response()
}
