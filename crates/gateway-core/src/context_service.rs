//! The port to a service that knows how long texts are, and makes long ones shorter.

use crate::{Context, Result};
use async_trait::async_trait;

/// A service that fits conversations into the windows of models.
///
/// Every method ends in time: an implementation has a deadline of its own.
#[async_trait]
pub trait ContextService: Send + Sync {
    /// Whether it is worth asking now. Mostly told from what was seen a moment ago.
    async fn is_healthy(&self) -> bool;

    /// How many tokens `model` reads of `text`.
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
        how: Shortening,
        context: &Context,
    ) -> Result<Option<String>>;
}

/// How a text is made shorter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shortening {
    /// In one piece.
    Whole,
    /// In pieces, each by itself.
    Pieces,
}
