//! The one preamble of every request to a model: envelope, route, provider, price, limits.

use crate::{
    Engine, InboundRequest, RequestContext, RequestHead, RoutePlan,
    context::ProviderHandle,
    response::{RequestFailure, ResponseFacts},
};
use bytes::Bytes;
use gateway_core::{BilledUnits, Envelope, ErrorKind, GatewayError, Result, Target};
use gateway_limits::{
    AdmissionPermit, Client, GrantedQuota, LimitError, QuotaDemand, TokenEstimate,
};
use gateway_providers::process_body;
use gateway_wire::{InboundDialect, envelope, json, splice};
use std::sync::Arc;

/// The operation that a request is prepared for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// A response of the model.
    Generate,
    /// An embedding request.
    Embed,
    /// The number of tokens that the model would read.
    CountTokens,
    /// A dry run, for `/v1/explain`.
    Explain,
}

/// A prepared request: its context, and what was read of its body.
#[derive(Debug)]
pub struct PreparedRequest {
    /// The request on its way.
    pub context: Box<RequestContext>,
    /// The body, with the default model added if it named none.
    pub body: Bytes,
    /// The parsed members of the body that routing needs.
    pub envelope: Envelope,
}

/// The model that a request names, and how it is asked.
pub(crate) struct NamedModel {
    /// The model, as the caller named it.
    pub(crate) model: String,
    /// Whether the response is streamed.
    pub(crate) stream: bool,
    /// Whether the body names a session.
    pub(crate) names_session: bool,
}

/// A request after its envelope was read.
enum RoutedRequest {
    /// It is routed.
    Prepared(Box<PreparedRequest>),
    /// It is a turn of a thread, whose conversation has to be loaded.
    InThread(Box<InboundRequest>),
}

impl RequestContext {
    /// Reserves what the request needs of its client's limits.
    ///
    /// # Errors
    ///
    /// If a limit is reached, or the model has no price and a budget needs one.
    pub(crate) async fn reserve(mut self: Box<Self>) -> Result<Box<Self>, Box<RequestFailure>> {
        let engine = Arc::clone(&self.engine);
        if self.price.is_none() {
            engine.metrics.unpriced(&self.plan.route.provider);
        }
        let want = QuotaDemand {
            models: [&*self.model, &*self.target.model],
            input: &self.input,
            output: self.max_output,
            units: self.units,
            price: self.price.as_ref(),
            tier: self.tier,
        };
        let (client, peer) = (&self.head.client, self.head.peer);
        match engine.limits.limiter.reserve(client, peer, &want).await {
            Ok(GrantedQuota { reservation, status }) => {
                self.reservation = reservation;
                self.facts.rate_limits = status;
                Ok(self)
            }
            Err(LimitError { error, status }) => {
                self.facts.rate_limits = status;
                Err(self.failure(error))
            }
        }
    }
}

impl Engine {
    /// Reads the envelope of a request, routes it, and reserves what it needs of its client's
    /// limits if it is going to be sent.
    ///
    /// # Errors
    ///
    /// If the body is malformed, no provider serves the model, the client may not use it, or a limit
    /// is reached. The failure carries the state of the rate limits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future releases what was reserved.
    pub async fn prepare(
        self: &Arc<Self>,
        dialect: &dyn InboundDialect,
        operation: Operation,
        request: InboundRequest,
    ) -> Result<PreparedRequest, Box<RequestFailure>> {
        let routed = process_body(request.body.len(), || self.route(dialect, operation, request));
        let mut prepared = match routed? {
            RoutedRequest::Prepared(prepared) => *prepared,
            // Boxed, so that it takes no room in the future of a request without a thread.
            RoutedRequest::InThread(request) => {
                Box::pin(self.prepare_in_thread(dialect, operation, *request)).await?
            }
        };
        if prepared.envelope.decoded_footprint > 0 {
            // Boxed, so that it takes no room in the future of a request that takes little.
            prepared = Box::pin(self.charged(prepared)).await?;
        }
        if matches!(operation, Operation::Generate | Operation::Embed) {
            prepared.context = prepared.context.reserve().await?;
        }
        Ok(prepared)
    }

    /// Charges the tenant of a request for what its decoding takes.
    async fn charged(
        &self,
        prepared: PreparedRequest,
    ) -> Result<PreparedRequest, Box<RequestFailure>> {
        let PreparedRequest { context, body, envelope } = prepared;
        let tenant = &context.head.client.tenant;
        match self.charge_decoded(tenant, body, envelope.decoded_footprint).await {
            Ok(body) => Ok(PreparedRequest { context, body, envelope }),
            Err(error) => Err(context.failure(error)),
        }
    }

    /// Prepares a request that is a turn of a thread: with the whole conversation.
    async fn prepare_in_thread(
        self: &Arc<Self>,
        dialect: &dyn InboundDialect,
        operation: Operation,
        request: InboundRequest,
    ) -> Result<PreparedRequest, Box<RequestFailure>> {
        let sender = (Arc::clone(&request.head.client), request.head.attribution.clone());
        let unrouted = |error| RequestFailure::unrouted(error, sender, None);
        let (request, recorder) = match self.open_thread(request).await {
            Ok(opened) => opened,
            Err(error) => return Err(unrouted(error)),
        };
        let routed = process_body(request.body.len(), || self.route(dialect, operation, request));
        match routed? {
            RoutedRequest::Prepared(mut prepared) => {
                if let Err(error) = prepared.context.check_thread() {
                    return Err(prepared.context.failure(error));
                }
                prepared.context.thread = Some(recorder);
                Ok(*prepared)
            }
            RoutedRequest::InThread(_) => {
                let message = "a request that was read with its thread still has one";
                Err(unrouted(GatewayError::new(ErrorKind::Internal, message)))
            }
        }
    }

    fn route(
        self: &Arc<Self>,
        dialect: &dyn InboundDialect,
        operation: Operation,
        InboundRequest { mut head, permit, body }: InboundRequest,
    ) -> Result<RoutedRequest, Box<RequestFailure>> {
        let (body, envelope) = match self.read(dialect, operation, (&head, body)) {
            Ok((body, envelope)) if dialect.is_in_thread(&envelope) => {
                let request = InboundRequest { head, permit, body };
                return Ok(RoutedRequest::InThread(Box::new(request)));
            }
            Ok(read) => read,
            Err(error) => return Err(RequestFailure::unrouted(error, head.sender(), None)),
        };
        if let Err(error) = head.attribute(&envelope, &body) {
            let model = Some(envelope.model);
            return Err(RequestFailure::unrouted(error, head.sender(), model));
        }
        let named = NamedModel {
            model: envelope.model.clone(),
            stream: envelope.stream,
            names_session: envelope.session.is_some(),
        };
        let mut context = self.context((head, permit), named)?;
        context.input = TokenEstimate::of(body.clone());
        context.max_output =
            if operation == Operation::Generate { envelope.max_output } else { Some(0) };
        context.tier = envelope.tier;
        Ok(RoutedRequest::Prepared(Box::new(PreparedRequest { context, body, envelope })))
    }

    /// The context of a request for the model that it names.
    pub(crate) fn context(
        self: &Arc<Self>,
        (head, permit): (RequestHead, Option<AdmissionPermit>),
        named: NamedModel,
    ) -> Result<Box<RequestContext>, Box<RequestFailure>> {
        match self.resolve(&head.client, &named.model) {
            Ok(resolved) => Ok(self.routed_context((head, permit), named, resolved)),
            Err(error) => Err(RequestFailure::unrouted(error, head.sender(), Some(named.model))),
        }
    }

    /// The context of a request that is routed already.
    pub(crate) fn routed_context(
        self: &Arc<Self>,
        (head, permit): (RequestHead, Option<AdmissionPermit>),
        NamedModel { model, stream, names_session }: NamedModel,
        (plan, target, provider): (Arc<RoutePlan>, Target, ProviderHandle),
    ) -> Box<RequestContext> {
        let price = self.limits.price(&plan.route.provider, target.card.as_deref()).cloned();
        Box::new(RequestContext {
            engine: Arc::clone(self),
            head,
            permit,
            model,
            stream,
            names_session,
            plan,
            target,
            provider,
            price,
            input: TokenEstimate::default(),
            units: BilledUnits::NONE,
            max_output: None,
            tier: None,
            reservation: None,
            thread: None,
            meter: Arc::default(),
            facts: ResponseFacts::default(),
        })
    }

    /// Reads and checks what routing needs of a body. A turn of a thread is checked with the thread.
    fn read(
        &self,
        dialect: &dyn InboundDialect,
        operation: Operation,
        (head, body): (&RequestHead, Bytes),
    ) -> Result<(Bytes, Envelope)> {
        let (body, mut envelope) = self.envelope(operation, body)?;
        dialect.complete_envelope(&body, &mut envelope);
        if operation != Operation::Embed && !dialect.is_in_thread(&envelope) {
            dialect.check(&envelope)?;
            if let Some(version) = head.options.api_version() {
                dialect.check_version(version, &body)?;
            }
        }
        Ok((body, envelope))
    }

    /// Finds the way of a request of `client` for `model`.
    fn resolve(
        &self,
        client: &Client,
        model: &str,
    ) -> Result<(Arc<RoutePlan>, Target, ProviderHandle)> {
        let plan = self.directory.plan(model)?;
        let mut target = plan.route.target.clone();
        self.context_windows.apply(&plan.route.provider, &mut target);
        let provider = plan.provider(client, model, self.directory.routes())?;
        let provider = ProviderHandle(Arc::clone(provider));
        Ok((plan, target, provider))
    }

    /// Reads the envelope. A request that names no model gets the default model, if there is one:
    /// that is a model for chats, and no use to embeddings.
    fn envelope(&self, operation: Operation, body: Bytes) -> Result<(Bytes, Envelope)> {
        let limits = json::JsonLimits { depth: self.settings.json_depth };
        let default =
            self.settings.default_model.as_ref().filter(|_| operation != Operation::Embed);
        match (envelope::read(&body, &limits), default) {
            (Err(error), Some(model)) if error.param() == Some("model") => {
                let named = splice::insert_member(&body, "model", model).unwrap_or(body);
                // A model that is there and malformed is not replaced.
                envelope::read(&named, &limits).map(|envelope| (named, envelope)).map_err(|_| error)
            }
            (envelope, _) => Ok((body, envelope?)),
        }
    }
}
