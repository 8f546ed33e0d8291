//! A model as the catalogue describes it.

use super::{ModelKind, ModelRules};
use crate::{Date, Dialect, PriceHistory};
use std::sync::Arc;

/// A model, as the catalogue describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelCard {
    /// The name by which callers ask for it.
    pub id: String,
    /// The provider that serves it.
    pub provider: String,
    /// The provider's own name for it.
    pub upstream: String,
    /// The dialect through which its provider serves it, where that is not the provider's usual one.
    pub api: Option<Dialect>,
    /// The kind of the model: chat, embedding, image and so on.
    pub kind: ModelKind,
    /// Its name for display.
    pub display_name: Option<String>,
    /// The day it was released.
    pub released: Option<Date>,
    /// The day its provider ends it.
    pub ends: Option<Date>,
    /// The number of tokens that it can read and write in all.
    pub context_window: Option<u64>,
    /// The number of tokens that it can write.
    pub max_output: Option<u64>,
    /// The shortest prompt, in tokens, that its provider caches.
    pub cache_minimum: Option<u64>,
    /// The capabilities of the model.
    pub capabilities: Capabilities,
    /// The rules that its provider enforces on requests for it.
    pub rules: ModelRules,
    /// The prices of the model; empty if unknown, which is not the same as free.
    pub prices: PriceHistory,
    /// The known model whose rules and prices these are, if this one is newer than all that are
    /// known of its family.
    pub assumed_from: Option<Arc<str>>,
}

/// The capabilities of a model. Absent means: unknown, so let it try.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// The model calls tools.
    pub tools: Option<bool>,
    /// The model reads images.
    pub vision: Option<bool>,
    /// Keeps to a JSON schema.
    pub json_schema: Option<bool>,
    /// The control of its reasoning, if it reasons.
    pub reasoning: Option<ReasoningStyle>,
    /// Takes `temperature` and `top_p`.
    pub sampling: Option<bool>,
    /// Turns text into vectors instead of answering.
    pub embeddings: Option<bool>,
}

/// The control of the reasoning of a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReasoningStyle {
    /// It does not think.
    Never,
    /// A budget, given as a number of tokens.
    Budget,
    /// An effort, given as a word.
    Effort,
    /// It decides by itself, guided by a word.
    Adaptive,
}

impl ModelCard {
    /// A model of which nothing is known but its name and who serves it.
    pub fn new(id: impl Into<String>, provider: impl Into<String>) -> Self {
        let id = id.into();
        Self { upstream: id.clone(), id, provider: provider.into(), ..Self::default() }
    }

    /// Whether it answers in a conversation.
    pub const fn is_chat(&self) -> bool {
        matches!(self.kind, ModelKind::Chat)
    }
}
