//! Requests that are relayed: sent as their caller wrote them, with the provider's own credential.

mod addresses;
mod reply;
mod upload;

pub(crate) use self::addresses::RelayAddresses;

use self::reply::RelayedReply;
use crate::{
    HttpProvider,
    outbound_request::OutboundRequest,
    prepared_call::no_dialect_configured,
    upstream_reply::{charge_request, upstream_request_id},
};
use gateway_core::{
    BodyRest, CallMeter, PassthroughBody, ProviderRequest, ProviderResponse, RelayRequest,
    ResponseMeta, Result,
};
use gateway_net::client::{ResponseHead, UpstreamResponse};
use gateway_wire::relay::with_model;
use http::StatusCode;
use std::sync::Arc;

/// The fields of a reply that its caller gets.
const REPLY_FIELDS: [&str; 5] =
    ["content-type", "content-disposition", "content-range", "etag", "last-modified"];

impl HttpProvider {
    /// Sends a relayed request, whose reply passes on while it arrives.
    ///
    /// # Errors
    ///
    /// If the provider has no such endpoint, refuses or fails, in the words of its usual dialect.
    pub(crate) async fn relay(
        &self,
        call: &ProviderRequest,
        relayed: &Arc<RelayRequest>,
    ) -> Result<ProviderResponse> {
        let meter = call.context.meter_call(&self.id, &call.target, relayed.body.counted());
        meter.set_units(relayed.units);
        let sent = self.send_relayed(call, relayed, &meter).await;
        let meta = self.meta(&call.target.model);
        let UpstreamResponse { head, body } = match sent {
            Ok(response) => response,
            Err(error) => return Err(error.with_meta(meta)),
        };
        let meta = ResponseMeta {
            upstream_request_id: upstream_request_id(&head),
            relayed_headers: reply_fields(&head),
            card: call.target.card.clone(),
            passthrough: Some(PassthroughBody {
                status: head.status.as_u16(),
                length: body.length(),
            }),
            ..meta
        };
        let content_type = head.text("content-type").unwrap_or_default();
        // Nothing is owed for a refusal.
        let meter = if head.status.is_success() { meter } else { CallMeter::default() };
        let reply = RelayedReply::new(body, content_type, relayed.billed_by, meter);
        Ok(ProviderResponse { meta, chunks: Box::pin(reply) })
    }

    async fn send_relayed(
        &self,
        call: &ProviderRequest,
        relayed: &Arc<RelayRequest>,
        meter: &CallMeter,
    ) -> Result<UpstreamResponse> {
        let usual = self.apis.first().ok_or_else(no_dialect_configured)?;
        let speaks = |dialect| self.apis.iter().any(|api| api.upstream.dialect() == dialect);
        if !relayed.api.is_none_or(speaks) {
            return Err(relayed.unsupported());
        }
        let (model, body) = (&call.target.model, &relayed.body);
        let upload = body.rest.as_ref().map(|_| upload::upload(Arc::clone(relayed), model));
        let mut outbound = OutboundRequest {
            template: self.relay.template(relayed.method, relayed.path.clone(), model)?,
            body: if upload.is_some() { Vec::new() } else { with_model(body, model)? },
            upload,
            accept: if call.stream { "text/event-stream" } else { "*/*" },
            fields: relayed.fields.clone(),
        };
        charge_request(&mut outbound.body, call, &self.client);
        let response = match self.post(outbound, &call.context, false, meter).await {
            Ok(response) => response,
            // The caller's own failure is not the provider's.
            Err(error) => {
                return Err(body.rest.as_ref().and_then(BodyRest::take_failure).unwrap_or(error));
            }
        };
        let status = response.head.status;
        if status == StatusCode::NO_CONTENT || relayed.passes_refusals && is_callers(status) {
            return Ok(response);
        }
        self.check(usual, response, &call.context).await
    }
}

/// Whether a refusal is about the request, and not about the gateway's credential or its rate.
fn is_callers(status: StatusCode) -> bool {
    let is_gateways = matches!(status.as_u16(), 401 | 402 | 403 | 407 | 408 | 429);
    status == StatusCode::NOT_MODIFIED || status.is_client_error() && !is_gateways
}

/// Returns the fields of a reply that its caller gets.
fn reply_fields(head: &ResponseHead) -> Option<Arc<[(String, String)]>> {
    let field = |name: &str| Some((name.to_owned(), head.text(name)?.to_owned()));
    let fields: Vec<_> = REPLY_FIELDS.into_iter().filter_map(field).collect();
    (!fields.is_empty()).then(|| fields.into())
}
