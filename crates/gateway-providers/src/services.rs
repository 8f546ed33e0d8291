//! What a provider does besides answering: it counts tokens, it turns texts into vectors.

use crate::{
    Remote,
    remote::{self, Letter},
};
use gateway_core::{
    Dialect, Embedded, EmbeddingCall, ErrorKind, GatewayError, ProviderRequest, ResponseMeta,
    Result,
};
use gateway_wire::{EncodedRequest, TokenCounter, embeddings::EmbeddingDialect};
use http::Uri;

/// What a provider does besides answering.
#[derive(Default)]
pub(crate) struct Services {
    /// Counts tokens.
    pub(crate) counter: Option<Counter>,
    /// Turns texts into vectors.
    pub(crate) embedder: Option<Embeddings>,
}

/// Where a service is.
pub(crate) enum Place {
    /// At one address.
    Fixed(Uri),
    /// At an address that names the model.
    OfModel(Box<OfModel>),
}

type OfModel = dyn Fn(&str) -> Result<Uri> + Send + Sync;

/// Where and how tokens are counted.
pub(crate) struct Counter {
    pub(crate) address: Place,
    /// Callers of this dialect have their headers passed on.
    pub(crate) dialect: Dialect,
    pub(crate) wire: Box<dyn TokenCounter>,
}

/// Where and how texts become vectors.
pub(crate) struct Embeddings {
    pub(crate) address: Place,
    pub(crate) wire: Box<dyn EmbeddingDialect>,
}

impl Place {
    fn of(&self, model: &str) -> Result<Uri> {
        match self {
            Self::Fixed(uri) => Ok(uri.clone()),
            Self::OfModel(of) => of(model),
        }
    }
}

impl Counter {
    /// How many tokens `call` would have its model read. `None` if the service is not there, as at
    /// servers that speak a dialect without the whole of its API.
    pub(crate) async fn count(
        &self,
        provider: &Remote,
        call: &ProviderRequest,
    ) -> Result<Option<u64>> {
        let (call, mut dropped) = remote::sayable(call.clone(), self.dialect)?;
        let EncodedRequest { body, dropped: more } = self.wire.encode_count(&call)?;
        dropped.extend(more);
        if call.strict {
            dropped.require_empty()?;
        }
        let uri = self.address.of(&call.target.model)?;
        let same_dialect = call.original(self.dialect).is_some();
        match provider.exchange(Letter::json(uri, body), &call.context, same_dialect).await {
            Ok((_, body)) => self.wire.read_count(&body).map(Some),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Embeddings {
    pub(crate) async fn embed(&self, provider: &Remote, call: &EmbeddingCall) -> Result<Embedded> {
        let EncodedRequest { body, dropped } =
            self.wire.embed_request(&call.request, &call.target.model)?;
        if call.strict {
            dropped.require_empty()?;
        }
        let uri = self.address.of(&call.target.model)?;
        let (headers, body) =
            provider.exchange(Letter::json(uri, body), &call.context, false).await?;
        let meta = ResponseMeta {
            upstream_request_id: remote::upstream_request_id(&headers),
            dropped,
            card: call.target.card.clone(),
            ..provider.meta(&call.target.model)
        };
        Ok(Embedded { meta, response: self.wire.read_embeddings(&call.request, &body)? })
    }
}

fn is_missing(error: &GatewayError) -> bool {
    error.kind() == ErrorKind::NotFound || matches!(error.upstream_status(), Some(405 | 501))
}
