//! What can be done with an answer that is kept.

use super::{
    items, not_found,
    page::{Page, parameters},
    partial::{self, Broken},
    record::{self, Record},
    replay,
};
use crate::{App, reply};
use gateway_core::{
    ErrorKind, GatewayError, Json, Result,
    state::{Key, StoredResponse, Tenant},
};
use gateway_limits::Client;
use http::{Response, StatusCode};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time;

/// How long the end of a cancelled answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// `GET /v1/responses/{id}`: the answer, or its steps.
pub(crate) async fn retrieve(
    app: &Arc<App>,
    client: &Client,
    id: &str,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let key = key(client, id)?;
    let (record, _) = get(app, &key).await?;
    let query = parameters(query);
    if query.get("stream").is_some_and(|stream| *stream == "true") {
        let from = replay::from(query.get("starting_after").copied())?;
        return Ok(replay::live(app, key, from));
    }
    Ok(shown(&record.response))
}

/// `DELETE /v1/responses/{id}`: forgets the answer; one that is being made is not made further.
pub(crate) async fn delete(
    app: &Arc<App>,
    client: &Client,
    id: &str,
) -> Result<Response<reply::Body>> {
    let key = key(client, id)?;
    stop(app, &key).await;
    if !app.responses.store.delete(&key).await? {
        return Err(not_found());
    }
    let deleted = json!({ "id": id, "object": "response", "deleted": true });
    Ok(reply::json(StatusCode::OK, &deleted))
}

/// `POST /v1/responses/{id}/cancel`: ends an answer that is made in the background.
pub(crate) async fn cancel(
    app: &Arc<App>,
    client: &Client,
    id: &str,
) -> Result<Response<reply::Body>> {
    let key = key(client, id)?;
    let (record, in_progress) = get(app, &key).await?;
    if !record.background {
        let message = "only a response that is made in the background can be cancelled";
        return Err(GatewayError::new(ErrorKind::InvalidRequest, message).with_param("response_id"));
    }
    if !in_progress {
        return Ok(shown(&record.response));
    }
    if !stop(app, &key).await {
        end(app, &key, record).await?;
    }
    let (record, _) = get(app, &key).await?;
    Ok(shown(&record.response))
}

/// Stops an answer that is made here; false if it is not.
async fn stop(app: &App, key: &Key) -> bool {
    time::timeout(PATIENCE, app.responses.running.stop(key)).await.unwrap_or(false)
}

/// Ends an answer that is made elsewhere, or by nobody any more: who makes it finds out.
async fn end(app: &App, key: &Key, record: Record) -> Result<()> {
    let responses = &app.responses;
    let told = responses.store.events(key, 0, u64::MAX).await?;
    let events = told.iter().flat_map(|told| &told.events).map(|event| &**event);
    let response = partial::response(events, Broken::Cancelled)
        .or_else(|| partial::cancelled(&record.response))
        .unwrap_or(record.response.clone());
    let record = Record { response, ..record };
    let stored = StoredResponse { body: record.write().into(), in_progress: false };
    Ok(responses.store.put(key, &stored, responses.ttl).await?)
}

/// `GET /v1/responses/{id}/input_items`: what was asked, a page of it.
pub(crate) async fn input_items(
    app: &Arc<App>,
    client: &Client,
    id: &str,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let (record, _) = get(app, &key(client, id)?).await?;
    let page = Page::read(&parameters(query))?.of(record.input)?;
    let id = |item: Option<&Json>| item.and_then(items::id_of);
    let list = json!({
        "object": "list",
        "data": page.items,
        "first_id": id(page.items.first()),
        "last_id": id(page.items.last()),
        "has_more": page.has_more,
    });
    Ok(reply::json(StatusCode::OK, &list))
}

async fn get(app: &App, key: &Key) -> Result<(Record, bool)> {
    app.responses.get(key).await?.ok_or_else(not_found)
}

fn key(client: &Client, id: &str) -> Result<Key> {
    let tenant = Tenant::new(Arc::clone(&client.tenant)).ok_or_else(not_found)?;
    if record::is_id(id) { Ok(tenant.key(id)) } else { Err(not_found()) }
}

fn shown(response: &Json) -> Response<reply::Body> {
    reply::written(StatusCode::OK, response.get().to_owned())
}
