//! Model cards: the catalogue's facts about models.

use crate::{Dialect, Price};

/// A model, as the catalogue describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// The name by which callers ask for it.
    pub id: String,
    /// The provider that serves it.
    pub provider: String,
    /// The provider's own name for it.
    pub upstream: String,
    /// The dialect through which its provider serves it, where that is not the provider's usual one.
    pub api: Option<Dialect>,
    /// Context window: maximum input and output tokens together.
    pub context_window: Option<u64>,
    /// Maximum output, in tokens.
    pub max_output: Option<u64>,
    /// The features that the model supports.
    pub capabilities: Capabilities,
    /// Price; absent if unknown, which is not the same as free.
    pub price: Option<Price>,
}

/// The capabilities of a model. Absent means unknown: requests are not refused.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// Support for tool calls.
    pub tools: Option<bool>,
    /// Support for image input.
    pub vision: Option<bool>,
    /// Keeps to a JSON schema.
    pub json_schema: Option<bool>,
    /// Reasoning control of the model, if it reasons.
    pub reasoning: Option<ReasoningStyle>,
    /// Takes `temperature` and `top_p`.
    pub sampling: Option<bool>,
    /// Turns text into vectors instead of answering.
    pub embeddings: Option<bool>,
}

/// The request parameter that controls a model's reasoning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReasoningStyle {
    /// It does not think.
    Never,
    /// By a number of tokens.
    Budget,
    /// Reasoning effort as a word.
    Effort,
    /// It decides by itself, guided by a word.
    Adaptive,
}
