//! The provider layer: a provider that wraps another.

use crate::{
    Dialect, EmbeddingCall, EmbeddingResult, PlannedAttempt, Provider, ProviderRequest,
    ProviderResponse, Result, SealOwner, Target, UnavailableReason,
};
use async_trait::async_trait;
use std::pin::Pin;

/// A provider that wraps another, changes some methods and forwards the rest. Its id
/// and dialect are always those of the wrapped provider.
///
/// ```
/// use async_trait::async_trait;
/// use gateway_core::{Provider, ProviderLayer, ProviderRequest, ProviderResponse, Result};
/// use std::sync::Arc;
///
/// struct Strict(Arc<dyn Provider>);
///
/// #[async_trait]
/// impl ProviderLayer for Strict {
///     fn inner(&self) -> &dyn Provider {
///         self.0.as_ref()
///     }
///
///     async fn generate(&self, mut request: ProviderRequest) -> Result<ProviderResponse> {
///         request.strict = true;
///         self.0.generate(request).await
///     }
/// }
///
/// fn strict(provider: Arc<dyn Provider>) -> Arc<dyn Provider> {
///     Arc::new(Strict(provider))
/// }
/// ```
#[async_trait]
pub trait ProviderLayer: Send + Sync {
    /// Returns the wrapped provider.
    fn inner(&self) -> &dyn Provider;

    /// Forwards to [`Provider::unavailability`] by default.
    fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        self.inner().unavailability(target)
    }

    /// Forwards to [`Provider::plan`] by default.
    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        self.inner().plan(call).await
    }

    /// Forwards to [`Provider::generate`] by default.
    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        self.inner().generate(call).await
    }

    /// Forwards to [`Provider::count_tokens`] by default.
    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        self.inner().count_tokens(call).await
    }

    /// Forwards to [`Provider::embed`] by default.
    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        self.inner().embed(call).await
    }
}

/// The future that `async_trait` returns. Written out, the layer's own future is handed
/// on, and not put into another.
type ProviderFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<L: ProviderLayer> Provider for L {
    fn id(&self) -> &str {
        self.inner().id()
    }

    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        self.inner().upstream_dialect(target, dialect)
    }

    fn seal_owners(&self, target: &Target) -> Vec<SealOwner> {
        self.inner().seal_owners(target)
    }

    fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        ProviderLayer::unavailability(self, target)
    }

    fn plan<'s, 'c, 'a>(
        &'s self,
        call: &'c ProviderRequest,
    ) -> ProviderFuture<'a, Vec<PlannedAttempt>>
    where
        's: 'a,
        'c: 'a,
        Self: 'a,
    {
        ProviderLayer::plan(self, call)
    }

    fn generate<'s, 'a>(
        &'s self,
        call: ProviderRequest,
    ) -> ProviderFuture<'a, Result<ProviderResponse>>
    where
        's: 'a,
        Self: 'a,
    {
        ProviderLayer::generate(self, call)
    }

    fn count_tokens<'s, 'a>(
        &'s self,
        call: ProviderRequest,
    ) -> ProviderFuture<'a, Result<Option<u64>>>
    where
        's: 'a,
        Self: 'a,
    {
        ProviderLayer::count_tokens(self, call)
    }

    fn embed<'s, 'a>(&'s self, call: EmbeddingCall) -> ProviderFuture<'a, Result<EmbeddingResult>>
    where
        's: 'a,
        Self: 'a,
    {
        ProviderLayer::embed(self, call)
    }
}
