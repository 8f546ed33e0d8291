//! The endpoints of Gemini's API: what a request says in its path and query.

mod address;
mod json_array;
pub(crate) mod key;

use crate::{
    RequestBody, failure::FailedDispatch, generation, reply, request::Origin, service::HttpService,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use gateway_core::{Dialect, GatewayError, UNCHARGED_BYTES};
use gateway_engine::{InboundRequest, Operation, ResponseBody};
use gateway_wire::gemini::{GeminiInbound, body_with_address};
use http::{Request, Response};

pub(crate) use self::address::GenerationAddress;

/// Serves a request for a response of the model in its path.
///
/// # Errors
///
/// Whatever fails before the first output.
pub(crate) async fn generate(
    service: &HttpService,
    address: GenerationAddress,
    origin: Origin,
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>, FailedDispatch> {
    let (head, body) = request.into_parts();
    let inbound = generation::admit(service, Dialect::Gemini, origin, &head, body).await?;
    let inbound = with_address(service, inbound, &address);
    let prepared = service.engine.prepare(&GeminiInbound, Operation::Generate, inbound).await?;
    let mut response = prepared.generate(&GeminiInbound).await?;
    if !address::wants_events(head.uri.query()) {
        response.body = without_events(response.body);
    }
    Ok(generation::written(response))
}

/// The same body, as one JSON array if it is streamed.
fn without_events(body: ResponseBody) -> ResponseBody {
    if let ResponseBody::Events(events) = body {
        let pieces = json_array::of_events(events).map(Ok::<Bytes, GatewayError>).boxed();
        ResponseBody::Passing { length: None, pieces }
    } else {
        body
    }
}

/// The request with what its address says in its body, which counts among its tenant's memory.
pub(crate) fn with_address(
    service: &HttpService,
    inbound: InboundRequest,
    address: &GenerationAddress,
) -> InboundRequest {
    let body = body_with_address(&inbound.body, &address.model, address.stream);
    let body = if body.len() > UNCHARGED_BYTES {
        let mut lease = service.engine.memory.lease(&inbound.head.client.tenant);
        lease.charge(body.len());
        lease.attach(body)
    } else {
        body
    };
    InboundRequest { body, ..inbound }
}
