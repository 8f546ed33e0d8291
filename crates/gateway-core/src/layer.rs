//! A provider around a provider.

use crate::{
    Against, Answer, Call, Dialect, Embedded, EmbeddingCall, Prospect, Provider, Result, Target,
};
use async_trait::async_trait;
use std::pin::Pin;

/// A provider around another, which changes what it must and passes on the rest. What it is called
/// and speaks is always what the one within is called and speaks.
///
/// ```
/// use async_trait::async_trait;
/// use gateway_core::{Answer, Call, Layer, Provider, Result};
/// use std::sync::Arc;
///
/// struct Strict(Arc<dyn Provider>);
///
/// #[async_trait]
/// impl Layer for Strict {
///     fn inner(&self) -> &dyn Provider {
///         self.0.as_ref()
///     }
///
///     async fn answer(&self, mut call: Call) -> Result<Answer> {
///         call.strict = true;
///         self.0.answer(call).await
///     }
/// }
///
/// fn strict(provider: Arc<dyn Provider>) -> Arc<dyn Provider> {
///     Arc::new(Strict(provider))
/// }
/// ```
#[async_trait]
pub trait Layer: Send + Sync {
    /// The provider within.
    fn inner(&self) -> &dyn Provider;

    /// As [`Provider::against`].
    fn against(&self, target: &Target) -> Option<Against> {
        self.inner().against(target)
    }

    /// As [`Provider::rehearse`].
    async fn rehearse(&self, call: &Call) -> Vec<Prospect> {
        self.inner().rehearse(call).await
    }

    /// As [`Provider::answer`].
    async fn answer(&self, call: Call) -> Result<Answer> {
        self.inner().answer(call).await
    }

    /// As [`Provider::count_tokens`].
    async fn count_tokens(&self, call: Call) -> Result<Option<u64>> {
        self.inner().count_tokens(call).await
    }

    /// As [`Provider::embed`].
    async fn embed(&self, call: EmbeddingCall) -> Result<Embedded> {
        self.inner().embed(call).await
    }
}

/// What `async_trait` makes of an asynchronous method. Written out, the layer's own future is handed
/// on, and not put into another.
type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<L: Layer> Provider for L {
    fn id(&self) -> &str {
        self.inner().id()
    }

    fn speaks(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        self.inner().speaks(target, dialect)
    }

    fn against(&self, target: &Target) -> Option<Against> {
        Layer::against(self, target)
    }

    fn rehearse<'s, 'c, 'a>(&'s self, call: &'c Call) -> Doing<'a, Vec<Prospect>>
    where
        's: 'a,
        'c: 'a,
        Self: 'a,
    {
        Layer::rehearse(self, call)
    }

    fn answer<'s, 'a>(&'s self, call: Call) -> Doing<'a, Result<Answer>>
    where
        's: 'a,
        Self: 'a,
    {
        Layer::answer(self, call)
    }

    fn count_tokens<'s, 'a>(&'s self, call: Call) -> Doing<'a, Result<Option<u64>>>
    where
        's: 'a,
        Self: 'a,
    {
        Layer::count_tokens(self, call)
    }

    fn embed<'s, 'a>(&'s self, call: EmbeddingCall) -> Doing<'a, Result<Embedded>>
    where
        's: 'a,
        Self: 'a,
    {
        Layer::embed(self, call)
    }
}
