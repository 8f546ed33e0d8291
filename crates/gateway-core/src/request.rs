//! What a caller asks for.

use crate::{Dialect, Extra, Json, Message, Role, ToolChoice, ToolSpec};
use serde_json::Number;

/// A request for the next message of a conversation, in no vendor's dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The model, as the caller named it.
    pub model: String,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// The tools the model may call, in the caller's order.
    pub tools: Vec<ToolSpec>,
    /// Which of them it may, must or must not call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// How to write.
    pub options: Options,
    /// The caller wants the answer step by step.
    pub stream: bool,
    /// The caller asked for token counts at the end of a stream.
    pub stream_usage: bool,
    /// The old spelling of tools is in use: answer with `function_call`.
    pub legacy_functions: bool,
    /// Parameters we do not model, kept for upstreams that speak the caller's dialect.
    pub extra: Extra,
    /// The caller's dialect, in which `extra` is written; absent for a request of our own making.
    pub dialect: Option<Dialect>,
}

/// Parameters of generation. `None` means: the provider's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Upper bound on generated tokens, thinking included.
    pub max_tokens: Option<u64>,
    /// Randomness, 0 to 2.
    pub temperature: Option<Number>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<Number>,
    /// Sampling from the k likeliest.
    pub top_k: Option<u64>,
    /// How many answers.
    pub n: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// For repeatable sampling.
    pub seed: Option<Number>,
    /// Discourages talking of the same things, -2 to 2.
    pub presence_penalty: Option<Number>,
    /// Discourages repeating words, -2 to 2.
    pub frequency_penalty: Option<Number>,
    /// Likelihood adjustments by token, as OpenAI writes them.
    pub logit_bias: Option<Json>,
    /// Whether to tell token likelihoods.
    pub logprobs: Option<bool>,
    /// Of how many alternatives.
    pub top_logprobs: Option<u32>,
    /// The shape of the answer.
    pub response_format: Option<ResponseFormat>,
    /// How much to think.
    pub reasoning: Option<ReasoningOptions>,
    /// How much to write: `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// The end user, as an opaque name.
    pub user: Option<String>,
    /// The class of service: `auto`, `default`, `flex`, `priority`.
    pub service_tier: Option<String>,
}

/// The shape of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// What the schema is called.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Option<Json>,
        /// The answer must fit exactly.
        strict: Option<bool>,
    },
}

/// How much to think, and how much of it to show.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReasoningOptions {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens; `Some(0)` is off.
    pub budget: Option<u64>,
    /// The model decides by itself how much.
    pub adaptive: bool,
    /// How to summarise the thinking: `auto`, `concise`, `detailed`; `omitted` hides it.
    pub summary: Option<String>,
}

/// How hard to think, as callers say it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// Without restraint.
    Max,
}

impl ChatRequest {
    /// A request with one message of the user.
    pub fn user(model: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            messages: vec![Message::text(Role::User, text)],
            ..Self::default()
        }
    }
}

impl Effort {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort called `word`.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max]
            .into_iter()
            .find(|effort| effort.as_str() == word)
    }
}
