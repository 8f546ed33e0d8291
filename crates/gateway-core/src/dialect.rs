//! The languages that callers and upstreams speak.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A wire format for conversations.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// The OpenAI Chat Completions API.
    Chat,
    /// The OpenAI Responses API.
    Responses,
    /// The Anthropic Messages API.
    Messages,
    /// The Gemini `generateContent` API.
    Gemini,
    /// The Ollama `/api/chat` API.
    Ollama,
}

impl Dialect {
    /// Every dialect, in the order of the documentation's tables.
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Messages, Self::Gemini, Self::Ollama];

    /// The stable name: configuration values and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
