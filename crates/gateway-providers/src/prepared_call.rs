//! The encoding of a call: which API of its provider it goes to, and what that API takes of it.

use crate::{
    api::Api, editable_call::EditableCall, learned_refusals::LearnedRefusals, model_rules,
    outbound_request::OutboundRequest,
};
use gateway_core::{
    Dialect, DroppedParams, ErrorKind, GatewayError, Payload, ProviderRequest, Result, Target,
};
use gateway_wire::{EncodedRequest, StreamFraming, seals::SealFilter};

/// A call, encoded for one of the APIs of its provider.
pub(crate) struct PreparedCall<'a> {
    pub(crate) api: &'a Api,
    pub(crate) call: EditableCall<'a>,
    pub(crate) outbound: OutboundRequest,
    pub(crate) dropped: DroppedParams,
    /// It holds seals of reasoning, which the upstream may refuse.
    pub(crate) carries_seals: bool,
}

/// The APIs of a provider, one of which a call is encoded for.
#[derive(Clone, Copy)]
pub(crate) struct CallEncoder<'a> {
    /// The dialects of the provider, its usual one first.
    pub(crate) apis: &'a [Api],
    /// The endpoint that continues texts, if there is one.
    pub(crate) completions: Option<&'a Api>,
    /// The parameters that models refused.
    pub(crate) refusals: &'a LearnedRefusals,
}

impl<'a> CallEncoder<'a> {
    /// Encodes a call for one of the provider's APIs, with the seals that `filter` lets pass.
    ///
    /// # Errors
    ///
    /// If no API of the provider can express it; nothing was sent then.
    pub(crate) fn prepare(
        self,
        call: &'a ProviderRequest,
        mut filter: SealFilter,
    ) -> Result<PreparedCall<'a>> {
        if let Some(api) = self.completions.filter(|_| continues_text(call)) {
            return Self::prepare_completion(api, call);
        }
        let api = self.api_of(call)?.ok_or_else(no_dialect_configured)?;
        let dialect = api.upstream.dialect();
        let mut call = EditableCall::new(call);
        if let Some(payload) = api.upstream.release_seals(&call, &mut filter)? {
            call.edit().payload = payload;
        }
        let mut dropped = model_rules::strip_unsupported_tools(&mut call, dialect)?;
        model_rules::conform(&mut call, dialect, &mut dropped)?;
        model_rules::strip_refused(&mut call, self.refusals, dialect, &mut dropped)?;
        let EncodedRequest { body, dropped: more } = api.upstream.encode(&call)?;
        dropped.extend(more);
        if call.strict {
            dropped.require_empty()?;
        }
        let template = api.endpoint.template(&call.target.model, call.stream)?;
        let streamed = call.stream && api.upstream.framing() == StreamFraming::Sse;
        let accept = if streamed { "text/event-stream" } else { "application/json" };
        let outbound = OutboundRequest::new(template, body, accept);
        let carries_seals = filter.carries_seals();
        Ok(PreparedCall { api, call, outbound, dropped, carries_seals })
    }

    /// Encodes a call for an endpoint that continues texts: its caller's own words.
    fn prepare_completion(api: &'a Api, call: &'a ProviderRequest) -> Result<PreparedCall<'a>> {
        let EncodedRequest { body, dropped } = api.upstream.encode(call)?;
        let template = api.endpoint.template(&call.target.model, call.stream)?;
        let accept = if call.stream { "text/event-stream" } else { "application/json" };
        let outbound = OutboundRequest::new(template, body, accept);
        let call = EditableCall::new(call);
        Ok(PreparedCall { api, call, outbound, dropped, carries_seals: false })
    }

    /// The dialect in which to ask: the one the model wants, else the caller's own, else the usual.
    pub(crate) fn api(
        self,
        target: &Target,
        is_callers: impl Fn(Dialect) -> bool,
    ) -> Option<&'a Api> {
        let speaks =
            |dialect: Dialect| self.apis.iter().find(|it| it.upstream.dialect() == dialect);
        let wanted = target.card.as_ref().and_then(|card| card.api).and_then(speaks);
        let callers = || self.apis.iter().find(|it| is_callers(it.upstream.dialect()));
        wanted.or_else(callers).or(self.apis.first())
    }

    /// The dialect in which to ask for this call: what its model serves through one API only goes
    /// there, also if the caller speaks another.
    fn api_of(self, call: &ProviderRequest) -> Result<Option<&'a Api>> {
        let callers = call.caller_dialect();
        let usual = self.api(&call.target, |dialect| callers == Some(dialect));
        let by_dialect =
            |dialect: Dialect| self.apis.iter().find(|it| it.upstream.dialect() == dialect);
        let (Some(card), Some(responses)) = (&call.target.card, by_dialect(Dialect::Responses))
        else {
            return Ok(usual);
        };
        let is_chat = usual.is_some_and(|api| api.upstream.dialect() == Dialect::Chat);
        let needs = is_chat && model_rules::needs_responses(&card.rules, call)?;
        Ok(if needs { Some(responses) } else { usual })
    }
}

/// Whether a call is to continue a text, as its caller wrote it.
fn continues_text(call: &ProviderRequest) -> bool {
    matches!(&call.payload, Payload::Parsed(request) if request.completion.is_some())
}

/// Returns the error of a provider that speaks no dialect.
pub(crate) fn no_dialect_configured() -> GatewayError {
    GatewayError::new(ErrorKind::Internal, "a provider without a dialect")
}
