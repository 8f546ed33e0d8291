//! Handles `POST /v1/chat/completions`, `/v1/responses`, `/v1/messages`, `/v1/completions`:
//! generation in each dialect.

use crate::{
    RequestBody,
    failure::FailedDispatch,
    headers, reply,
    request::{Origin, attribution, options},
    responses::first_message,
    service::HttpService,
};
use gateway_core::{Dialect, ErrorKind, GatewayError, Result};
use gateway_engine::{
    EngineResponse, InboundRequest, Operation, RequestHead, RequestOptions, ResponseBody,
};
use gateway_limits::Client;
use gateway_wire::InboundDialect;
use http::{Request, Response, StatusCode, request::Parts};
use std::sync::Arc;

/// Serves a request for a response of the model.
///
/// # Errors
///
/// Whatever fails before the first output.
pub(crate) async fn generate(
    service: &HttpService,
    dialect: &'static dyn InboundDialect,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (head, body) = request.into_parts();
    let inbound = admit(service, dialect.dialect(), origin, &head, body).await?;
    let is_reordered = dialect.dialect() == Dialect::Responses
        && (inbound.head.client.first_message || first_message::is_wanted(&head.headers));
    let prepared = service.engine.prepare(dialect, Operation::Generate, inbound).await?;
    let mut response = prepared.generate(dialect).await?;
    if is_reordered {
        response.body = first_message::reorder(response.body);
    }
    Ok(written(response))
}

/// Identifies the client, reads the body of its request, and takes a slot for it: a body that does
/// not arrive holds none.
pub(crate) async fn admit(
    service: &HttpService,
    dialect: Dialect,
    origin: Origin,
    head: &Parts,
    body: RequestBody,
) -> Result<InboundRequest, FailedDispatch> {
    let request_head = request_head(service, dialect, origin, head)?;
    let sender = (&*request_head.client, request_head.peer);
    let of_client = |mut failure: FailedDispatch| {
        failure.0.request.attribution.clone_from(&request_head.attribution);
        failure.of(&request_head.client)
    };
    let body = service.read_model_body(&head.headers, body, sender).await.map_err(Into::into);
    let body = body.map_err(of_client)?;
    let priority = request_head.options.priority;
    let permit = service.engine.admit(&request_head.client, priority).await.map_err(Into::into);
    let permit = permit.map_err(of_client)?;
    Ok(InboundRequest { head: request_head, permit, body })
}

/// Identifies the client, and reads the headers of its request.
pub(crate) fn request_head(
    service: &HttpService,
    dialect: Dialect,
    origin: Origin,
    head: &Parts,
) -> Result<RequestHead, FailedDispatch> {
    let client = service.identify(&head.headers, origin.peer)?;
    let options = options::read(head, dialect).and_then(|it| permitted(it, &client));
    let options = options.map_err(|error| FailedDispatch::from(error).of(&client))?;
    let attribution = attribution::read(&client, &head.headers);
    let attribution = attribution.map_err(|error| FailedDispatch::from(error).of(&client))?;
    Ok(RequestHead {
        request_id: origin.request_id,
        path: origin.path,
        peer: origin.peer,
        client,
        options,
        attribution,
        started: origin.started,
        in_flight: Some(origin.in_flight),
    })
}

/// The options, if `client` may use them.
fn permitted(options: Arc<RequestOptions>, client: &Client) -> Result<Arc<RequestOptions>> {
    if options.provider_key.is_none() || client.provider_keys {
        return Ok(options);
    }
    let message = "this API key may not send a provider's key of its own";
    Err(GatewayError::new(ErrorKind::Forbidden, message).with_code("provider_key_not_allowed"))
}

/// The reply with `response`.
pub(crate) fn written(response: EngineResponse) -> Response<reply::Body> {
    let EngineResponse { facts, body } = response;
    let mut reply = match body {
        ResponseBody::Whole(bytes) => reply::written(StatusCode::OK, bytes),
        ResponseBody::Passing { length, pieces } => reply::passing(length, pieces),
        ResponseBody::Relayed { status, length, pieces } => reply::relayed(status, length, pieces),
        ResponseBody::Events(events) => reply::event_stream(events),
    };
    headers::facts::write_first(&facts, reply.headers_mut());
    reply
}
