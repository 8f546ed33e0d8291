//! The one preamble of every request to a model: envelope, route, provider, price, limits.

use crate::{
    Engine, InboundRequest, RequestContext, RequestHead, RoutePlan,
    context::ProviderHandle,
    response::{RequestFailure, ResponseFacts},
};
use bytes::Bytes;
use gateway_core::{Envelope, ErrorKind, GatewayError, Result, Target};
use gateway_limits::{Client, GrantedQuota, LimitError, QuotaDemand, TokenEstimate};
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

/// A request after its envelope was read.
enum RoutedRequest {
    /// It is routed.
    Prepared(Box<PreparedRequest>),
    /// It is a turn of a thread, whose conversation has to be loaded.
    InThread(Box<InboundRequest>),
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
        let context = &mut prepared.context;
        if matches!(operation, Operation::Generate | Operation::Embed) {
            let models = [&*context.model, &*context.target.model];
            let (input, price) = (&context.input, context.price.as_ref());
            if price.is_none() {
                self.metrics.unpriced(&context.plan.route.provider);
            }
            let (output, tier) = (context.max_output, context.tier);
            let want = QuotaDemand { models, input, output, price, tier };
            let (client, peer) = (&context.head.client, context.head.peer);
            match self.limits.limiter.reserve(client, peer, &want).await {
                Ok(GrantedQuota { reservation, status }) => {
                    context.reservation = reservation;
                    context.facts.rate_limits = status;
                }
                Err(LimitError { error, status }) => {
                    prepared.context.facts.rate_limits = status;
                    return Err(prepared.context.failure(error));
                }
            }
        }
        Ok(prepared)
    }

    /// Prepares a request that is a turn of a thread: with the whole conversation.
    async fn prepare_in_thread(
        self: &Arc<Self>,
        dialect: &dyn InboundDialect,
        operation: Operation,
        request: InboundRequest,
    ) -> Result<PreparedRequest, Box<RequestFailure>> {
        let client = Arc::clone(&request.head.client);
        let unrouted = |error| RequestFailure::unrouted(error, client, None);
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
        InboundRequest { head, permit, body }: InboundRequest,
    ) -> Result<RoutedRequest, Box<RequestFailure>> {
        let (body, envelope) = match self.read(dialect, operation, (&head, body)) {
            Ok((body, envelope)) if dialect.is_in_thread(&envelope) => {
                let request = InboundRequest { head, permit, body };
                return Ok(RoutedRequest::InThread(Box::new(request)));
            }
            Ok(read) => read,
            Err(error) => return Err(RequestFailure::unrouted(error, head.client, None)),
        };
        let (plan, target, provider) = match self.resolve(&head.client, &envelope.model) {
            Ok(resolved) => resolved,
            Err(error) => {
                return Err(RequestFailure::unrouted(error, head.client, Some(envelope.model)));
            }
        };
        let price = self.limits.price(&plan.route.provider, target.card.as_deref()).cloned();
        let context = Box::new(RequestContext {
            engine: Arc::clone(self),
            head,
            permit,
            model: envelope.model.clone(),
            stream: envelope.stream,
            names_session: envelope.session.is_some(),
            plan,
            target,
            provider,
            price,
            input: TokenEstimate::of(body.clone()),
            max_output: if operation == Operation::Generate {
                envelope.max_output
            } else {
                Some(0)
            },
            tier: envelope.tier,
            reservation: None,
            thread: None,
            meter: Arc::default(),
            facts: ResponseFacts::default(),
        });
        Ok(RoutedRequest::Prepared(Box::new(PreparedRequest { context, body, envelope })))
    }

    /// Reads and checks what routing needs of a body. A turn of a thread is checked with the thread.
    fn read(
        &self,
        dialect: &dyn InboundDialect,
        operation: Operation,
        (head, body): (&RequestHead, Bytes),
    ) -> Result<(Bytes, Envelope)> {
        let (body, envelope) = self.envelope(operation, body)?;
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
