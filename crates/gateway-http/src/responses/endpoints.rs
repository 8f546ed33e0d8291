//! The endpoints of answers that are kept.

use crate::{App, reply};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use gateway_core::{BoxError, Json, Result, state::Tenant};
use gateway_limits::Client;
use gateway_sessions::responses::{Page, not_found};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::{collections::HashMap, sync::Arc};

/// `GET /v1/responses/{id}`: the answer, or its steps.
pub(crate) async fn retrieve(
    app: &App,
    client: &Client,
    id: &str,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let (tenant, query) = (tenant(client)?, parameters(query));
    if query.get("stream").is_some_and(|stream| *stream == "true") {
        let after = query.get("starting_after").copied();
        let keep_alive = app.times.keep_alive;
        return Ok(events(app.responses.replay(&tenant, id, after, keep_alive).await?));
    }
    Ok(shown(&app.responses.retrieve(&tenant, id).await?))
}

/// `DELETE /v1/responses/{id}`: forgets the answer; one that is being made is not made further.
pub(crate) async fn delete(app: &App, client: &Client, id: &str) -> Result<Response<reply::Body>> {
    Ok(shown(&app.responses.delete(&tenant(client)?, id).await?))
}

/// `POST /v1/responses/{id}/cancel`: ends an answer that is made in the background.
pub(crate) async fn cancel(app: &App, client: &Client, id: &str) -> Result<Response<reply::Body>> {
    Ok(shown(&app.responses.cancel(&tenant(client)?, id).await?))
}

/// `GET /v1/responses/{id}/input_items`: what was asked, a page of it.
pub(crate) async fn input_items(
    app: &App,
    client: &Client,
    id: &str,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let page = parameters(query);
    let list = app.responses.input_items(&tenant(client)?, id, &Page::read(&page)?).await?;
    Ok(shown(&list))
}

/// `POST /v1/responses/input_tokens`: what a request with this body would cost to read.
pub(crate) async fn input_tokens(
    app: &App,
    client: &Client,
    body: &[u8],
) -> Result<Response<reply::Body>> {
    let count = app.responses.input_tokens(&tenant(client)?, body).await?;
    Ok(reply::written(StatusCode::OK, count))
}

/// A reply of server-sent events.
pub(super) fn events(blocks: impl Stream<Item = Bytes> + Send + 'static) -> Response<reply::Body> {
    let chunks = blocks.map(|block| Ok::<_, BoxError>(Frame::data(block)));
    let mut reply = Response::new(StreamBody::new(chunks).boxed_unsync());
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply
}

/// The parameters of a query. None of those that are known has anything to decode.
pub(crate) fn parameters(query: Option<&str>) -> HashMap<&str, &str> {
    query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')).collect()
}

/// Whose answers a client sees.
fn tenant(client: &Client) -> Result<Tenant> {
    Tenant::new(Arc::clone(&client.tenant)).ok_or_else(not_found)
}

fn shown(object: &Json) -> Response<reply::Body> {
    reply::written(StatusCode::OK, object.get().to_owned())
}
