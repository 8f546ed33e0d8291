//! `POST /v1/embeddings`: texts as vectors.

use crate::{
    RequestBody, failure::FailedDispatch, generation, reply, request::Origin, service::HttpService,
};
use gateway_core::Dialect;
use http::{Request, Response};

/// Serves a request for embeddings.
///
/// # Errors
///
/// If the request is malformed, over a limit, or fails upstream.
pub(crate) async fn embed(
    service: &HttpService,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (head, body) = request.into_parts();
    let inbound = generation::admit(service, Dialect::Chat, origin, &head, body).await?;
    Ok(generation::written(service.engine.embed(inbound).await?))
}
