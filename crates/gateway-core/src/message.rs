//! What is said, by whom.

use crate::{Dialect, Json, ToolCall};

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// Tells apart speakers of one role, where a dialect can.
    pub name: Option<String>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Standing instructions, of the platform.
    System,
    /// Standing instructions, of the application. Most upstreams only know [`System`](Self::System).
    Developer,
    /// The person, or the program standing in for one.
    User,
    /// The model.
    Assistant,
    /// A tool, answering the model.
    Tool,
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The piece itself.
    pub content: Content,
    /// The caller's wish that the prompt be cached up to here.
    pub cache: Option<CacheControl>,
}

/// A point up to which an upstream may cache the prompt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheControl {
    /// How long; the upstream's default when absent.
    pub ttl: Option<CacheTtl>,
}

/// How long a cached prompt is to live.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheTtl {
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    OneHour,
}

/// What a [`Part`] holds: a superset of what the dialects can say.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// The model declines, in words.
    Refusal(String),
    /// A picture.
    Image(Image),
    /// Sound.
    Audio(Source),
    /// A document.
    File(File),
    /// The model's thinking.
    Reasoning(Reasoning),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// A tool's answer.
    ToolResult(ToolResult),
    /// Something that only its own dialect knows, as it came.
    Opaque(Opaque),
}

/// Where the bytes of a picture, a sound or a document are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In the message.
    Inline {
        /// `image/png`, `application/pdf`, `audio/wav` ...
        media_type: String,
        /// The bytes, in base64 as the caller wrote it.
        base64: String,
    },
    /// At an address, which the provider fetches. The gateway never does.
    Url(String),
    /// In the provider's own file store.
    FileId(String),
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Where it is.
    pub source: Source,
    /// How closely to look: `low`, `high`, `auto`.
    pub detail: Option<String>,
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Where it is.
    pub source: Source,
    /// What it is called.
    pub name: Option<String>,
}

/// The model's thinking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// The thinking, or a summary of it; empty when the provider shows none.
    pub text: String,
    /// The provider's proof that it wrote this; its models want it back unchanged.
    pub seal: Option<Seal>,
}

/// An opaque token by which a provider recognises its own thinking. Worthless to any other.
#[derive(Clone, Debug, PartialEq)]
pub struct Seal {
    /// The dialect that issued it; others drop it.
    pub dialect: Dialect,
    /// How the token is to be sent back.
    pub kind: SealKind,
    /// The name of the item it belongs to, where the dialect names items.
    pub id: Option<String>,
    /// The token.
    pub data: String,
}

/// The place of a [`Seal`] in its dialect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SealKind {
    /// Signs the text beside it: Anthropic's `signature`, Gemini's `thoughtSignature`.
    Signature,
    /// Replaces the text: Anthropic's `redacted_thinking`, the `encrypted_content` of Responses.
    Encrypted,
    /// A JSON list to be sent back as it came: the `reasoning_details` of OpenRouter.
    Details,
}

/// A tool's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The id of the call that this answers.
    pub call_id: String,
    /// The tool's name, where the caller gave it.
    pub name: Option<String>,
    /// The answer: text, and where a dialect can, pictures and documents.
    pub parts: Vec<Part>,
    /// The tool failed; the parts say how.
    pub is_error: bool,
}

/// Something that only its own dialect knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    /// Who knows it.
    pub dialect: Dialect,
    /// What it is called there: `server_tool_use`, `web_search_call`.
    pub kind: String,
    /// The whole of it.
    pub json: Json,
}

impl Message {
    /// A message of `parts`.
    pub fn new(role: Role, parts: impl IntoIterator<Item = impl Into<Part>>) -> Self {
        Self { role, parts: parts.into_iter().map(Into::into).collect(), name: None }
    }

    /// A message of plain text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, [Content::Text(text.into())])
    }

    /// The plain text of this message, joined; parts of other kinds are left out.
    pub fn plain_text(&self) -> String {
        plain_text(&self.parts)
    }

    /// The tool calls in this message.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| {
            if let Content::ToolCall(call) = &part.content { Some(call) } else { None }
        })
    }
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, cache: None }
    }
}

/// The plain text among `parts`, joined.
pub fn plain_text(parts: &[Part]) -> String {
    parts
        .iter()
        .filter_map(|part| {
            if let Content::Text(text) = &part.content { Some(text.as_str()) } else { None }
        })
        .collect()
}
