//! A response in the format of each kind of provider.
//!
//! ```text
//! ScriptedAnswer --write--> chat | responses | messages | gemini | ollama --> Script
//! ```

mod chat;
mod gemini;
mod messages;
mod ollama;
mod responses;

use crate::Script;
use serde_json::Value;

/// The dialect of a provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// The dialect of OpenAI Chat Completions.
    Chat,
    /// The dialect of OpenAI Responses.
    Responses,
    /// The dialect of Anthropic Messages.
    Messages,
    /// The dialect of Gemini `generateContent`.
    Gemini,
    /// The dialect of Ollama `/api/chat`.
    Ollama,
}

/// One response: reasoning, then text, then tool calls.
#[derive(Clone, Debug, Default)]
pub struct ScriptedAnswer {
    /// The reasoning text.
    pub thought: &'static str,
    /// Pieces of the text.
    pub text: Vec<&'static str>,
    /// Calls of tools: a name, and arguments as JSON.
    pub calls: Vec<(&'static str, Value)>,
}

/// The format of a stream's events.
enum EncodedEvents {
    /// Server-sent events, with their names if the dialect has names.
    Events(Vec<(Option<String>, String)>),
    /// One JSON line per event.
    Lines(Vec<String>),
}

impl Dialect {
    /// All dialects of providers.
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Messages, Self::Gemini, Self::Ollama];

    /// Returns the dialect's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    /// A provider that says `speech`, step by step or at once.
    pub fn says(self, speech: &ScriptedAnswer, stream: bool) -> Script {
        if stream {
            return self.begin(speech, usize::MAX).end();
        }
        let whole = match self {
            Self::Chat => chat::whole(speech),
            Self::Responses => responses::whole(speech),
            Self::Messages => messages::whole(speech),
            Self::Gemini => gemini::whole(speech),
            Self::Ollama => ollama::whole(speech),
        };
        Script::json(200, whole.to_string())
    }

    /// A provider that streams `speech`, and hangs up instead of saying that this was all.
    pub fn breaks_off(self, speech: &ScriptedAnswer) -> Script {
        let ending = match self {
            Self::Chat => 3,
            Self::Messages => 2,
            Self::Responses | Self::Gemini | Self::Ollama => 1,
        };
        self.begin(speech, self.stream(speech).len() - ending).close()
    }

    /// A provider that takes no more requests for now.
    pub fn refuses(self) -> Script {
        let body = match self {
            Self::Chat | Self::Responses => chat::too_many(),
            Self::Messages => messages::too_many(),
            Self::Gemini => gemini::too_many(),
            Self::Ollama => ollama::too_many(),
        };
        Script::json(429, body.to_string())
    }

    /// The first `count` events of a streamed answer.
    fn begin(self, speech: &ScriptedAnswer, count: usize) -> Script {
        match self.stream(speech) {
            EncodedEvents::Events(events) => {
                events.into_iter().take(count).fold(Script::streaming(), |script, (name, data)| {
                    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
                    script.chunk(format!("{name}data: {data}\n\n"))
                })
            }
            EncodedEvents::Lines(lines) => {
                let headers =
                    [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
                let begun = Script::new().head(200, &headers);
                lines
                    .into_iter()
                    .take(count)
                    .fold(begun, |script, line| script.chunk(format!("{line}\n")))
            }
        }
    }

    fn stream(self, speech: &ScriptedAnswer) -> EncodedEvents {
        match self {
            Self::Chat => chat::stream(speech),
            Self::Responses => responses::stream(speech),
            Self::Messages => messages::stream(speech),
            Self::Gemini => gemini::stream(speech),
            Self::Ollama => ollama::stream(speech),
        }
    }
}

impl EncodedEvents {
    fn len(&self) -> usize {
        match self {
            Self::Events(events) => events.len(),
            Self::Lines(lines) => lines.len(),
        }
    }

    /// Events that have no names.
    fn of(events: impl IntoIterator<Item = Value>) -> Self {
        Self::Events(events.into_iter().map(|event| (None, event.to_string())).collect())
    }

    /// Events whose names are their types.
    fn named(events: impl IntoIterator<Item = Value>) -> Self {
        let named = |event: Value| (event["type"].as_str().map(str::to_owned), event.to_string());
        Self::Events(events.into_iter().map(named).collect())
    }
}

impl ScriptedAnswer {
    /// Creates a response with text only.
    pub fn text(pieces: &[&'static str]) -> Self {
        Self { text: pieces.to_vec(), ..Self::default() }
    }

    /// Creates a response with tool calls only.
    pub fn calls(calls: &[(&'static str, Value)]) -> Self {
        Self { calls: calls.to_vec(), ..Self::default() }
    }
}
