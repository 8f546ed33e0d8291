//! `POST /v1/messages/count_tokens`: how many tokens a model would read.

use crate::{
    RequestBody, failure::FailedDispatch, generation, names, reply, request::Origin,
    service::HttpService,
};
use gateway_core::Dialect;
use gateway_engine::InboundRequest;
use gateway_wire::messages::MessagesInbound;
use http::{HeaderValue, Request, Response, StatusCode};

/// Counts the tokens of a Messages request. An estimate is marked by `x-gateway-estimated: true`.
///
/// # Errors
///
/// If the request is malformed, or its provider fails to count.
pub(crate) async fn count(
    service: &HttpService,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (head, body) = request.into_parts();
    let request_head = generation::request_head(service, Dialect::Messages, origin, &head)?;
    let sender = (&*request_head.client, request_head.peer);
    let body = service.read_model_body(&head.headers, body, sender).await?;
    let inbound = InboundRequest { head: request_head, permit: None, body };
    let counted = service.engine.count_tokens(inbound).await?;
    let mut reply = reply::written(StatusCode::OK, MessagesInbound.write_count(counted.tokens));
    if counted.is_estimated {
        reply.headers_mut().insert(names::ESTIMATED, HeaderValue::from_static("true"));
    }
    Ok(reply)
}
