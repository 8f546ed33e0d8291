//! A request to a model, from top to bottom. What differs between dialects is in the codec.

use crate::{
    App, body, caching, context,
    event_body::EventBody,
    fit::{self, Fitted},
    headers::{admission, cost, rate_limit},
    hold, idempotency,
    meters::InFlight,
    names,
    outcome::{Accepted, Outcome},
    reply,
    responses::{self, Work},
    sessions, several, tools,
    wishes::Wishes,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use gateway_core::{
    BoxError, Cached, ChunkStream, Collector, Dialect, DroppedParams, Envelope, Inspection,
    Payload, ProviderRequest, ProviderResponse, ResponseMeta, Result, Route, Target, Usage,
    observe,
};
use gateway_limits::{
    AdmissionPermit, Client, QuotaDemand, QuotaReservation, RateLimitStatus, TokenEstimate,
};
use gateway_sessions::{idempotency::witnessed, responses::Keep};
use gateway_wire::{Caller, Ids, Opened, Reply, envelope, json, splice};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body::Body;
use http_body_util::BodyExt as _;
use std::{net::IpAddr, sync::Arc, time::SystemTime};
use uuid::Uuid;

/// Where a request came in.
pub(crate) struct Entry<'a> {
    /// The endpoint's label.
    pub(crate) path: &'static str,
    /// The request's name.
    pub(crate) request_id: Arc<str>,
    /// Counts the request until its answer has ended.
    pub(crate) in_flight: InFlight,
    /// Where its caller is.
    pub(crate) peer: IpAddr,
    /// What its caller is told of limits.
    pub(crate) standing: &'a mut RateLimitStatus,
    /// Whether the request has an outcome: then that is told, and not its reply.
    pub(crate) is_accounted: &'a mut bool,
}

/// Answers a request to a model.
pub(crate) async fn generate<B>(
    app: &Arc<App>,
    caller: &'static dyn Caller,
    entry: Entry<'_>,
    request: Box<Request<B>>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (mut fitted, request_id) = (Fitted::default(), Arc::clone(&entry.request_id));
    let mut reply = match accept(app, caller, entry, request, &mut fitted).await {
        // A failure, too, tells how full the model's window was.
        Err(error) if fitted.is_known() => {
            reply::failure(&error, caller.write_error(&error, &request_id))
        }
        reply => reply?,
    };
    fitted.add_facts(reply.headers_mut());
    Ok(reply)
}

async fn accept<B>(
    app: &Arc<App>,
    caller: &'static dyn Caller,
    entry: Entry<'_>,
    request: Box<Request<B>>,
    fitted: &mut Fitted,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Entry { path, request_id, in_flight, peer, standing, is_accounted } = entry;
    let (head, body) = (*request).into_parts();
    let (client, permit) = enter(app, &head.headers, peer).await?;
    let (body, share) = body::read(&head.headers, body, &app.limits).await?;
    let (body, envelope) = open(app, body)?;
    caller.check(&envelope)?;
    let mut route = app.directory.routes().route(&envelope.model)?;
    app.windows.correct(&route.provider, &mut route.target);
    let provider = app.answerer(&client, &envelope.model, &route)?;
    let (model, stream) = (envelope.model.clone(), envelope.stream);
    let has_session = envelope.session.is_some();
    let price = app.control.price(&route.provider, route.target.card.as_deref());
    let input = TokenEstimate::of(body.clone());
    let want = QuotaDemand::of(&envelope, &route.target, &input, price.as_ref());
    let taken = reserve(app, &client, peer, &want, standing).await?;
    let Opened { told, mut asks, dropped } = caller.open(body, envelope)?;
    let payload = single(&mut asks, &told);
    let (id, dialect) = (Arc::clone(&request_id), caller.dialect());
    let beside = Beside { headers: &head.headers, request_id: id, dialect, has_session };
    let mut call = self::call(app, &client, &route, (payload, stream), beside);
    if call.strict {
        dropped.require_empty()?;
    }
    let ids = ids();
    let plan = responses::plan(&app.responses, provider, &mut call, &ids).await?;
    let opened = sessions::open(app, &client, &told, (&mut call, &head)).await?;
    let equipped = tools::equip(app, &client, provider, (&call, &head.headers), &opened.chosen)?;
    let (provider, composed) = opened.remembering(equipped.provider);
    let provider = witnessed(idempotency::mark(&head), provider);
    if asks.is_empty() {
        fit::fit(app, &head.headers, (&mut call, &equipped.added), fitted).await?;
    }
    let accepted = Accepted {
        path,
        request_id,
        client: Arc::clone(&client.name),
        provider: Arc::clone(&route.provider),
        rule: route.rule,
        card: call.target.card.clone(),
        asked: asked_name(&call.target),
        stream,
        input,
        taken,
        trace: call.context.traceparent.clone(),
        permit,
    };
    *is_accounted = true;
    let outcome = Outcome::new(app, accepted, in_flight).shown(&client.tenant, &call.target.model);
    let to = Reply { payload: told, model, created: now(), ids };
    let work = Work { provider, call, outcome: Box::new(outcome) };
    let wishes = Wishes::of(&head.headers, &route, price);
    let rest = |keep| Rest { keep, share, asks, dropped, wishes };
    let mut reply = match plan.keep {
        Some(keep) if plan.background => responses::start(app, keep, work, to, stream).await?,
        keep => answer(app, caller, to, work, rest(keep)).await?,
    };
    sessions::add_facts(&composed, reply.headers_mut());
    Ok(reply)
}

/// Reserves what a request needs of its client's limits.
pub(crate) async fn reserve(
    app: &App,
    client: &Client,
    peer: IpAddr,
    demand: &QuotaDemand<'_>,
    status: &mut RateLimitStatus,
) -> Result<Option<QuotaReservation>> {
    rate_limit::note(app.control.limiter.reserve(client, peer, demand).await, status)
}

/// Lets a request to a model in, or says that there is too much to do.
pub(crate) async fn enter(
    app: &App,
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<(Arc<Client>, Option<AdmissionPermit>)> {
    let client = app.identify(headers, peer)?;
    let permit = admit(app, &client, headers).await?;
    Ok((client, permit))
}

/// Lets in work of `client`, or says that there is too much to do.
pub(crate) async fn admit(
    app: &App,
    client: &Client,
    headers: &HeaderMap,
) -> Result<Option<AdmissionPermit>> {
    let tenant = (!client.is_anonymous).then_some(&client.tenant);
    app.control
        .admission
        .enter(tenant, admission::effective_priority(client.priority, headers))
        .await
}

/// Several questions are put one by one; one may be put as it is, or as it is completed here.
fn single(asks: &mut Vec<Payload>, told: &Payload) -> Payload {
    let single = if asks.len() == 1 { asks.pop() } else { None };
    single.unwrap_or_else(|| told.clone())
}

/// What comes beside the body of a request.
pub(crate) struct Beside<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) request_id: Arc<str>,
    pub(crate) dialect: Dialect,
    pub(crate) has_session: bool,
}

/// The call that a request of `client` makes of its `route`: what to ask, and whether step by step.
pub(crate) fn call(
    app: &App,
    client: &Client,
    route: &Route,
    (payload, stream): (Payload, bool),
    beside: Beside<'_>,
) -> ProviderRequest {
    let Beside { headers, request_id, dialect, has_session } = beside;
    let mut context = context::of(headers, request_id, client, dialect);
    if app.caching {
        context.caching = caching::of(headers, has_session);
    }
    let strict = is_strict(app, client, headers);
    ProviderRequest {
        target: route.target.clone(),
        payload,
        stream,
        inspection: Inspection::UsageOnly,
        strict,
        context,
    }
}

/// What else an answer depends on.
struct Rest {
    /// Where it is kept.
    keep: Option<Keep>,
    /// The request's share of the memory for bodies.
    share: body::Share,
    /// The questions, if there are several.
    asks: Vec<Payload>,
    /// What the request said in vain.
    dropped: DroppedParams,
    /// What its caller wants to be told beside it.
    wishes: Wishes,
}

/// Answers a caller that waits for it.
async fn answer(
    app: &App,
    caller: &dyn Caller,
    to: Reply,
    work: Work,
    rest: Rest,
) -> Result<Response<reply::Body>> {
    let Work { provider, call, mut outcome } = work;
    let Rest { keep, share, asks, dropped, wishes } = rest;
    let stream = call.stream;
    let ProviderResponse { mut meta, chunks } = match several::answer(&provider, call, asks).await {
        Ok(answer) => answer,
        Err(error) => {
            outcome.failed(&error);
            return Err(error);
        }
    };
    drop(share);
    outcome.begun(&meta);
    let chunks = observe(chunks, outcome);
    let mut reply = match (stream, keep) {
        (true, keep) => {
            let chunks = match keep {
                Some(keep) => keep.stream(chunks, to.clone()),
                None => chunks,
            };
            streamed(app, caller, to, (chunks, &wishes), &mut meta).await?
        }
        (false, keep) => {
            let (mut reply, usage) = whole(caller, to, chunks, keep, &mut meta).await?;
            let price = wishes.price(app, &meta);
            cost::add_to(reply.headers_mut(), usage.as_ref(), price.as_ref());
            reply
        }
    };
    dropped.iter().for_each(|name| meta.dropped.insert(name.to_owned()));
    add_facts(&meta, reply.headers_mut());
    if let Some(decision) = wishes.decision {
        decision.add_to(&meta, reply.headers_mut());
    }
    Ok(reply)
}

/// A reply whose body grows as the answer does. `head` learns who answers, if that was found out
/// only now.
async fn streamed(
    app: &App,
    caller: &dyn Caller,
    to: Reply,
    (chunks, wishes): (ChunkStream, &Wishes),
    meta: &mut ResponseMeta,
) -> Result<Response<reply::Body>> {
    let chunks = if wishes.shows_tools { tools::seen(chunks) } else { chunks };
    let mut begun = hold::until_output(chunks, app.times.head_hold).await?;
    for found in begun.chunks.iter_mut().filter_map(|chunk| chunk.meta.take()) {
        *meta = *found;
    }
    let writer = if wishes.tells_cost {
        cost::telling(caller, to, wishes.price(app, meta))
    } else {
        caller.writer(to)
    };
    let body = EventBody::new(begun, writer, app.times.keep_alive);
    let body = body.showing_tools(wishes.shows_tools);
    let mut reply = Response::new(body.boxed_unsync());
    let headers = reply.headers_mut();
    headers.reserve(reply::HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies such as nginx collect a reply before they pass it on, unless told not to.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(reply)
}

/// A reply with the whole answer, and what that took.
async fn whole(
    caller: &dyn Caller,
    to: Reply,
    mut chunks: ChunkStream,
    keep: Option<Keep>,
    meta: &mut ResponseMeta,
) -> Result<(Response<reply::Body>, Option<Usage>)> {
    if let Some(keep) = &keep {
        chunks = keep.named(chunks);
    }
    let mut answer = Collector::default();
    let mut verbatim = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if let Some(found) = chunk.meta {
            *meta = *found;
        }
        verbatim = verbatim.or(chunk.verbatim);
        answer.extend(chunk.events);
    }
    let answer = answer.finish();
    let usage = answer.usage;
    let body: Bytes = match verbatim {
        Some(bytes) => bytes,
        None => caller.write_whole(answer, to).into(),
    };
    if let Some(keep) = keep {
        keep.whole(&body).await;
    }
    Ok((reply::written(StatusCode::OK, body), usage))
}

/// The name of a model in accounts: as the catalogue has it, else as its provider does.
pub(crate) fn asked_name(target: &Target) -> Arc<str> {
    match &target.card {
        Some(card) => card.id.as_str().into(),
        None => Arc::clone(&target.model),
    }
}

/// Tells who answered and what was left behind.
pub(crate) fn add_facts(meta: &ResponseMeta, headers: &mut HeaderMap) {
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if !meta.provider.is_empty() {
        add("x-gateway-provider", &meta.provider);
    }
    if let Some(step) = meta.attempts_log.first() {
        add("x-gateway-fallback-from", &format!("{}/{}", step.provider, step.model));
    }
    if meta.attempts > 1 {
        add("x-gateway-attempts", &meta.attempts.to_string());
    }
    if let Some(cached) = meta.cache {
        add("x-cache", cached.as_str());
        if let Cached::Hit { age } = cached {
            add("age", &age.as_secs().to_string());
        }
    }
    if let Some(id) = &meta.upstream_request_id {
        add("x-upstream-request-id", id);
    }
    if !meta.dropped.is_empty() {
        add("x-gateway-dropped", &meta.dropped.iter().collect::<Vec<_>>().join(","));
    }
}

/// Whether what a translation cannot carry is refused: if the request says so, else as its client
/// is set up, else as the gateway is.
pub(crate) fn is_strict(app: &App, client: &Client, headers: &HeaderMap) -> bool {
    headers.get(names::STRICT).is_some_and(|value| value.as_bytes() == b"true")
        || client.strict.unwrap_or(app.strict)
}

/// Reads the envelope; a request that names no model gets the configured one, if there is one.
pub(crate) fn open(app: &App, body: Bytes) -> Result<(Bytes, Envelope)> {
    let limits = json::Limits { depth: app.json_depth };
    match (envelope::read(&body, &limits), &app.default_model) {
        (Err(error), Some(model)) if error.param() == Some("model") => {
            let named = splice::insert_member(&body, "model", model).unwrap_or(body);
            // What is wrong with a model that is there is not mended by another.
            envelope::read(&named, &limits).map(|envelope| (named, envelope)).map_err(|_| error)
        }
        (envelope, _) => Ok((body, envelope?)),
    }
}

fn ids() -> Ids {
    Ids::new(Uuid::new_v4().as_u128())
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "answers tell the time of day")]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
