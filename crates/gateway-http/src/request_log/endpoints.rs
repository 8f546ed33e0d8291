//! `GET /v1/requests`, `/v1/requests/{id}`, `/v1/requests/export`; the same below `/admin`.

use super::{
    export, query,
    reader::{LogReader, unavailable},
    view,
};
use crate::{Endpoint, reply, request::query::QueryParams};
use gateway_core::{ErrorKind, GatewayError, Result, state::RequestLogQuery};
use gateway_engine::Engine;
use gateway_limits::RequestRecorder;
use http::{Response, StatusCode};
use serde_json::json;

/// Serves an endpoint of the request log.
///
/// # Errors
///
/// If the log is off, a parameter is malformed, the request is unknown, or the store is unavailable.
pub(crate) async fn serve(
    engine: &Engine,
    endpoint: Endpoint<'_>,
    reader: LogReader<'_>,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let Some(log) = &engine.limits.request_log else {
        let message = "the request log is off: set request_log.enabled";
        return Err(GatewayError::new(ErrorKind::NotFound, message).with_code("request_log_off"));
    };
    let query = QueryParams::parse(query);
    if let Endpoint::Request(id) = endpoint {
        show(log, reader, id).await
    } else if endpoint == Endpoint::RequestExport {
        let (query, format) = query::read_export(&query, reader)?;
        Ok(export::reply(log.clone(), query, format))
    } else {
        search(log, query::read(&query, reader)?).await
    }
}

/// Returns the request of an id.
async fn show(
    log: &RequestRecorder,
    reader: LogReader<'_>,
    id: &str,
) -> Result<Response<reply::Body>> {
    let tenant = match reader {
        LogReader::Tenant(tenant) => Some(tenant),
        LogReader::Operator => None,
    };
    let found = log.find(id, tenant).await.map_err(unavailable)?;
    let found = found.ok_or_else(|| {
        GatewayError::new(ErrorKind::NotFound, "no such request, or no longer")
            .with_code("request_not_found")
    })?;
    Ok(reply::json(StatusCode::OK, &view::request(found)))
}

/// A page of requests, newest first.
async fn search(log: &RequestRecorder, query: RequestLogQuery) -> Result<Response<reply::Body>> {
    let page = log.search(&query).await.map_err(unavailable)?;
    let data: Vec<_> = page.requests.into_iter().map(|(_, it)| view::request(it)).collect();
    let page = json!({
        "object": "list",
        "data": data,
        "has_more": page.next.is_some(),
        "next": page.next.map(|cursor| cursor.to_string()),
    });
    Ok(reply::json(StatusCode::OK, &page))
}
