//! An answer while it is being written.

use crate::{Json, Opaque, Seal, Usage};
use std::borrow::Cow;

/// One step of an answer.
///
/// Whole answers are sequences of these too: what is streamed and what is not differ only in how
/// many steps come at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// The provider began.
    Started(Started),
    /// What follows belongs to this one of several answers; until said otherwise, to the first.
    Choice(u32),
    /// More text.
    Text(String),
    /// More of a refusal.
    Refusal(String),
    /// More thinking.
    Reasoning(String),
    /// The provider's proof for the thinking just shown; thinking that follows is a new part.
    Seal(Seal),
    /// More of a tool call.
    ToolCall(ToolCallDelta),
    /// A note on the text so far, as OpenAI Chat writes it (`url_citation` and the like).
    Annotation(Json),
    /// Likelihoods of the text just sent, as OpenAI Chat writes them.
    Logprobs(Json),
    /// A whole piece that only its own dialect knows.
    Opaque(Opaque),
    /// Something else the provider tells of its answer: `service_tier`, `system_fingerprint`.
    Extra(Cow<'static, str>, Json),
    /// Tokens so far, cumulative: the last one wins.
    Usage(Usage),
    /// The model stopped. Each choice has exactly one of these.
    Finished(Finish),
}

/// How an answer begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Started {
    /// The provider's name for the answer.
    pub id: Option<String>,
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// When, in seconds since 1970.
    pub created: Option<u64>,
}

/// An addition to a tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCallDelta {
    /// Which call of this choice, counted from 0 in the order of their beginning.
    pub index: u32,
    /// The id, in the first delta of a call; else empty.
    pub id: String,
    /// The tool's name, in the first delta of a call; else empty.
    pub name: String,
    /// More of the arguments.
    pub arguments: String,
    /// The tool takes free text; said in the first delta of a call.
    pub custom: bool,
    /// The provider's proof that its model made this call.
    pub seal: Option<Seal>,
}

/// How an answer ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Finish {
    /// Why, in our words.
    pub reason: FinishReason,
    /// Why, in the provider's words, where these differ.
    pub native: Option<String>,
    /// The stop sequence that was met, where the provider tells.
    pub stop_sequence: Option<String>,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FinishReason {
    /// It had no more to say.
    #[default]
    Stop,
    /// It reached the token limit.
    Length,
    /// It waits for tool results.
    ToolCalls,
    /// The provider withheld the rest.
    ContentFilter,
}

impl FinishReason {
    /// OpenAI's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        Self { reason, native: None, stop_sequence: None }
    }
}

impl StreamEvent {
    /// Whether this is output: after it, another attempt would be visible to the caller.
    pub const fn is_output(&self) -> bool {
        match self {
            Self::Text(_)
            | Self::Refusal(_)
            | Self::Reasoning(_)
            | Self::Seal(_)
            | Self::ToolCall(_)
            | Self::Annotation(_)
            | Self::Logprobs(_)
            | Self::Opaque(_)
            | Self::Finished(_) => true,
            Self::Started(_) | Self::Choice(_) | Self::Extra(..) | Self::Usage(_) => false,
        }
    }
}
