//! Requests to any path of a provider: `/v1/passthrough/{provider}/{path}`.

use super::{form, passthrough_path};
use crate::{
    Endpoint, RequestBody, body, failure::FailedDispatch, generation, reply, request::Origin,
    service::HttpService,
};
use gateway_core::{Dialect, ErrorKind, GatewayError, RelayBody, RelayRequest, Result};
use gateway_engine::InboundPassthrough;
use gateway_wire::{
    json::JsonLimits,
    relay::{RelayEnvelope, read_any_json},
};
use http::{HeaderMap, Method, Request, Response};
use std::sync::Arc;

/// The fields of a request that reach the provider: no credential, and none of the gateway's own.
const FIELDS: [&str; 10] = [
    "accept",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "openai-beta",
    "range",
];

/// Serves a request to a path of a provider.
///
/// # Errors
///
/// Whatever fails before the reply begins.
pub(crate) async fn passthrough(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (head, body) = request.into_parts();
    let relay_head = generation::request_head(service, Dialect::Chat, origin, &head)?;
    let client = Arc::clone(&relay_head.client);
    let of_client = |failure: FailedDispatch| failure.of(&client);
    let Endpoint::Passthrough(rest) = endpoint else {
        let unhandled = GatewayError::new(ErrorKind::Internal, "an endpoint without a handler");
        return Err(of_client(unhandled.into()));
    };
    let parsed = passthrough_path::parse(rest, head.uri.query());
    let (provider, path) = parsed.map_err(|error| of_client(error.into()))?;
    let method = method(&head.method).map_err(|error| of_client(error.into()))?;
    let sender = (&*client, relay_head.peer);
    let read = read(service, &head.headers, body, sender).await;
    let (envelope, body) = read.map_err(of_client)?;
    let permit = service.engine.admit(&client, relay_head.options.priority).await;
    let permit = permit.map_err(|error| of_client(error.into()))?;
    let request = RelayRequest {
        method,
        path: path.into(),
        fields: fields(&head.headers),
        api: None,
        passes_refusals: true,
        body,
        units: envelope.units,
        billed_by: gateway_core::ReplyUnit::Request,
    };
    let (model, stream) = (Some(envelope.model), envelope.stream);
    let model = model.filter(|model| !model.is_empty());
    let inbound = InboundPassthrough { head: relay_head, permit, provider, model, stream, request };
    Ok(generation::written(service.engine.passthrough(inbound).await?))
}

/// Reads the body: all of one in JSON, whose model is known then, and the beginning of any other.
async fn read(
    service: &HttpService,
    headers: &HeaderMap,
    body: RequestBody,
    sender: (&gateway_limits::Client, std::net::IpAddr),
) -> Result<(RelayEnvelope, RelayBody), FailedDispatch> {
    if !body::is_json(headers) {
        let (bytes, rest) = form::read_any(service, headers, body, sender).await?;
        return Ok((RelayEnvelope::default(), RelayBody { bytes, rest, ..RelayBody::default() }));
    }
    let bytes = service.read_body(headers, body, sender).await?;
    let limits = JsonLimits { depth: service.engine.settings.json_depth };
    let envelope =
        if bytes.is_empty() { RelayEnvelope::default() } else { read_any_json(&bytes, &limits)? };
    Ok((envelope, RelayBody { bytes, ..RelayBody::default() }))
}

fn fields(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let field = |name: &&'static str| Some((*name, headers.get(*name)?.to_str().ok()?.to_owned()));
    FIELDS.iter().filter_map(field).collect()
}

/// The name of a method that is relayed.
fn method(method: &Method) -> Result<&'static str> {
    const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let known = METHODS.into_iter().find(|known| *known == method.as_str());
    known.ok_or_else(|| GatewayError::new(ErrorKind::MethodNotAllowed, "method not allowed"))
}
