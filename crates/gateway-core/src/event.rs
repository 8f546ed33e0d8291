//! An answer while it is being written.

use crate::{Json, Opaque, Seal, Usage};
use std::borrow::Cow;

/// An event of a streamed response.
///
/// Whole answers are sequences of these too: what is streamed and what is not differ only in how
/// many steps come at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// The provider started the response.
    Started(Started),
    /// Following events belong to the choice of this index; initially 0.
    Choice(u32),
    /// A piece of output text.
    Text(String),
    /// More of a refusal.
    Refusal(String),
    /// A piece of reasoning.
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
    /// A further member of the response: `service_tier`, `system_fingerprint`.
    Extra(Cow<'static, str>, Json),
    /// Tokens so far, cumulative: the last one wins.
    Usage(Usage),
    /// The model stopped. Each choice has exactly one of these.
    Finished(Finish),
}

/// Metadata at the start of a response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Started {
    /// The provider's name for the answer.
    pub id: Option<String>,
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// Creation time in seconds since 1970.
    pub created: Option<u64>,
}

/// An addition to a tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCallDelta {
    /// Index of the call in its choice, from 0 in order of appearance.
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

/// The end of a response.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Finish {
    /// Why, in our words.
    pub reason: FinishReason,
    /// Why, in the provider's words, where these differ.
    pub native: Option<String>,
    /// Stop sequence that was matched, if the provider reports it.
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
