//! `POST /v1/embeddings`: texts as vectors.

use crate::{
    App, body, context,
    generate::{self, Entry},
    headers::cost,
    outcome::{Accepted, Outcome},
    reply,
};
use bytes::Bytes;
use gateway_core::{BoxError, Dialect, EmbeddingCall, Result, estimate};
use gateway_limits::{QuotaDemand, TokenEstimate};
use gateway_wire::{embeddings, envelope, json};
use http::{Request, Response, StatusCode};
use http_body::Body;
use std::sync::Arc;

/// Has the model's provider turn texts into vectors.
pub(crate) async fn embed<B>(
    app: &Arc<App>,
    entry: Entry<'_>,
    request: Request<B>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Entry { path, request_id, in_flight, peer, standing, is_accounted } = entry;
    let (head, body) = request.into_parts();
    let (client, permit) = generate::enter(app, &head.headers, peer).await?;
    let (body, share) = body::read(&head.headers, body, &app.limits).await?;
    // The configured default is a model for chats: it is of no use here.
    envelope::read(&body, &json::Limits { depth: app.json_depth })?;
    let request = Arc::new(embeddings::read_request(&body)?);
    let input = TokenEstimate::known(estimate::tokens_of_json(&body));
    drop((body, share));
    let route = app.directory.routes().route(&request.model)?;
    let provider = app.answerer(&client, &request.model, &route)?;
    let price = app.control.price(&route.provider, route.target.card.as_deref());
    let models = [&*request.model, &*route.target.model];
    let want = QuotaDemand { models, input: &input, output: Some(0), price: price.as_ref() };
    let taken = generate::reserve(app, &client, peer, &want, standing).await?;
    let context = context::of(&head.headers, Arc::clone(&request_id), &client, Dialect::Chat);
    let accepted = Accepted {
        path,
        request_id,
        client: Arc::clone(&client.name),
        provider: Arc::clone(&route.provider),
        rule: route.rule,
        card: route.target.card.clone(),
        asked: generate::asked_name(&route.target),
        stream: false,
        input,
        taken,
        trace: context.traceparent.clone(),
        permit,
    };
    let model = Arc::clone(&route.target.model);
    let call = EmbeddingCall {
        target: route.target,
        request: Arc::clone(&request),
        strict: generate::is_strict(app, &client, &head.headers),
        context,
    };
    *is_accounted = true;
    let mut outcome = Outcome::new(app, accepted, in_flight).shown(&client.tenant, &model);
    let embedded = match provider.embed(call).await {
        Ok(embedded) => embedded,
        Err(error) => {
            outcome.failed(&error);
            return Err(error);
        }
    };
    outcome.begun(&embedded.meta);
    outcome.answered(embedded.response.usage);
    let written = embeddings::write_answer(&embedded.response, &request);
    let mut reply = reply::written(StatusCode::OK, written);
    cost::add_to(reply.headers_mut(), embedded.response.usage.as_ref(), price.as_ref());
    generate::add_facts(&embedded.meta, reply.headers_mut());
    Ok(reply)
}
