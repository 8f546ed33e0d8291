//! Messages of callers.

use super::{base64, cache_control, decode_request::wrong};
use crate::tool_arguments;
use gateway_core::{
    Content, Dialect, File, GatewayError, Image, Json, Message, Opaque, Part, Reasoning, Result,
    Role, Seal, SealKind, Source, ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// What every block says of itself.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Media {
    source: Json,
    #[serde(default)]
    title: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Place {
    Base64 { media_type: String, data: String },
    Text { data: String },
    Url { url: String },
    File { file_id: String },
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Deserialize)]
struct Redacted {
    data: String,
}

#[derive(Deserialize)]
struct ToolUse {
    id: String,
    name: String,
    #[serde(default)]
    input: Option<Json>,
}

#[derive(Deserialize)]
struct Outcome {
    tool_use_id: String,
    #[serde(default)]
    content: Option<Json>,
    #[serde(default)]
    is_error: Option<bool>,
}

/// Reads `system`: text, or blocks of it.
pub(super) fn system(value: Option<Json>) -> Result<Option<Message>> {
    let parts = value.map(|value| parts(value.get(), "system")).transpose()?.unwrap_or_default();
    Ok((!parts.is_empty()).then(|| Message::new(Role::System, parts)))
}

/// Reads `messages`.
pub(super) fn messages(value: &Json) -> Result<Vec<Message>> {
    let turns: Vec<Turn<'_>> = value.read().map_err(|error| wrong("messages", error))?;
    if turns.is_empty() {
        return Err(GatewayError::invalid("messages", "messages is empty"));
    }
    let mut out = Vec::with_capacity(turns.len());
    for (index, turn) in turns.into_iter().enumerate() {
        let role = match &*turn.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => {
                let param = format!("messages.{index}.role");
                return Err(GatewayError::invalid(param, "a role is user, assistant or system"));
            }
        };
        let param = format!("messages.{index}.content");
        let parts = turn.content.map(|it| parts(it.get(), &param)).transpose()?;
        say(role, parts.unwrap_or_default(), &mut out);
    }
    Ok(out)
}

/// The results of tools are messages of their own elsewhere, and stand before what the user says.
fn say(role: Role, parts: Vec<Part>, out: &mut Vec<Message>) {
    let is_result = |part: &Part| matches!(part.content, Content::ToolResult(_));
    let (results, rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_result);
    let has_results = !results.is_empty();
    if has_results {
        out.push(Message::new(Role::Tool, results));
    }
    if !rest.is_empty() || !has_results {
        out.push(Message::new(role, rest));
    }
}

/// Reads text, or a list of blocks.
fn parts(value: &str, param: &str) -> Result<Vec<Part>> {
    if value.starts_with('"') {
        return Ok(vec![Content::Text(read(value, param)?).into()]);
    }
    let blocks: Option<Vec<&RawValue>> = read(value, param)?;
    let blocks = blocks.into_iter().flatten().enumerate();
    blocks.map(|(index, block)| part(block, &format!("{param}.{index}"))).collect()
}

fn part(block: &RawValue, param: &str) -> Result<Part> {
    if block.get().starts_with('"') {
        return Ok(Content::Text(read(block.get(), param)?).into());
    }
    let tag: Tag<'_> = read(block.get(), param)?;
    let content = content(&tag.kind, block, param)?;
    // What is carried as it came says so itself.
    let mark = tag.cache_control.filter(|_| !matches!(content, Content::Opaque(_)));
    Ok(Part { content, cache: mark.and_then(cache_control::read) })
}

fn content(kind: &str, block: &RawValue, param: &str) -> Result<Content> {
    Ok(match kind {
        "text" => Content::Text(read::<Text>(block.get(), param)?.text),
        "image" => {
            let it: Media = read(block.get(), param)?;
            match source(&it.source) {
                Some(source) => Content::Image(Image { source, detail: None }),
                None => opaque(kind, block),
            }
        }
        "document" => {
            let it: Media = read(block.get(), param)?;
            match source(&it.source) {
                Some(source) => Content::File(File { source, name: it.title }),
                None => opaque(kind, block),
            }
        }
        "thinking" => {
            let it: Thinking = read(block.get(), param)?;
            let data = it.signature.filter(|data| !data.is_empty());
            let seal = data.map(|data| seal(SealKind::Signature, data));
            Content::Reasoning(Reasoning { text: it.thinking, seal })
        }
        "redacted_thinking" => {
            let data = read::<Redacted>(block.get(), param)?.data;
            let seal = Some(seal(SealKind::Encrypted, data));
            Content::Reasoning(Reasoning { text: String::new(), seal })
        }
        "tool_use" => {
            let it: ToolUse = read(block.get(), param)?;
            let input = it.input.filter(|input| input.get() != "null");
            let arguments =
                tool_arguments::written(input.as_ref().map_or("{}", Json::get)).into_owned();
            Content::ToolCall(ToolCall {
                id: it.id,
                name: it.name,
                arguments,
                ..ToolCall::default()
            })
        }
        "tool_result" => Content::ToolResult(outcome(read(block.get(), param)?, param)?),
        _ => opaque(kind, block),
    })
}

fn outcome(it: Outcome, param: &str) -> Result<ToolResult> {
    let param = format!("{param}.content");
    let parts = it.content.map(|content| parts(content.get(), &param)).transpose()?;
    Ok(ToolResult {
        call_id: it.tool_use_id,
        name: None,
        parts: parts.unwrap_or_default(),
        is_error: it.is_error.unwrap_or(false),
    })
}

/// Where a picture or document is; `None` if only this dialect has such a place.
fn source(value: &Json) -> Option<Source> {
    Some(match value.read().ok()? {
        Place::Base64 { media_type, data } => Source::Inline { media_type, base64: data },
        Place::Text { data } => Source::Inline {
            media_type: "text/plain".to_owned(),
            base64: base64::encode(data.as_bytes()),
        },
        Place::Url { url } => Source::Url(url),
        Place::File { file_id } => Source::FileId(file_id),
    })
}

fn seal(kind: SealKind, data: String) -> Seal {
    Seal { dialect: Dialect::Messages, kind, id: None, data }
}

fn opaque(kind: &str, block: &RawValue) -> Content {
    let json = Json::from(block);
    Content::Opaque(Opaque { dialect: Dialect::Messages, kind: kind.to_owned(), json })
}

fn read<'a, T: Deserialize<'a>>(value: &'a str, param: &str) -> Result<T> {
    serde_json::from_str(value).map_err(|error| wrong(param, error))
}
