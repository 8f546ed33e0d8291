//! `POST /v1/messages/count_tokens`: how much a model would read.

use crate::{
    App, body, context,
    generate::{self, Entry},
    outcome::{Accepted, Outcome},
    reply,
};
use bytes::Bytes;
use gateway_core::{
    BoxError, Dialect, ErrorKind, Inspection, Payload, ProviderRequest, RawRequest, Result,
    estimate,
};
use gateway_limits::TokenEstimate;
use gateway_wire::{Caller as _, messages::MessagesCaller};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use std::sync::Arc;
use tokio::time::Instant;

/// Counts, or has the model's provider count.
///
/// Where the provider does not count for others, or not what is asked, the reply says that it is an
/// estimate.
pub(crate) async fn count<B>(
    app: &Arc<App>,
    entry: Entry<'_>,
    request: Request<B>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Entry { path, request_id, in_flight, peer, is_accounted, .. } = entry;
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let client = app.identify(&head.headers, peer)?;
    let (body, share) = body::read(&head.headers, body, &app.limits).await?;
    let (body, envelope) = generate::open(app, body)?;
    MessagesCaller.check(&envelope)?;
    let route = app.directory.routes().route(&envelope.model)?;
    let provider = app.answerer(&client, &envelope.model, &route)?;
    let decode = MessagesCaller.decode_count();
    let original = Arc::new(RawRequest::new(Dialect::Messages, body, envelope, decode));
    let call = ProviderRequest {
        target: route.target,
        payload: Payload::Raw(Arc::clone(&original)),
        stream: false,
        inspection: Inspection::UsageOnly,
        strict: generate::is_strict(app, &client, &head.headers),
        context: context::of(&head.headers, Arc::clone(&request_id), &client, Dialect::Messages),
    };
    let model = Arc::clone(&call.target.model);
    let translated =
        provider.upstream_dialect(&call.target, Dialect::Messages) != Some(Dialect::Messages);
    let accepted = Accepted {
        path,
        request_id,
        client: Arc::clone(&client.name),
        provider: Arc::clone(&route.provider),
        rule: route.rule,
        card: call.target.card.clone(),
        asked: generate::asked_name(&call.target),
        stream: false,
        input: TokenEstimate::known(0),
        taken: None,
        trace: call.context.traceparent.clone(),
        permit: None,
    };
    let counted = provider.count_tokens(call).await;
    drop(share);
    // Nobody was asked, so there is nothing to account for.
    let asked = || Outcome::new(app, accepted, in_flight).since(began);
    match counted {
        Ok(Some(tokens)) => {
            asked().answered(None);
            Ok(told(tokens))
        }
        Ok(None) => Ok(estimated(estimate::tokens(original.decoded()?, &model))),
        // Who refuses our way to ask is no judge of the caller's request.
        Err(error) if translated && error.kind() == ErrorKind::InvalidRequest => {
            asked().failed(&error);
            Ok(estimated(estimate::tokens(original.decoded()?, &model)))
        }
        Err(error) => {
            *is_accounted = true;
            asked().failed(&error);
            Err(error)
        }
    }
}

fn told(tokens: u64) -> Response<reply::Body> {
    reply::written(StatusCode::OK, MessagesCaller.write_count(tokens))
}

fn estimated(tokens: u64) -> Response<reply::Body> {
    let mut reply = told(tokens);
    let name = HeaderName::from_static("x-gateway-estimated");
    reply.headers_mut().insert(name, HeaderValue::from_static("true"));
    reply
}
