//! `POST /v1/explain`: the dry run of a request.

mod limits;

use crate::{
    Endpoint, RequestBody,
    endpoint::Kind,
    failure::FailedDispatch,
    gemini::{self, GenerationAddress},
    generation, reply,
    request::{Origin, query::QueryParams},
    service::HttpService,
};
use gateway_core::{CacheStatus, GatewayError, Result, UnavailableReason, time::millis};
use gateway_engine::{ExplainedTarget, Explanation, InboundRequest};
use gateway_wire::InboundDialect;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

/// Explains the request in the body as if it were posted to the path in the query.
///
/// # Errors
///
/// If the path is not a model endpoint, or if the request cannot be routed or composed.
pub(crate) async fn explain(
    service: &HttpService,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (head, body) = request.into_parts();
    let query = QueryParams::parse(head.uri.query());
    let (endpoint, dialect) = endpoint(&query)?;
    let path = endpoint.label();
    let request_head = generation::request_head(service, dialect.dialect(), origin, &head)?;
    let client = request_head.client.name.to_string();
    let sender = (&*request_head.client, request_head.peer);
    let body = service.read_model_body(&head.headers, body, sender).await?;
    let mut inbound = InboundRequest { head: request_head, permit: None, body };
    if let Some(address) = GenerationAddress::of(endpoint) {
        inbound = gemini::with_address(service, inbound, &address);
    }
    let explained = service.engine.explain(dialect, inbound).await?;
    Ok(reply::json(StatusCode::OK, &explanation_json(&explained, path, &client)))
}

/// Returns the endpoint in the query, such as `path=/v1/messages`; chat completions by default.
fn endpoint(query: &QueryParams) -> Result<(Endpoint<'_>, &'static dyn InboundDialect)> {
    let path = query.text("path").unwrap_or("/v1/chat/completions");
    let found = Endpoint::at(path).filter(|endpoint| endpoint.kind() == Kind::Model);
    let dialect = found.and_then(|endpoint| Some((endpoint, endpoint.caller()?)));
    dialect
        .ok_or_else(|| GatewayError::invalid("path", "`path` must be the path of a model endpoint"))
}

fn explanation_json(explained: &Explanation, path: &str, client: &str) -> Value {
    let targets = &explained.targets;
    // The first available target is asked; what it refuses is the caller's answer.
    let first = targets.iter().position(|it| it.planned.unavailable.is_none());
    let answer = first
        .and_then(|at| targets.get(at))
        .filter(|it| it.planned.dropped.is_ok())
        .map(|it| json!({ "provider": &*it.planned.provider, "model": &*it.planned.target.model }));
    let cache = match targets.get(first.unwrap_or(0)) {
        Some(it) => it.planned.cache.map_or(Value::Null, cache),
        None => Value::Null,
    };
    let written = |(at, it)| target(it, first == Some(at));
    json!({
        "object": "explanation",
        "path": path,
        "client": client,
        "model": explained.model,
        "stream": explained.stream,
        "session": explained.names_session,
        "route": { "rule": explained.rule, "name": explained.group.as_deref() },
        "dropped": explained.dropped.iter().collect::<Vec<_>>(),
        "prompt_tokens": explained.prompt_tokens,
        "limits": limits::written(&explained.limits),
        "targets": targets.iter().enumerate().map(written).collect::<Vec<_>>(),
        "answer": answer,
        "cache": cache,
    })
}

fn target(explained: &ExplainedTarget, is_first: bool) -> Value {
    let planned = &explained.planned;
    let verdict = match (&planned.unavailable, &planned.dropped) {
        (Some(_), _) => "passed_over",
        (None, Err(_)) => "refused",
        (None, Ok(_)) if is_first => "asked",
        (None, Ok(_)) => "fallback",
    };
    let (dropped, error) = match &planned.dropped {
        Ok(dropped) => (dropped.iter().collect(), None),
        Err(error) => {
            (Vec::new(), Some(json!({ "code": error.code(), "message": error.message() })))
        }
    };
    let cost = explained
        .cost
        .map(|(least, most)| json!({ "least": least.0, "most": most.map(|most| most.0) }));
    json!({
        "provider": &*planned.provider,
        "model": &*planned.target.model,
        "credential": planned.credential,
        "verdict": verdict,
        "against": planned.unavailable.map(unavailable),
        "dropped": dropped,
        "assumed": planned.target.card.as_ref().and_then(|it| it.assumed_from.as_deref()),
        "error": error,
        "cost_nano_dollars": cost,
    })
}

fn unavailable(reason: UnavailableReason) -> Value {
    if let UnavailableReason::ContextWindow { needs, window } = reason {
        json!({ "reason": reason.as_str(), "needs": needs, "window": window })
    } else if let Some(wait) = reason.wait() {
        let millis = millis(wait);
        json!({ "reason": reason.as_str(), "wait_ms": millis })
    } else {
        json!({ "reason": reason.as_str() })
    }
}

fn cache(verdict: CacheStatus) -> Value {
    match verdict {
        CacheStatus::Hit { age } => {
            json!({ "verdict": verdict.as_str(), "age_seconds": age.as_secs() })
        }
        CacheStatus::Bypass(reason) => json!({ "verdict": verdict.as_str(), "reason": reason }),
        CacheStatus::Miss => json!({ "verdict": verdict.as_str() }),
    }
}
