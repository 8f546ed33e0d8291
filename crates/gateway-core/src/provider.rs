//! The provider port.

use crate::{
    Dialect, DroppedParams, EmbeddingCall, EmbeddingResult, PlannedAttempt, ProviderRequest,
    ProviderResponse, Result, SealOwner, Target, UnavailableReason,
};
use async_trait::async_trait;

/// A model provider: the port to an upstream.
///
/// A provider translates and transports. It does not retry, cache, count or fall back: those are
/// wrappers that implement this same trait, by way of [`ProviderLayer`](crate::ProviderLayer), so
/// they compose in any order. The defaults are those of a provider that can do no more than answer.
///
/// # Cancellation
///
/// Dropping a returned future or stream cancels the upstream call.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait Provider: Send + Sync {
    /// Returns the short, stable id: `openai`, `anthropic`.
    fn id(&self) -> &str;

    /// Returns the dialect in which a request of `dialect` is sent to `target`, if known beforehand.
    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        let _ = (target, dialect);
        None
    }

    /// Returns the owners under which this provider seals reasoning for `target`: one for each
    /// credential. A provider that seals nothing has none.
    fn seal_owners(&self, target: &Target) -> Vec<SealOwner> {
        let _ = target;
        Vec::new()
    }

    /// Returns why `target` cannot be called now, as far as is known without I/O.
    fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        let _ = target;
        None
    }

    /// Plans `call` without sending it: every target in the order in which it would be called.
    /// No upstream is called.
    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        vec![PlannedAttempt {
            provider: self.id().into(),
            target: call.target.clone(),
            credential: None,
            unavailable: self.unavailability(&call.target),
            dropped: Ok(DroppedParams::default()),
            cache: None,
        }]
    }

    /// Sends the request and returns the response. A request without `stream` yields a single chunk.
    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse>;

    /// Counts the input tokens of `call`. Returns `None` if this provider does not
    /// count tokens.
    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let _ = call;
        Ok(None)
    }

    /// Computes embeddings.
    ///
    /// # Errors
    ///
    /// Among others, if this provider has no embeddings.
    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        let _ = call;
        Err(EmbeddingCall::unsupported())
    }
}
