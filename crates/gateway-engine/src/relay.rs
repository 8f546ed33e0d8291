//! Relayed requests: routed, limited, metered and logged like any other, and never translated.

use crate::{
    Engine, InboundRequest, RequestContext, RequestHead, first_output,
    first_output::PrimedStream,
    prepare::NamedModel,
    response::{EngineResponse, RequestFailure, ResponseBody},
    revocation::{unless_revoked, until_revoked},
};
use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use gateway_core::{
    BilledUnits, BodyRest, ChunkStream, Dialect, Inspection, PassthroughBody, Payload,
    ProviderRequest, ProviderResponse, RelayBody, RelayRequest, Result, observe,
};
use gateway_limits::{AdmissionPermit, TokenEstimate};
use gateway_providers::process_body;
use gateway_wire::{
    json::JsonLimits,
    relay::{FormReader, RelayEndpoint, RelayEnvelope, read_json},
};
use std::{borrow::Cow, mem, sync::Arc};

/// A request that is to be relayed, with what was read of it.
#[derive(Debug)]
pub struct InboundRelay {
    /// The origin and the options.
    pub head: RequestHead,
    /// Its slot among the requests in progress, if there is a limit.
    pub permit: Option<AdmissionPermit>,
    /// The model, as the caller named it.
    pub model: String,
    /// Whether the reply is streamed.
    pub stream: bool,
    /// The request.
    pub request: RelayRequest,
}

/// A form that arrives, as far as it was read.
#[derive(Debug)]
pub struct InboundForm {
    /// Its type, with its boundary.
    pub content_type: String,
    /// The reader of its fields, as far as it got.
    pub reader: FormReader,
    /// The bytes that were read.
    pub bytes: Bytes,
    /// The bytes that are still to come.
    pub rest: Option<BodyRest>,
    /// The length of all of it, if the caller announced it.
    pub length: Option<u64>,
}

impl Engine {
    /// Serves a request with a JSON body to a relayed endpoint. A header may have `named` its model.
    ///
    /// # Errors
    ///
    /// If the body is malformed or names no model, and those of [`relay`](Self::relay).
    ///
    /// # Cancel safety
    ///
    /// As that of [`relay`](Self::relay).
    pub async fn relay_json(
        self: &Arc<Self>,
        endpoint: &RelayEndpoint,
        InboundRequest { head, permit, body }: InboundRequest,
        named: Option<&str>,
    ) -> Result<EngineResponse, Box<RequestFailure>> {
        let limits = JsonLimits { depth: self.settings.json_depth };
        let read = process_body(body.len(), || read_json(endpoint, &body, named, &limits));
        let RelayEnvelope { model, place, stream, units } = match read {
            Ok(envelope) => envelope,
            Err(error) => return Err(RequestFailure::unrouted(error, head.sender(), None)),
        };
        let request = RelayRequest {
            method: "POST",
            path: Cow::Borrowed(endpoint.upstream),
            fields: vec![("content-type", "application/json".to_owned())],
            api: Some(Dialect::Chat),
            passes_refusals: false,
            body: RelayBody { bytes: body, model: place, rest: None },
            units,
            billed_by: endpoint.reply_unit,
        };
        self.relay(InboundRelay { head, permit, model, stream, request }).await
    }

    /// Serves a request with a form to a relayed endpoint. A header may have `named` its model.
    ///
    /// # Errors
    ///
    /// If the form names no model, and those of [`relay`](Self::relay).
    ///
    /// # Cancel safety
    ///
    /// As that of [`relay`](Self::relay).
    pub async fn relay_form(
        self: &Arc<Self>,
        endpoint: &RelayEndpoint,
        (head, permit): (RequestHead, Option<AdmissionPermit>),
        InboundForm { content_type, reader, bytes, rest, length }: InboundForm,
        named: Option<&str>,
    ) -> Result<EngineResponse, Box<RequestFailure>> {
        let RelayEnvelope { model, place, stream, units } =
            match reader.finish(endpoint, named, length) {
                Ok(envelope) => envelope,
                Err(error) => return Err(RequestFailure::unrouted(error, head.sender(), None)),
            };
        let request = RelayRequest {
            method: "POST",
            path: Cow::Borrowed(endpoint.upstream),
            fields: vec![("content-type", content_type)],
            api: Some(Dialect::Chat),
            passes_refusals: false,
            body: RelayBody { bytes, model: place, rest },
            units,
            billed_by: endpoint.reply_unit,
        };
        self.relay(InboundRelay { head, permit, model, stream, request }).await
    }

    /// Serves a relayed request.
    ///
    /// # Errors
    ///
    /// If no provider serves the model, the client may not use it, a limit is reached, or the
    /// provider refuses or fails before its reply begins.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the upstream, and accounts for the request as cancelled.
    pub async fn relay(
        self: &Arc<Self>,
        inbound: InboundRelay,
    ) -> Result<EngineResponse, Box<RequestFailure>> {
        let InboundRelay { head, permit, model, stream, request } = inbound;
        let named = NamedModel { model, stream, names_session: false };
        let context = self.context((head, permit), named)?;
        context.relay(request).await
    }
}

impl RequestContext {
    /// Reserves what the request needs, and sends it.
    pub(crate) async fn relay(
        mut self: Box<Self>,
        request: RelayRequest,
    ) -> Result<EngineResponse, Box<RequestFailure>> {
        self.units = request.units;
        self.input = match request.body.counted() {
            [counted] => TokenEstimate::of(counted.clone()),
            _ => TokenEstimate::known(tokens_of(&request.units)),
        };
        self.max_output = Some(0);
        self.reserve().await?.send(request).await
    }

    /// Sends the request, and passes the reply on.
    async fn send(
        mut self: Box<Self>,
        request: RelayRequest,
    ) -> Result<EngineResponse, Box<RequestFailure>> {
        let target = self.target.clone();
        let mut accounting = Box::new(self.accounting(&target));
        let client = Arc::clone(&self.head.client);
        let call = ProviderRequest {
            target,
            payload: Payload::Relayed(Arc::new(request)),
            stream: self.stream,
            inspection: Inspection::UsageOnly,
            strict: false,
            context: self.call_context(),
        };
        let sent = unless_revoked(&client, self.provider.0.generate(call)).await;
        let ProviderResponse { mut meta, chunks } = match sent {
            Ok(response) => response,
            Err(error) => {
                accounting.failed(&error);
                return Err(self.accounted_failure(error));
            }
        };
        accounting.response_started(&meta);
        let chunks = observe(until_revoked(&client, chunks), accounting);
        let limit = self.engine.settings.first_output;
        let mut primed = match first_output::buffer_until_first_output(chunks, limit).await {
            Ok(primed) => primed,
            Err(error) => return Err(self.accounted_failure(error)),
        };
        for found in primed.chunks.iter_mut().filter_map(|chunk| chunk.meta.take()) {
            meta = *found;
        }
        let PassthroughBody { status, length } =
            meta.passthrough.unwrap_or(PassthroughBody { status: 200, length: None });
        self.facts.meta = Some(meta);
        let body = ResponseBody::Relayed { status, length, pieces: pieces(primed, length) };
        Ok(EngineResponse { facts: mem::take(&mut self.facts), body })
    }
}

/// The tokens that are reserved for what is not text: ten for a second of sound, a thousand for an
/// image, and one for anything.
fn tokens_of(units: &BilledUnits) -> u64 {
    units.audio_millis.div_ceil(100).saturating_add(units.images.saturating_mul(1000)).max(1)
}

/// The pieces of a reply. Of one whose length is known, the last piece is held back until the reply
/// has ended, and its accounting with it: nothing is read after it.
fn pieces(primed: PrimedStream, length: Option<u64>) -> BoxStream<'static, Result<Bytes>> {
    let PrimedStream { chunks, rest } = primed;
    let chunks: ChunkStream = Box::pin(stream::iter(chunks.into_iter().map(Ok)).chain(rest));
    stream::try_unfold((chunks, length), |(mut chunks, mut remaining)| async move {
        while let Some(chunk) = chunks.try_next().await? {
            let Some(piece) = chunk.verbatim else { continue };
            if let Some(remaining) = &mut remaining {
                *remaining = remaining.saturating_sub(piece.len() as u64);
            }
            if remaining == Some(0) {
                while chunks.try_next().await?.is_some() {}
            }
            return Ok(Some((piece, (chunks, remaining))));
        }
        Ok(None)
    })
    .boxed()
}
