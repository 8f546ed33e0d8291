//! A request for a response of the model, stage by stage:
//!
//! ```text
//! prepare > continue earlier responses > session > tools > fit the context window > send > write
//! ```

mod background;
mod passthrough;

use self::{background::start_accounted_stream, passthrough::passing};
use crate::{
    Decision, Engine, InboundRequest, Operation, PreparedRequest, RequestContext, ToolSelection,
    accounting::RequestAccounting,
    compaction::CompactionLayer,
    context_fit, multi_prompt,
    response::{EngineResponse, RequestFailure, ResponseBody},
    revocation::{unless_revoked, until_revoked},
    session::tenant,
    tools,
    write_response::{streamed, whole},
};
use gateway_core::{
    BreakerHints, CacheDirective, Context, DroppedParams, Inspection, PassthroughBody, Payload,
    Provider, ProviderRequest, ProviderResponse, Result, ToolSpec, observe,
};
use gateway_sessions::{
    CompositionFacts as SessionFacts, OpenedSession, idempotency, open as open_session,
    responses::{
        self, BackgroundReply, Plan as ResponsePlan, QueuedResponse as BackgroundJob,
        ResponseRecorder,
    },
};
use gateway_tasks::unix_time;
use gateway_wire::{IdGenerator, InboundDialect, RequestPrompts, ResponseContext};
use std::{mem, sync::Arc};
use uuid::Uuid;

/// The number of the id that names a compaction: no response has so many items.
const COMPACTION_ID: u64 = 1 << 14;

type StageResult<T> = Result<T, Box<RequestFailure>>;

/// A request that is complete: what to send, to which provider, and how to write the response.
pub(crate) struct ComposedRequest {
    pub(crate) context: Box<RequestContext>,
    dialect: &'static dyn InboundDialect,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) request: ProviderRequest,
    /// The request as the caller sent it.
    original: Payload,
    /// The prompts, if the request has several.
    prompts: Vec<Payload>,
    /// The parameters that have no effect in the request's own dialect.
    pub(crate) dropped: DroppedParams,
    ids: IdGenerator,
    plan: ResponsePlan,
    /// The turn of the session that the request continues, until it is attached to the provider.
    session: OpenedSession,
    /// The tools that are described to the model besides those of the request.
    added_tools: Vec<Arc<ToolSpec>>,
}

impl Engine {
    /// Serves a request for a response of the model: prepares it, and sends it.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::prepare`] and [`PreparedRequest::generate`].
    ///
    /// # Cancel safety
    ///
    /// As that of [`PreparedRequest::generate`].
    pub async fn generate(
        self: &Arc<Self>,
        dialect: &'static dyn InboundDialect,
        request: InboundRequest,
    ) -> Result<EngineResponse, Box<RequestFailure>> {
        let prepared = self.prepare(dialect, Operation::Generate, request).await?;
        prepared.generate(dialect).await
    }
}

impl PreparedRequest {
    /// Serves the request.
    ///
    /// # Errors
    ///
    /// Whatever fails before the first output: after it, a failure is the last event of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the upstream, and accounts for the request as cancelled.
    pub async fn generate(
        self,
        dialect: &'static dyn InboundDialect,
    ) -> StageResult<EngineResponse> {
        let composed = self
            .compose(dialect)?
            .continue_responses()
            .await?
            .open_session()
            .await?
            .attach_tools()?
            .fit_context()
            .await?;
        composed.respond().await
    }

    /// The request as it would be sent if nothing were added to it.
    pub(crate) fn compose(
        self,
        dialect: &'static dyn InboundDialect,
    ) -> StageResult<Box<ComposedRequest>> {
        let Self { context, body, envelope } = self;
        let opened = match context.prompts(dialect, body, envelope) {
            Ok(opened) => opened,
            Err(error) => return Err(context.failure(error)),
        };
        let RequestPrompts { original, prompts: mut asks, dropped } = opened;
        let single = if asks.len() == 1 { asks.pop() } else { None };
        let payload = single.unwrap_or_else(|| original.clone());
        let request = context.provider_request(dialect, payload);
        if request.strict
            && let Err(error) = dropped.require_empty()
        {
            return Err(context.failure(error));
        }
        Ok(Box::new(ComposedRequest {
            provider: Arc::clone(&context.provider.0),
            context,
            dialect,
            request,
            original,
            prompts: asks,
            dropped,
            ids: IdGenerator::new(Uuid::new_v4().as_u128()),
            plan: ResponsePlan::default(),
            session: OpenedSession::default(),
            added_tools: Vec::new(),
        }))
    }
}

impl RequestContext {
    /// The request to the provider that `payload` makes.
    pub(crate) fn provider_request(
        &self,
        dialect: &dyn InboundDialect,
        payload: Payload,
    ) -> ProviderRequest {
        let _ = dialect;
        let mut context = self.call_context();
        if self.engine.settings.caching {
            let options = &self.head.options;
            let has_session = self.names_session || options.session.id.is_some();
            context.caching = match &self.thread {
                // A stored answer has a name of its own.
                Some(_) => CacheDirective::Bypass("kept"),
                None => options.cache.mode(has_session),
            };
        }
        ProviderRequest {
            target: self.target.clone(),
            payload,
            stream: self.stream,
            inspection: Inspection::UsageOnly,
            strict: self.is_strict(),
            context,
        }
    }

    /// Returns the context that is passed along with the request.
    pub(crate) fn call_context(&self) -> Context {
        let (client, options) = (&self.head.client, &self.head.options);
        Context {
            request_id: Arc::clone(&self.head.request_id),
            tenant: Arc::clone(&client.tenant),
            traceparent: options.traceparent.clone(),
            tracestate: options.tracestate.clone(),
            headers: self.forwarded_headers(),
            from_context_service: options.from_context_service,
            models: client.models.clone(),
            provider_key: options.provider_key.clone(),
            // A refused key of the caller's says nothing about the provider, and the pauses of the
            // gateway's credential do not concern it.
            breaker: BreakerHints {
                bypass_breaker: options.provider_key.is_some(),
                ..BreakerHints::default()
            },
            meter: Some(Arc::clone(&self.meter)),
            ..Context::default()
        }
    }

    /// Whether dropped parameters reject the request: the request's setting, else the client's,
    /// else the engine's.
    pub(crate) fn is_strict(&self) -> bool {
        self.head.options.strict || self.head.client.strict.unwrap_or(self.engine.settings.strict)
    }
}

impl ComposedRequest {
    /// Adds the earlier responses that the request continues, and decides what is stored.
    async fn continue_responses(mut self: Box<Self>) -> StageResult<Box<Self>> {
        let (responses, request) = (&self.context.engine.responses, &mut self.request);
        match responses::plan(responses, &self.provider, request, &self.ids).await {
            Ok(plan) => {
                self.plan = plan;
                if self.plan.compacts { self.compact() } else { Ok(self) }
            }
            Err(error) => Err(self.context.failure(error)),
        }
    }

    /// Lets the model summarize the conversation, without tools.
    fn compact(mut self: Box<Self>) -> StageResult<Box<Self>> {
        let tenant = match tenant(&self.context.head.client) {
            Ok(tenant) => tenant,
            Err(error) => return Err(self.context.failure(error)),
        };
        let id = self.ids.from(COMPACTION_ID).next("cmp_");
        self.provider = Arc::new(CompactionLayer::new(self.provider, tenant, id));
        Arc::make_mut(&mut self.context.head.options).tools = ToolSelection::Off;
        self.context.head.path = "/v1/responses/compact";
        Ok(self)
    }

    /// Opens the session that the request continues, if it continues one.
    async fn open_session(mut self: Box<Self>) -> StageResult<Box<Self>> {
        let head = &self.context.head;
        let attempt = head.options.idempotency.as_ref();
        let options = match head.options.session.resolve(&self.original, attempt) {
            Ok(Some(options)) => options,
            Ok(None) => return Ok(self),
            Err(error) => return Err(self.context.failure(error)),
        };
        let tenant = match tenant(&head.client) {
            Ok(tenant) => tenant,
            Err(error) => return Err(self.context.failure(error)),
        };
        let sessions = &self.context.engine.sessions;
        let request = &mut self.request;
        match open_session(sessions, tenant, &self.original, request, Some(options)).await {
            Ok(opened) => {
                self.session = opened;
                Ok(self)
            }
            Err(error) => Err(self.context.failure(error)),
        }
    }

    /// Lets the model have the gateway's tools, if the request, its session or its client offers
    /// any.
    fn attach_tools(mut self: Box<Self>) -> StageResult<Box<Self>> {
        let (context, request) = (&self.context, &self.request);
        let remembered = self.plan.taxonomy.take();
        let sources = tools::TaxonomySources { chosen: &self.session.chosen, remembered };
        let attached = match tools::attach(context, &self.provider, request, sources) {
            Ok(attached) => attached,
            Err(error) => return Err(self.context.failure(error)),
        };
        let tools::AttachedTools { provider, added, taxonomy } = attached;
        self.added_tools = added;
        if let Some(recorder) = &mut self.plan.keep {
            recorder.set_taxonomy(taxonomy.clone());
        }
        // Around the tools: a turn of the session holds all rounds.
        let (provider, facts) = mem::take(&mut self.session).remembering(provider);
        self.context.facts.session = SessionFacts { taxonomy, ..facts };
        let attempt = self.context.head.options.idempotency.as_ref();
        self.provider = idempotency::track_failures(attempt, provider);
        Ok(self)
    }

    /// Shortens the conversation if it does not fit the model's context window.
    async fn fit_context(mut self: Box<Self>) -> StageResult<Box<Self>> {
        let engine = &self.context.engine;
        let mode = self.context.head.options.context_mode;
        // Several prompts are no conversation.
        if self.prompts.len() > 1 || (engine.context_service.is_none() && mode.is_none()) {
            return Ok(self);
        }
        let service = engine.context_service.as_deref();
        let fitting = context_fit::fit(service, mode, &mut self.request, &self.added_tools);
        // Boxed, so that it takes no room in the future of a request that is not measured.
        let (fit, fitted) = Box::pin(fitting).await;
        self.context.facts.context_fit = fit;
        match fitted {
            Ok(()) => Ok(self),
            Err(error) => Err(self.context.failure(error)),
        }
    }

    /// Sends the request, and writes the response in the caller's dialect.
    async fn respond(mut self: Box<Self>) -> StageResult<EngineResponse> {
        self.request.context.passthrough_above = self.passthrough_above();
        let mut accounting = Box::new(self.context.accounting(&self.request.target));
        if !self.dropped.is_empty() {
            accounting.params_dropped(&self.dropped);
        }
        let reply = ResponseContext {
            payload: self.original.clone(),
            model: mem::take(&mut self.context.model),
            created: unix_time().as_secs(),
            ids: self.ids.clone(),
        };
        match self.plan.keep.take() {
            Some(recorder) if self.plan.background => {
                // Boxed, so that it takes no room in the future of a request that is waited for.
                Box::pin(self.run_in_background(recorder, accounting, reply)).await
            }
            recorder => self.answer(recorder, accounting, reply).await,
        }
    }

    /// Starts a background response.
    async fn run_in_background(
        self: Box<Self>,
        recorder: ResponseRecorder,
        accounting: Box<RequestAccounting>,
        reply: ResponseContext,
    ) -> StageResult<EngineResponse> {
        let Self { mut context, provider, request, .. } = *self;
        let admitted = match BackgroundJob::new(recorder, reply).await {
            Ok(admitted) => admitted,
            Err(error) => {
                accounting.failed(&error);
                return Err(context.accounted_failure(error));
            }
        };
        let keep_alive = context.engine.settings.keep_alive;
        let follow = context.stream.then_some(keep_alive);
        let client = Arc::clone(&context.head.client);
        let work = Box::pin(start_accounted_stream(client, provider, request, accounting));
        let body = match admitted.start(work, follow) {
            BackgroundReply::Queued(object) => ResponseBody::Whole(object.into()),
            BackgroundReply::Followed(events) => ResponseBody::Events(events),
        };
        Ok(EngineResponse { facts: mem::take(&mut context.facts), body })
    }

    /// Responds to a caller that waits.
    async fn answer(
        self: Box<Self>,
        recorder: Option<ResponseRecorder>,
        mut accounting: Box<RequestAccounting>,
        reply: ResponseContext,
    ) -> StageResult<EngineResponse> {
        let Self { mut context, dialect, provider, request, prompts, dropped, .. } = *self;
        let stream = request.stream;
        let client = Arc::clone(&context.head.client);
        let sent = if prompts.len() > 1 {
            // Boxed, so that it takes no room in the future of a request with one prompt.
            let sending = Box::pin(multi_prompt::generate(&provider, request, prompts));
            unless_revoked(&client, sending).await
        } else {
            unless_revoked(&client, provider.generate(request)).await
        };
        let ProviderResponse { mut meta, chunks } = match sent {
            Ok(response) => response,
            Err(error) => {
                accounting.failed(&error);
                return Err(context.accounted_failure(error));
            }
        };
        accounting.response_started(&meta);
        let chunks = observe(until_revoked(&client, chunks), accounting);
        let written = if stream {
            let chunks = match recorder {
                Some(recorder) => recorder.stream(chunks, reply.clone()),
                None => chunks,
            };
            streamed(&context, dialect, reply, chunks, &mut meta).await.map(ResponseBody::Events)
        } else if let Some(PassthroughBody { length, .. }) = meta.passthrough {
            Ok(ResponseBody::Passing { length, pieces: passing(chunks) })
        } else {
            whole(&mut context, dialect, reply, (chunks, recorder), &mut meta).await
        };
        let body = match written {
            Ok(body) => body,
            Err(error) => return Err(context.accounted_failure(error)),
        };
        dropped.iter().for_each(|name| meta.dropped.insert(name.to_owned()));
        context.facts.decision =
            context.head.options.explain.then(|| Decision::new(&context.plan.route));
        context.facts.meta = Some(meta);
        Ok(EngineResponse { facts: mem::take(&mut context.facts), body })
    }
}
