//! A provider somewhere else: dialects, an address, a credential.

use crate::{
    Auth,
    api::Api,
    large_body::process_body,
    learned_refusals::LearnedRefusals,
    marking_reader::MarkingReader,
    outbound_request::{OutboundRequest, context_headers},
    passing_edits::PassingEdits,
    passing_response::{LargeResponse, PassingResponse},
    prepared_call::{CallEncoder, PreparedCall, no_dialect_configured},
    relay::RelayAddresses,
    response_stream,
    services::Services,
    upstream_reply::{
        charge_copy, charge_request, is_streamed, one, read_whole, relayed_headers, up_to,
        upstream_request_id, whole,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::{
    CallMeter, ChunkStream, Context, Dialect, DroppedParams, EmbeddingCall, EmbeddingResult,
    Inspection, Payload, PlannedAttempt, Provider, ProviderRequest, ProviderResponse, ResponseMeta,
    Result, SealOwner, Target,
};
use gateway_net::client::{
    CollectedBody, ExchangeError, HttpClient, ResponseBody, ResponseHead, UpstreamResponse,
    WriteAttempt,
};
use gateway_wire::{
    IdGenerator,
    seals::{self, SealFilter},
};
use std::{slice, sync::Arc};
use uuid::Uuid;

/// The number of parameters that one request may lose to refusals: each costs a call.
const MAX_REFUSALS: usize = 3;

/// A provider behind HTTP.
pub struct HttpProvider {
    /// The provider's id.
    pub(crate) id: Arc<str>,
    /// A digest of the account that it seals reasoning for.
    pub(crate) issuer: [u8; 6],
    /// The way in which its credential is sent.
    pub(crate) auth: Auth,
    /// The dialects it speaks, its usual one first.
    pub(crate) apis: Vec<Api>,
    /// Whether parameters that it refuses are left out from then on.
    pub(crate) learns_refusals: bool,
    /// The parameters that it refused.
    pub(crate) refusals: LearnedRefusals,
    /// The token counting and embedding services.
    pub(crate) services: Services,
    /// The addresses of requests that are relayed.
    pub(crate) relay: RelayAddresses,
    /// The connections it is reached over.
    pub(crate) client: HttpClient,
}

#[async_trait]
impl Provider for HttpProvider {
    fn id(&self) -> &str {
        &self.id
    }

    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        self.encoder().api(target, |it| it == dialect).map(|api| api.upstream.dialect())
    }

    fn seal_owners(&self, target: &Target) -> Vec<SealOwner> {
        let seals = self.apis.iter().any(|api| api.upstream.seal_marker().is_some());
        if seals { vec![SealOwner::new(self.issuer, &target.model)] } else { Vec::new() }
    }

    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        vec![PlannedAttempt {
            provider: Arc::clone(&self.id),
            target: call.target.clone(),
            credential: None,
            unavailable: None,
            dropped: self
                .encoder()
                .prepare(call, SealFilter::to_owner(self.owner(&call.target, &call.context)))
                .map(|prepared| prepared.dropped),
            cache: None,
        }]
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        if let Payload::Relayed(relayed) = &call.payload {
            // Boxed, so that it takes no room in the future of a request that is not relayed.
            return Box::pin(self.relay(&call, relayed)).await;
        }
        // Strict callers see refusals as they are; another account may be refused other parameters.
        let is_own_account = call.context.provider_key.is_none();
        let may_learn = self.learns_refusals && !call.strict && is_own_account;
        let mut left_out = self.refusals.of(&call.target.model);
        let mut learned = 0;
        // One attempt in a loop: a second one would take room in the future of every call.
        loop {
            match self.attempt(&call).await {
                Err(error) if may_learn && learned < MAX_REFUSALS => {
                    let model = &call.target.model;
                    let param = self.refusals.learn(&self.id, model, &left_out, &error);
                    left_out.push(param.ok_or(error)?);
                    learned += 1;
                }
                result => return result,
            }
        }
    }

    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        match &self.services.counter {
            Some(counter) => {
                let tokens = counter.count(self, &call).await;
                tokens.map_err(|error| error.with_meta(self.meta(&call.target.model)))
            }
            None => Ok(None),
        }
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        match &self.services.embedder {
            Some(embedder) => {
                let vectors = embedder.embed(self, &call).await;
                vectors.map_err(|error| error.with_meta(self.meta(&call.target.model)))
            }
            None => Err(EmbeddingCall::unsupported()),
        }
    }
}

impl HttpProvider {
    /// Sends a call, once more without seals if the upstream refuses one that it holds.
    async fn attempt(&self, call: &ProviderRequest) -> Result<ProviderResponse> {
        let owner = self.owner(&call.target, &call.context);
        let bytes = match &call.payload {
            Payload::Raw(original) => original.body.len(),
            Payload::Parsed(_) | Payload::Relayed(_) => 0,
        };
        let filter = SealFilter::to_owner(owner);
        let prepared = process_body(bytes, || self.encoder().prepare(call, filter))?;
        let carries_seals = prepared.carries_seals;
        let mut answer = self.call_upstream(prepared, owner).await;
        if carries_seals && answer.as_ref().err().is_some_and(seals::is_refusal) {
            answer = Box::pin(self.ask_without_seals(call, owner)).await;
        }
        answer.map_err(|error| match error.meta() {
            Some(_) => error,
            None => error.with_meta(self.meta(&call.target.model)),
        })
    }

    /// The encoder of its calls.
    fn encoder(&self) -> CallEncoder<'_> {
        let completions = self.services.completions.as_ref();
        CallEncoder { apis: &self.apis, completions, refusals: &self.refusals }
    }

    /// Asks once more, after the upstream refused a seal that `call` holds.
    async fn ask_without_seals(
        &self,
        call: &ProviderRequest,
        owner: SealOwner,
    ) -> Result<ProviderResponse> {
        let mut prepared = self.encoder().prepare(call, SealFilter::withholding())?;
        prepared.dropped.insert("reasoning_seals");
        let mut answer = self.call_upstream(prepared, owner).await?;
        answer.meta.attempts += 1;
        Ok(answer)
    }

    async fn call_upstream(
        &self,
        prepared: PreparedCall<'_>,
        owner: SealOwner,
    ) -> Result<ProviderResponse> {
        let PreparedCall { api, call, mut outbound, dropped, carries_seals: _ } = prepared;
        charge_request(&mut outbound.body, &call, &self.client);
        let same_dialect = call.original(api.upstream.dialect()).is_some();
        // The caller's own bytes are what its reservation was estimated by.
        let body = match &call.payload {
            Payload::Raw(original) => slice::from_ref(&original.body),
            Payload::Parsed(_) | Payload::Relayed(_) => &outbound.body,
        };
        let meter = call.context.meter_call(&self.id, &call.target, body);
        let response = self.post(outbound, &call.context, same_dialect, &meter).await?;
        let dialect = api.upstream.dialect();
        let is_callers = call.caller_dialect() == Some(dialect);
        let relayed_headers =
            if is_callers { relayed_headers(&response.head, dialect) } else { None };
        let checked = self.check(api, response, &call.context).await;
        let UpstreamResponse { head, body } = checked.map_err(|error| match &relayed_headers {
            Some(_) => {
                let relayed_headers = relayed_headers.clone();
                error.with_meta(ResponseMeta { relayed_headers, ..self.meta(&call.target.model) })
            }
            None => error,
        })?;
        let mut meta = ResponseMeta {
            upstream_request_id: upstream_request_id(&head),
            relayed_headers,
            dropped,
            card: call.target.card.clone(),
            ..self.meta(&call.target.model)
        };
        let ids = IdGenerator::new(Uuid::new_v4().as_u128());
        let chunks = if call.stream && is_streamed(api.upstream.framing(), &head) {
            meter.response_started();
            let reader = api.upstream.reader(&call, ids);
            let reader = MarkingReader::wrap(reader, api.upstream.seal_marker(), owner);
            response_stream::chunks(body, api.upstream.framing(), (reader, meter))
        } else {
            match self.collect(api, &call, body, (ids.clone(), &meter, owner)).await? {
                LargeResponse::Whole(body) => {
                    self.read_whole(api, &call, body, (ids, meter, owner))?
                }
                LargeResponse::Passing(response) => {
                    meta.passthrough = Some(response.body());
                    response.chunks()
                }
            }
        };
        Ok(ProviderResponse { meta, chunks })
    }

    /// Collects a response, unless it is large and may pass on while it arrives.
    async fn collect(
        &self,
        api: &Api,
        call: &ProviderRequest,
        body: ResponseBody,
        (ids, meter, owner): (IdGenerator, &CallMeter, SealOwner),
    ) -> Result<LargeResponse> {
        let tenant = &call.context.tenant;
        let is_callers = call.original(api.upstream.dialect()).is_some();
        let is_metered_only = !call.stream && call.inspection == Inspection::UsageOnly;
        let size = call.context.passthrough_above.filter(|_| is_callers && is_metered_only);
        let Some(size) = size else {
            return whole(body, &self.client, tenant).await.map(LargeResponse::Whole);
        };
        let announced = body.length();
        match up_to(body, size, &self.client, tenant).await? {
            CollectedBody::Whole(body) => Ok(LargeResponse::Whole(body)),
            CollectedBody::Long { read, rest } => {
                let edits = PassingEdits::new(&api.upstream, call, (ids, owner));
                let lease = self.client.memory().lease(tenant);
                let parts = (edits, lease, meter.clone());
                // Boxed, so that it takes no room in the future of a call whose response is small.
                Box::pin(PassingResponse::begin((read, rest), announced, parts)).await
            }
        }
    }

    /// Reads a whole response.
    fn read_whole(
        &self,
        api: &Api,
        call: &ProviderRequest,
        body: Bytes,
        (ids, meter, owner): (IdGenerator, CallMeter, SealOwner),
    ) -> Result<ChunkStream> {
        let received = body.as_ptr_range();
        let mut chunk = process_body(body.len(), || read_whole(&*api.upstream, call, body, ids))?;
        charge_copy(&mut chunk, received, &self.client, &call.context.tenant);
        if let Some(mark) = api.upstream.seal_marker() {
            mark(&mut chunk, false, &owner);
        }
        chunk.record(&meter);
        meter.completed(None);
        Ok(one(chunk))
    }

    /// Returns the metadata of a single attempt at this provider.
    pub(crate) fn meta(&self, model: &Arc<str>) -> ResponseMeta {
        // Every field is named: the empty texts of a default are shared by all threads, and counted.
        ResponseMeta {
            provider: Arc::clone(&self.id),
            model: Arc::clone(model),
            upstream_request_id: None,
            relayed_headers: None,
            dropped: DroppedParams::default(),
            attempts: 1,
            card: None,
            attempts_log: Vec::new(),
            cache: None,
            passthrough: None,
        }
    }

    /// Posts `outbound` to a service of this provider and waits for the whole reply.
    ///
    /// # Errors
    ///
    /// If the provider refuses or fails, in the words of its usual dialect.
    pub(crate) async fn exchange(
        &self,
        outbound: OutboundRequest,
        context: &Context,
        same_dialect: bool,
        meter: &CallMeter,
    ) -> Result<(ResponseHead, Bytes)> {
        let response = self.post(outbound, context, same_dialect, meter).await?;
        let usual = self.apis.first().ok_or_else(no_dialect_configured)?;
        let UpstreamResponse { head, body } = self.check(usual, response, context).await?;
        Ok((head, whole(body, &self.client, &context.tenant).await?))
    }

    /// Sends a request and waits for the head of the response. What is owed for it is recorded in
    /// `meter`: its input from when it is written, nothing if a status refuses it.
    ///
    /// Headers are built, never copied: no header of the caller's gets through by accident.
    pub(crate) async fn post(
        &self,
        outbound: OutboundRequest,
        context: &Context,
        same_dialect: bool,
        meter: &CallMeter,
    ) -> Result<UpstreamResponse> {
        let OutboundRequest { template, body, accept, upload, fields } = outbound;
        let accept = (!fields.iter().any(|(name, _)| *name == "accept")).then_some(accept);
        let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let fields = accept.map(|accept| ("accept", accept)).into_iter().chain(fields);
        let own = context.provider_key.as_ref().map(|key| self.auth.field(key.expose()));
        let own = own.as_ref().map(|(name, value)| (*name, value.as_str()));
        let extra = own.into_iter().chain(fields).chain(context_headers(context, same_dialect));
        let on_write = |attempt| match attempt {
            WriteAttempt::First => meter.sent(),
            WriteAttempt::Repeated => meter.resent(),
        };
        let sent = match upload {
            // Boxed, so that it takes no room in the future of a request whose body is at hand.
            Some(upload) => {
                Box::pin(self.client.send_upload(&template, extra, upload, &on_write)).await
            }
            None => self.client.send_reporting(&template, extra, &body, &on_write).await,
        };
        let is_refused = match &sent {
            Ok(response) => !response.head.status.is_success(),
            Err(error) => matches!(error, ExchangeError::Connect(_)),
        };
        if is_refused {
            meter.refused();
        }
        Ok(sent?)
    }
}

impl std::fmt::Debug for HttpProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpProvider").field("id", &self.id).finish_non_exhaustive()
    }
}
