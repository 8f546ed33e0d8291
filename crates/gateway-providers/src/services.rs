//! The services of a provider besides responses: token counting and embeddings.

use crate::{
    HttpProvider, api::Api, editable_call::EditableCall, endpoint::Endpoint, model_rules,
    outbound_request::OutboundRequest, upstream_reply,
};
use gateway_core::{
    CallMeter, Dialect, EmbeddingCall, EmbeddingResult, ErrorKind, GatewayError, ProviderRequest,
    ResponseMeta, Result,
};
use gateway_wire::{
    EncodedRequest, TokenCounter,
    embeddings::{EmbeddingDialect, check_lengths},
    seals::SealFilter,
};

/// The services of a provider besides responses.
#[derive(Default)]
pub(crate) struct Services {
    /// The token counting service.
    pub(crate) counter: Option<Counter>,
    /// Turns texts into vectors.
    pub(crate) embedder: Option<Embeddings>,
    /// Continues texts, at an endpoint of its own.
    pub(crate) completions: Option<Api>,
}

/// The endpoint and dialect of token counting.
pub(crate) struct Counter {
    pub(crate) endpoint: Endpoint,
    /// Callers of this dialect have their headers passed on.
    pub(crate) dialect: Dialect,
    pub(crate) wire: Box<dyn TokenCounter>,
}

/// The endpoint and dialect of embeddings.
pub(crate) struct Embeddings {
    pub(crate) endpoint: Endpoint,
    pub(crate) wire: Box<dyn EmbeddingDialect>,
}

impl Services {
    /// The addresses of all of them.
    pub(crate) fn endpoints(&mut self) -> impl Iterator<Item = &mut Endpoint> {
        let counter = self.counter.as_mut().map(|it| &mut it.endpoint);
        let embedder = self.embedder.as_mut().map(|it| &mut it.endpoint);
        let completions = self.completions.as_mut().map(|it| &mut it.endpoint);
        counter.into_iter().chain(embedder).chain(completions)
    }
}

impl Counter {
    /// Returns the input tokens of `call` for its model. `None` if the service does not exist, as
    /// on servers that implement a part of the dialect's API.
    pub(crate) async fn count(
        &self,
        provider: &HttpProvider,
        call: &ProviderRequest,
    ) -> Result<Option<u64>> {
        let mut call = EditableCall::new(call);
        let mut filter = SealFilter::to_owner(provider.owner(&call.target, &call.context));
        if let Some(payload) = self.wire.release_seals(&call, &mut filter)? {
            call.edit().payload = payload;
        }
        let mut dropped = model_rules::strip_unsupported_tools(&mut call, self.dialect)?;
        let EncodedRequest { body, dropped: more } = self.wire.encode_count(&call)?;
        dropped.extend(more);
        if call.strict {
            dropped.require_empty()?;
        }
        let template = self.endpoint.template(&call.target.model, false)?;
        let same_dialect = call.original(self.dialect).is_some();
        match provider
            .exchange(
                OutboundRequest::json(template, body),
                &call.context,
                same_dialect,
                // Counting is not billed.
                &CallMeter::default(),
            )
            .await
        {
            Ok((_, body)) => self.wire.read_count(&body).map(Some),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Embeddings {
    pub(crate) async fn embed(
        &self,
        provider: &HttpProvider,
        call: &EmbeddingCall,
    ) -> Result<EmbeddingResult> {
        let EncodedRequest { body, dropped } =
            self.wire.embed_request(&call.request, &call.target.model)?;
        if call.strict {
            dropped.require_empty()?;
        }
        let template = self.endpoint.template(&call.target.model, false)?;
        let meter = call.context.meter_call(&provider.id, &call.target, &body);
        let outbound = OutboundRequest::json(template, body);
        let (headers, body) = provider.exchange(outbound, &call.context, false, &meter).await?;
        let mut meta = ResponseMeta {
            upstream_request_id: upstream_reply::upstream_request_id(&headers),
            dropped,
            card: call.target.card.clone(),
            ..provider.meta(&call.target.model)
        };
        let response = self.wire.read_embeddings(&call.request, &body)?;
        meter.completed(response.usage);
        if let Err(error) = check_lengths(&call.request, &response.vectors) {
            // The model's own vectors are shorter: they are what there is, and marked.
            if call.strict {
                return Err(error);
            }
            meta.dropped.insert("dimensions");
        }
        Ok(EmbeddingResult { meta, response })
    }
}

fn is_missing(error: &GatewayError) -> bool {
    error.kind() == ErrorKind::NotFound || matches!(error.upstream_status(), Some(405 | 501))
}
