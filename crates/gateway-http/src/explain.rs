//! `POST /v1/explain`: what would become of a request, told without asking anybody.
//!
//! Everything that is decided here is decided by the same code as for a request that is answered:
//! the route, what speaks against each of its targets, what a translation leaves behind, what the
//! cache holds, what the caller's limits have room for.

mod limits;

use crate::{App, Endpoint, body, endpoint::Kind, generate, reply};
use bytes::Bytes;
use gateway_core::{
    BoxError, Cached, GatewayError, NanoDollars, PlannedAttempt, Price, ProviderRequest, Result,
    Target, UnavailableReason, Usage, estimate,
};
use gateway_limits::{Client, QuotaDemand, TokenEstimate};
use gateway_wire::{Caller, Opened};
use http::{Request, Response, StatusCode};
use http_body::Body;
use serde_json::{Value, json};
use std::sync::Arc;

/// Explains what would become of the body, were it posted to the path that the query names.
pub(crate) async fn explain<B>(
    app: &Arc<App>,
    client: &Client,
    entry: generate::Entry<'_>,
    request: Request<B>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    let (path, caller) = endpoint(head.uri.query().unwrap_or_default())?;
    let (body, _share) = body::read(&head.headers, body, &app.limits).await?;
    let (body, envelope) = generate::open(app, body)?;
    caller.check(&envelope)?;
    let mut route = app.directory.routes().route(&envelope.model)?;
    app.windows.correct(&route.provider, &mut route.target);
    let provider = app.answerer(client, &envelope.model, &route)?;
    let (model, stream) = (envelope.model.clone(), envelope.stream);
    let has_session = envelope.session.is_some();
    let price = app.control.price(&route.provider, route.target.card.as_deref());
    let size = TokenEstimate::of(body.clone());
    let want = QuotaDemand::of(&envelope, &route.target, &size, price.as_ref());
    let room = app.control.limiter.preview(client, entry.peer, &want).await;
    let Opened { told, mut asks, dropped } = caller.open(body, envelope)?;
    let payload = if asks.len() == 1 { asks.pop() } else { None }.unwrap_or(told);
    let dialect = caller.dialect();
    let beside = generate::Beside {
        headers: &head.headers,
        request_id: entry.request_id,
        dialect,
        has_session,
    };
    let call = generate::call(app, client, &route, (payload, stream), beside);
    if call.strict {
        dropped.require_empty()?;
    }
    let prospects = provider.plan(&call).await;
    let mut told = json!({
        "object": "explanation",
        "path": path,
        "client": &*client.name,
        "model": model,
        "stream": stream,
        "session": has_session,
        "route": { "rule": route.rule.as_str(), "name": route.chain.as_deref() },
        "dropped": dropped.iter().collect::<Vec<_>>(),
        "prompt_tokens": prompt_tokens(&call),
        "limits": limits::told(&room),
    });
    if let Some(members) = told.as_object_mut() {
        members.extend(outlook(app, &call, &prospects));
    }
    Ok(reply::json(StatusCode::OK, &told))
}

/// The endpoint that is asked about: `path=/v1/messages`, or that of chat completions.
fn endpoint(query: &str) -> Result<(&'static str, &'static dyn Caller)> {
    let path = query.split('&').find_map(|pair| pair.strip_prefix("path="));
    let path = path.unwrap_or("/v1/chat/completions").replace("%2F", "/").replace("%2f", "/");
    let found = Endpoint::at(&path).filter(|endpoint| endpoint.kind() == Kind::Model);
    let caller = found.and_then(|endpoint| Some((endpoint.label(), endpoint.caller()?)));
    caller
        .ok_or_else(|| GatewayError::invalid("path", "the path must be one at which models answer"))
}

/// Who would be asked, in which order, and who not.
fn outlook(
    app: &App,
    call: &ProviderRequest,
    prospects: &[PlannedAttempt],
) -> [(String, Value); 3] {
    // Whoever is asked first answers; what it cannot be asked is told to the caller.
    let first = prospects.iter().position(|it| it.unavailable.is_none());
    let answer = first
        .and_then(|at| prospects.get(at))
        .filter(|it| it.dropped.is_ok())
        .map(|it| json!({ "provider": &*it.provider, "model": &*it.target.model }));
    let verdict = match prospects.get(first.unwrap_or(0)) {
        Some(it) => it.cache.map_or(Value::Null, cache),
        None => Value::Null,
    };
    let tell = |(at, it)| target(app, call, it, first == Some(at));
    let targets: Vec<_> = prospects.iter().enumerate().map(tell).collect();
    [
        ("targets".to_owned(), targets.into()),
        ("answer".to_owned(), answer.unwrap_or(Value::Null)),
        ("cache".to_owned(), verdict),
    ]
}

fn target(app: &App, call: &ProviderRequest, prospect: &PlannedAttempt, is_first: bool) -> Value {
    let verdict = match (&prospect.unavailable, &prospect.dropped) {
        (Some(_), _) => "passed_over",
        (None, Err(_)) => "refused",
        (None, Ok(_)) if is_first => "asked",
        (None, Ok(_)) => "fallback",
    };
    let (dropped, error) = match &prospect.dropped {
        Ok(dropped) => (dropped.iter().collect(), None),
        Err(error) => {
            (Vec::new(), Some(json!({ "code": error.code(), "message": error.message() })))
        }
    };
    let price = app.control.price(&prospect.provider, prospect.target.card.as_deref());
    json!({
        "provider": &*prospect.provider,
        "model": &*prospect.target.model,
        "credential": prospect.credential,
        "verdict": verdict,
        "against": prospect.unavailable.map(against),
        "dropped": dropped,
        "error": error,
        "cost_nano_dollars": price.and_then(|price| cost(call, &prospect.target, price)),
    })
}

fn against(against: UnavailableReason) -> Value {
    let mut told = json!({ "reason": against.as_str() });
    if let UnavailableReason::ContextWindow { needs, window } = against {
        told = json!({ "reason": against.as_str(), "needs": needs, "window": window });
    } else if let Some(wait) = against.wait() {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        told = json!({ "reason": against.as_str(), "wait_ms": millis });
    }
    told
}

fn cache(verdict: Cached) -> Value {
    match verdict {
        Cached::Hit { age } => json!({ "verdict": verdict.as_str(), "age_seconds": age.as_secs() }),
        Cached::Bypass(reason) => json!({ "verdict": verdict.as_str(), "reason": reason }),
        Cached::Miss => json!({ "verdict": verdict.as_str() }),
    }
}

fn prompt_tokens(call: &ProviderRequest) -> Option<u64> {
    Some(estimate::tokens(call.request().ok()?, &call.target.model))
}

/// From what reading costs to what it costs to write as much as may be written.
fn cost(call: &ProviderRequest, target: &Target, price: Price) -> Option<Value> {
    let request = call.request().ok()?;
    let input = estimate::tokens(request, &target.model);
    let most = target.card.as_deref().and_then(|card| card.max_output);
    let output = match (request.options.max_tokens, most) {
        (Some(one), Some(other)) => Some(one.min(other)),
        // What costs nothing costs nothing however much is written.
        (None, None) if price == Price::default() => Some(0),
        (one, other) => one.or(other),
    };
    let of = |output| price.cost(&Usage { input, output, ..Usage::default() });
    let NanoDollars(least) = of(0);
    let choices = u64::from(request.options.n.unwrap_or(1).max(1));
    let most = output.map(|output| of(output.saturating_mul(choices)).0);
    Some(json!({ "least": least, "most": most }))
}
