//! The port to a service that knows how long texts are, and makes long ones shorter.

use crate::{Context, Result};
use async_trait::async_trait;

/// A service that fits conversations into the windows of models.
///
/// Every method ends in time: an implementation has a deadline of its own.
#[async_trait]
pub trait ContextService: Send + Sync {
    /// Returns whether the service is healthy; usually a recently cached result.
    async fn is_healthy(&self) -> bool;

    /// Counts the tokens that `model` reads from `text`.
    ///
    /// # Errors
    ///
    /// If the service cannot be asked or says nothing of use.
    async fn count(&self, text: &str, model: &str, context: &Context) -> Result<u64>;

    /// `text` made shorter; `None` if it is best left as it is.
    ///
    /// # Errors
    ///
    /// If the service cannot be asked or says nothing of use.
    async fn shorten(
        &self,
        text: &str,
        model: &str,
        how: ContextShortening,
        context: &Context,
    ) -> Result<Option<String>>;
}

/// The strategy by which a text is shortened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContextShortening {
    /// Shortens the text as a whole.
    Whole,
    /// In pieces, each by itself.
    Pieces,
}
