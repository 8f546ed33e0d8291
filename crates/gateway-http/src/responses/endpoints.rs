//! The endpoints of stored responses.

use crate::{
    HttpService, RequestBody,
    failure::FailedDispatch,
    generation, reply,
    request::{Origin, query::QueryParams},
};
use gateway_core::{Dialect, GatewayError, Json, Result, state::Tenant};
use gateway_engine::{Operation, ResponseBody};
use gateway_limits::Client;
use gateway_sessions::responses::{CompactionRequest, ItemPageQuery, not_found};
use gateway_wire::{InboundDialect, json, responses::ResponsesInbound};
use http::{Request, Response, StatusCode};
use std::sync::Arc;

/// `GET /v1/responses/{id}`: the response, or its events.
pub(crate) async fn retrieve(
    service: &HttpService,
    client: &Client,
    id: &str,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let (tenant, query) = (tenant(client)?, QueryParams::parse(query));
    let query = query.by_name();
    if query.get("stream").is_some_and(|stream| *stream == "true") {
        let after = query.get("starting_after").copied();
        let keep_alive = service.engine.settings.keep_alive;
        return Ok(reply::event_stream(
            service.engine.responses.replay(&tenant, id, after, keep_alive).await?,
        ));
    }
    Ok(response_object(&service.engine.responses.retrieve(&tenant, id).await?))
}

/// `DELETE /v1/responses/{id}`: deletes the response, and cancels it if it is running.
pub(crate) async fn delete(
    service: &HttpService,
    client: &Client,
    id: &str,
) -> Result<Response<reply::Body>> {
    Ok(response_object(&service.engine.responses.delete(&tenant(client)?, id).await?))
}

/// `POST /v1/responses/{id}/cancel`: cancels a background response.
pub(crate) async fn cancel(
    service: &HttpService,
    client: &Client,
    id: &str,
) -> Result<Response<reply::Body>> {
    Ok(response_object(&service.engine.responses.cancel(&tenant(client)?, id).await?))
}

/// `GET /v1/responses/{id}/input_items`: a page of the input items.
pub(crate) async fn input_items(
    service: &HttpService,
    client: &Client,
    id: &str,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let query = QueryParams::parse(query);
    let page = ItemPageQuery::read(&query.by_name())?;
    let list = service.engine.responses.input_items(&tenant(client)?, id, &page).await?;
    Ok(response_object(&list))
}

/// `POST /v1/responses/input_tokens`: the estimated input tokens of a request.
pub(crate) async fn input_tokens(
    service: &HttpService,
    client: &Client,
    body: &[u8],
) -> Result<Response<reply::Body>> {
    let count = service.engine.responses.input_tokens(&tenant(client)?, body).await?;
    Ok(reply::written(StatusCode::OK, count))
}

/// `POST /v1/responses/compact`: the conversation, shortened to a summary.
pub(crate) async fn compact(
    service: &HttpService,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (head, body) = request.into_parts();
    let mut inbound = generation::admit(service, Dialect::Responses, origin, &head, body).await?;
    let limits = json::JsonLimits { depth: service.engine.settings.json_depth };
    json::validate(&inbound.body, &limits).map_err(GatewayError::from)?;
    let footprint = json::decoded_footprint(&inbound.body);
    let charged =
        service.engine.charge_decoded(&inbound.head.client.tenant, inbound.body, footprint);
    inbound.body = charged.await?;
    let compaction = CompactionRequest::read(&inbound.body)?;
    inbound.body = compaction.body();
    let dialect: &'static dyn InboundDialect = &ResponsesInbound;
    let prepared = service.engine.prepare(dialect, Operation::Generate, inbound).await?;
    let mut response = prepared.generate(dialect).await?;
    if let ResponseBody::Whole(body) = &mut response.body {
        *body = compaction.response(body)?;
    }
    Ok(generation::written(response))
}

/// Returns the tenant whose responses a client can access.
fn tenant(client: &Client) -> Result<Tenant> {
    Tenant::new(Arc::clone(&client.tenant)).ok_or_else(not_found)
}

fn response_object(object: &Json) -> Response<reply::Body> {
    reply::written(StatusCode::OK, object.get().to_owned())
}
