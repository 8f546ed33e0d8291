//! The endpoints whose requests are relayed: one handler for every row of their table.

mod form;
mod passthrough;
mod passthrough_path;

pub(crate) use self::passthrough::passthrough;

use crate::{
    RequestBody, failure::FailedDispatch, generation, names, reply, request::Origin,
    service::HttpService,
};
use gateway_core::{Dialect, ErrorKind, GatewayError, Result};
use gateway_wire::relay::{RelayBodyKind, RelayEndpoint};
use http::{HeaderMap, Request, Response};
use std::sync::Arc;

/// The longest name of a model in a header, in bytes.
const MAX_MODEL: usize = 256;

/// Serves a request to a relayed endpoint.
///
/// # Errors
///
/// Whatever fails before the reply begins.
pub(crate) async fn relay(
    service: &HttpService,
    endpoint: &'static RelayEndpoint,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (head, body) = request.into_parts();
    let response = match endpoint.body {
        RelayBodyKind::Form => {
            let relay_head = generation::request_head(service, Dialect::Chat, origin, &head)?;
            let client = Arc::clone(&relay_head.client);
            let of_client = |failure: FailedDispatch| failure.of(&client);
            let sender = (&*client, relay_head.peer);
            let read = form::read(service, &head.headers, body, sender).await.map_err(Into::into);
            let form = read.map_err(of_client)?;
            let priority = relay_head.options.priority;
            let permit = service.engine.admit(&client, priority).await.map_err(Into::into);
            let permit = permit.map_err(of_client)?;
            let named = named_model(&head.headers).map_err(|error| of_client(error.into()))?;
            service.engine.relay_form(endpoint, (relay_head, permit), form, named).await?
        }
        RelayBodyKind::Json => {
            let inbound = generation::admit(service, Dialect::Chat, origin, &head, body).await?;
            let named = named_model(&head.headers);
            let named =
                named.map_err(|error| FailedDispatch::from(error).of(&inbound.head.client))?;
            service.engine.relay_json(endpoint, inbound, named).await?
        }
    };
    Ok(generation::written(response))
}

/// The model that a header names, if one does.
fn named_model(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(names::MODEL) else { return Ok(None) };
    let name = value.to_str().ok().filter(|name| (1..=MAX_MODEL).contains(&name.len()));
    let malformed = || {
        let message = "x-gateway-model must be the name of a model";
        GatewayError::new(ErrorKind::InvalidRequest, message).with_code("invalid_parameter")
    };
    name.map(Some).ok_or_else(malformed)
}
