//! Messages: roles, parts and their content.
//!
//! Conversations are kept as JSON of these types, so their names are a file format: a field may be
//! added if it has a default; nothing may be renamed.

use crate::{Dialect, Json, ToolCall};
use serde::{Deserialize, Serialize};

/// A message of a conversation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Message {
    /// Author of the message.
    pub role: Role,
    /// The parts of the message, in order.
    pub parts: Vec<Part>,
    /// Name of the author, to distinguish several of one role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The author of a message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Standing instructions, of the platform.
    System,
    /// Standing instructions, of the application. Most upstreams only know [`System`](Self::System).
    Developer,
    /// The person, or the program standing in for one.
    User,
    /// The model's own message.
    Assistant,
    /// A tool, answering the model.
    Tool,
}

impl Role {
    /// Returns the name where only the four classic roles are known: a developer is `system`.
    pub const fn classic_name(self) -> &'static str {
        match self {
            Self::System | Self::Developer => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A part of a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Part {
    /// Content of the part.
    pub content: Content,
    /// The caller's wish that the prompt be cached up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheControl>,
}

/// A point up to which an upstream may cache the prompt.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CacheControl {
    /// Time to live; default: the upstream's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<CacheTtl>,
}

/// The time to live of a cached prompt.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheTtl {
    /// A time to live of five minutes.
    FiveMinutes,
    /// A time to live of one hour.
    OneHour,
}

/// The content of a [`Part`]: a superset of the dialects' content types.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A plain text part.
    Text(String),
    /// The model declines, in words.
    Refusal(String),
    /// An image, inline or by URL.
    Image(Image),
    /// Audio, inline or by URL.
    Audio(Source),
    /// A file, such as a PDF.
    File(File),
    /// A reasoning part, possibly signed.
    Reasoning(Reasoning),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// The result of a tool call.
    ToolResult(ToolResult),
    /// Something that only its own dialect knows, as it came.
    Opaque(Opaque),
}

/// The source of media: inline bytes, a URL or a file id.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Bytes inside the message.
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

/// An image and its options.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Image {
    /// Source of the image.
    pub source: Source,
    /// Detail level: `low`, `high`, `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A file and its options.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct File {
    /// Source of the file.
    pub source: Source,
    /// Name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The reasoning of a model.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Reasoning {
    /// The thinking, or a summary of it; empty when the provider shows none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The provider's proof that it wrote this; its models want it back unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// An opaque token by which a provider recognises its own thinking. Worthless to any other.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Seal {
    /// The dialect that issued it; others drop it.
    pub dialect: Dialect,
    /// Kind of the seal: decides how it is sent back.
    pub kind: SealKind,
    /// The name of the item it belongs to, where the dialect names items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The opaque token, returned to its issuer unchanged.
    pub data: String,
}

/// The place of a [`Seal`] in its dialect.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SealKind {
    /// Signs the text beside it: Anthropic's `signature`, Gemini's `thoughtSignature`.
    Signature,
    /// Replaces the text: Anthropic's `redacted_thinking`, the `encrypted_content` of Responses.
    Encrypted,
    /// A JSON list to be sent back as it came: the `reasoning_details` of OpenRouter.
    Details,
}

/// The result of a tool call.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ToolResult {
    /// The id of the call that this answers.
    pub call_id: String,
    /// The tool's name, where the caller gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The answer: text, and where a dialect can, pictures and documents.
    pub parts: Vec<Part>,
    /// The tool failed; the parts say how.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

/// Something that only its own dialect knows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Opaque {
    /// Dialect that defines it.
    pub dialect: Dialect,
    /// Type name in that dialect: `server_tool_use`, `web_search_call`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        let data = "c2lnbmVk".to_owned();
        Seal { dialect: Dialect::Messages, kind: SealKind::Signature, id: None, data }
    }

    /// `content` is kept as `json`, and comes back from it.
    #[track_caller]
    fn check(content: Content, json: &str) {
        let message = Message::new(Role::Assistant, [content]);
        let whole = format!(r#"{{"role":"assistant","parts":[{{"content":{json}}}]}}"#);
        assert_eq!(serde_json::to_string(&message).unwrap(), whole);
        assert_eq!(serde_json::from_str::<Message>(&whole).unwrap(), message);
    }

    #[test]
    fn text_part_round_trips() {
        check(Content::Text("a\u{0}b".into()), r#"{"text":"a\u0000b"}"#);
        check(Content::Refusal("no".into()), r#"{"refusal":"no"}"#);
    }

    #[test]
    fn media_part_round_trips() {
        let source = Source::Inline { media_type: "image/png".into(), base64: "AA==".into() };
        let inline = r#"{"inline":{"media_type":"image/png","base64":"AA=="}}"#;
        check(Content::Audio(source.clone()), &format!(r#"{{"audio":{inline}}}"#));
        let image = Image { source, detail: Some("low".into()) };
        check(
            Content::Image(image),
            &format!(r#"{{"image":{{"source":{inline},"detail":"low"}}}}"#),
        );
        let file = File { source: Source::FileId("f1".into()), name: None };
        check(Content::File(file), r#"{"file":{"source":{"file_id":"f1"}}}"#);
    }

    #[test]
    fn reasoning_part_keeps_seal() {
        let reasoning = Reasoning { text: "hm".into(), seal: Some(seal()) };
        let json = r#"{"dialect":"messages","kind":"signature","data":"c2lnbmVk"}"#;
        check(
            Content::Reasoning(reasoning),
            &format!(r#"{{"reasoning":{{"text":"hm","seal":{json}}}}}"#),
        );
        check(Content::Reasoning(Reasoning::default()), r#"{"reasoning":{}}"#);
    }

    #[test]
    fn tool_calls_and_results_keep_ids() {
        let call = ToolCall {
            id: "c1".into(),
            name: "find".into(),
            arguments: "{\"q\":1.0".into(),
            ..ToolCall::default()
        };
        check(
            Content::ToolCall(call),
            r#"{"tool_call":{"id":"c1","name":"find","arguments":"{\"q\":1.0"}}"#,
        );
        let parts = vec![Content::Text("none".into()).into()];
        let result = ToolResult { call_id: "c1".into(), name: None, parts, is_error: true };
        check(
            Content::ToolResult(result),
            r#"{"tool_result":{"call_id":"c1","parts":[{"content":{"text":"none"}}],"is_error":true}}"#,
        );
    }

    #[test]
    fn opaque_part_round_trips_verbatim() {
        let json = Json::parse(r#"{"n":1e2, "big":18446744073709551616}"#).unwrap();
        let kind = "web_search_call".to_owned();
        check(
            Content::Opaque(Opaque { dialect: Dialect::Responses, kind, json }),
            concat!(
                r#"{"opaque":{"dialect":"responses","kind":"web_search_call","#,
                r#""json":{"n":1e2, "big":18446744073709551616}}}"#
            ),
        );
    }
}
