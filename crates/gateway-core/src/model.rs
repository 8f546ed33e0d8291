//! What the catalogue knows of models.

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
    /// How many tokens it can read and write in all.
    pub context_window: Option<u64>,
    /// How many tokens it can write.
    pub max_output: Option<u64>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What it costs; absent if unknown, which is not the same as nothing.
    pub price: Option<Price>,
}

/// What a model can do. Absent means: unknown, so let it try.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// Calls tools.
    pub tools: Option<bool>,
    /// Sees pictures.
    pub vision: Option<bool>,
    /// Keeps to a JSON schema.
    pub json_schema: Option<bool>,
    /// How it is asked to think, if it thinks.
    pub reasoning: Option<ReasoningStyle>,
    /// Takes `temperature` and `top_p`.
    pub sampling: Option<bool>,
    /// Turns text into vectors instead of answering.
    pub embeddings: Option<bool>,
}

/// How a model is asked to think.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReasoningStyle {
    /// It does not think.
    Never,
    /// By a number of tokens.
    Budget,
    /// By a word.
    Effort,
    /// It decides by itself, guided by a word.
    Adaptive,
}
