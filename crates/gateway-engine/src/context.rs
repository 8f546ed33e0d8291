//! The one shape of a request on its way through the engine.

use crate::{
    Engine, RequestHead, RoutePlan,
    response::{FailedRequest, RequestFailure, ResponseFacts},
};
use bytes::Bytes;
use gateway_core::{
    BilledUnits, CacheStatus, Envelope, GatewayError, ModelKind, Price, Provider, ResponseMeta,
    Result, ServiceTier, Target, UsageMeter,
};
use gateway_limits::{AdmissionPermit, QuotaReservation, TokenEstimate};
use gateway_sessions::ThreadRecorder;
use gateway_wire::{InboundDialect, RequestPrompts};
use std::{fmt, mem, sync::Arc};

/// A request to a model: built once by [`Engine::prepare`], then handed from stage to stage.
///
/// Dropping it releases its slot and its reservation. Once it is sent to a provider, its accounting
/// takes both over, and is closed by whatever holds the response.
#[derive(Debug)]
pub struct RequestContext {
    pub(crate) engine: Arc<Engine>,
    pub(crate) head: RequestHead,
    pub(crate) permit: Option<AdmissionPermit>,
    /// The model, as the caller named it.
    pub(crate) model: String,
    /// Whether the response is streamed.
    pub(crate) stream: bool,
    /// Whether the body names a session.
    pub(crate) names_session: bool,
    /// The compiled route of the request's model name.
    pub(crate) plan: Arc<RoutePlan>,
    /// The model to ask for: that of the plan, with its window as its server reports it.
    pub(crate) target: Target,
    pub(crate) provider: ProviderHandle,
    /// The price of the routed model, if it is known.
    pub(crate) price: Option<Price>,
    /// The size of the request.
    pub(crate) input: TokenEstimate,
    /// The units that the request asks for besides tokens.
    pub(crate) units: BilledUnits,
    /// Maximum number of output tokens, if the request has one.
    pub(crate) max_output: Option<u64>,
    /// The service tier that the request asks for, if that may have a price of its own.
    pub(crate) tier: Option<ServiceTier>,
    pub(crate) reservation: Option<QuotaReservation>,
    /// The recorder of the response, if the request is a turn of a thread.
    pub(crate) thread: Option<Arc<ThreadRecorder>>,
    /// The upstream calls made for the request.
    pub(crate) meter: Arc<UsageMeter>,
    /// The facts that the reply reports in headers, on success and on failure.
    pub(crate) facts: ResponseFacts,
}

/// A provider with all of its layers.
#[derive(Clone)]
pub(crate) struct ProviderHandle(pub(crate) Arc<dyn Provider>);

impl RequestContext {
    /// The failure of a request that was not sent.
    pub(crate) fn failure(mut self: Box<Self>, error: GatewayError) -> Box<RequestFailure> {
        let request = FailedRequest {
            client: Some(Arc::clone(&self.head.client)),
            model: Some(mem::take(&mut self.model)).filter(|model| !model.is_empty()),
            model_label: Some(Arc::clone(&self.plan.label)),
            attribution: self.head.attribution.take(),
        };
        let facts = mem::take(&mut self.facts);
        Box::new(RequestFailure { error, facts, is_accounted: false, request })
    }

    /// Returns the failure of a request whose accounting is closed.
    pub(crate) fn accounted_failure(self: Box<Self>, error: GatewayError) -> Box<RequestFailure> {
        let mut failure = self.failure(error);
        failure.is_accounted = true;
        failure
    }

    /// Reads the request as its model is to be asked. The targets of a group may differ in whether they
    /// have a completions endpoint, so that it is not used.
    pub(crate) fn prompts(
        &self,
        dialect: &dyn InboundDialect,
        body: Bytes,
        envelope: Envelope,
    ) -> Result<RequestPrompts> {
        let card = self.target.card.as_ref().filter(|_| self.plan.route.chain.is_none());
        if card.is_some_and(|card| card.kind == ModelKind::Completion) {
            dialect.prepare_completion(body, envelope)
        } else {
            dialect.prepare(body, envelope)
        }
    }

    /// Returns the price of the model that served the response; a cached response is free.
    pub(crate) fn answering_price<'a>(&'a self, meta: &'a ResponseMeta) -> Option<&'a Price> {
        match (meta.cache, &meta.card) {
            (Some(CacheStatus::Hit { .. }), _) => Some(Price::free()),
            (_, Some(card)) => self.engine.limits.price(&meta.provider, Some(card)),
            (_, None) => self.price.as_ref(),
        }
    }
}

impl fmt::Debug for ProviderHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id())
    }
}
