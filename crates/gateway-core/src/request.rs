//! The neutral chat request.

use crate::{Dialect, Extra, Json, Message, Role, ToolChoice, ToolSpec};
use bytes::Bytes;
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
    /// The choice of tools; the model decides if absent.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// Sampling and output options.
    pub options: Options,
    /// The caller wants the answer step by step.
    pub stream: bool,
    /// The caller asked for token counts at the end of a stream.
    pub stream_usage: bool,
    /// The old spelling of tools is in use: answer with `function_call`.
    pub legacy_functions: bool,
    /// Parameters we do not model, kept for upstreams that speak the caller's dialect.
    pub extra: Extra,
    /// Members of messages, tools and options that have no place here: they are lost wherever the
    /// request is written anew.
    pub unmodelled: Vec<String>,
    /// The caller's dialect, in which `extra` is written; absent for a request of our own making.
    pub dialect: Option<Dialect>,
    /// The caller's own request to continue a text, for a provider that does so without a chat.
    pub completion: Option<TextCompletion>,
}

/// A request of the older API that continues a text, as its caller wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TextCompletion {
    /// The body: one JSON object.
    pub body: Bytes,
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
    /// The number of choices; one if absent.
    pub n: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Seed for repeatable sampling.
    pub seed: Option<Number>,
    /// Discourages talking of the same things, -2 to 2.
    pub presence_penalty: Option<Number>,
    /// Discourages repeating words, -2 to 2.
    pub frequency_penalty: Option<Number>,
    /// Likelihood adjustments by token, as OpenAI writes them.
    pub logit_bias: Option<Json>,
    /// Whether token log probabilities are returned.
    pub logprobs: Option<bool>,
    /// Of how many alternatives.
    pub top_logprobs: Option<u32>,
    /// The shape of the answer.
    pub response_format: Option<ResponseFormat>,
    /// The reasoning effort or budget.
    pub reasoning: Option<ReasoningOptions>,
    /// Verbosity: `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// The end user, as an opaque name.
    pub user: Option<String>,
    /// The class of service: `auto`, `default`, `flex`, `priority`.
    pub service_tier: Option<String>,
}

/// The shape of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Text without constraints.
    Text,
    /// Any JSON object, without a schema.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// Name of the schema.
        name: String,
        /// Description of the schema.
        description: Option<String>,
        /// The schema of the output.
        schema: Option<Json>,
        /// The answer must fit exactly.
        strict: Option<bool>,
    },
}

/// Options for reasoning and its visibility.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReasoningOptions {
    /// Effort as a word.
    pub effort: Option<Effort>,
    /// In tokens; `Some(0)` is off.
    pub budget: Option<u64>,
    /// The model decides by itself how much.
    pub adaptive: bool,
    /// Summary of the reasoning: `auto`, `concise`, `detailed`; `omitted` hides it.
    pub summary: Option<String>,
}

/// The reasoning effort, as a word.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Effort {
    /// No reasoning at all.
    None,
    /// The least possible reasoning.
    Minimal,
    /// A low reasoning effort.
    Low,
    /// The default reasoning effort.
    Medium,
    /// A high reasoning effort.
    High,
    /// A very high reasoning effort.
    XHigh,
    /// The maximum reasoning effort.
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
    /// Every effort, least first.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// The word for a budget of `tokens`.
    pub const fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=1024 => Self::Low,
            1025..=8192 => Self::Medium,
            _ => Self::High,
        }
    }

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
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }
}
