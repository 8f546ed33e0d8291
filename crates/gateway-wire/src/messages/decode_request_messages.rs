//! Decodes the messages of a request.

use super::{
    cache_control,
    decode_request::wrong,
    media::{MediaBlockWire, source},
};
use crate::tool_arguments;
use gateway_core::{
    Content, Dialect, File, GatewayError, Image, Json, Message, Opaque, Part, Reasoning, Result,
    Role, Seal, SealKind, ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct MessageInWire<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// The members that every content block has.
#[derive(Deserialize)]
struct BlockTagWire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TextBlockInWire {
    text: String,
}

#[derive(Deserialize)]
struct ThinkingBlockInWire {
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Deserialize)]
struct RedactedThinkingInWire {
    data: String,
}

#[derive(Deserialize)]
struct ToolUseInWire {
    id: String,
    name: String,
    #[serde(default)]
    input: Option<Json>,
}

#[derive(Deserialize)]
struct ToolResultInWire {
    tool_use_id: String,
    #[serde(default)]
    content: Option<Json>,
    #[serde(default)]
    is_error: Option<bool>,
}

/// Reads `system`: text, or blocks of it.
pub(super) fn system(value: Option<&RawValue>) -> Result<Option<Message>> {
    let parts = value.map(|value| parts(value.get(), "system")).transpose()?.unwrap_or_default();
    Ok((!parts.is_empty()).then(|| Message::new(Role::System, parts)))
}

/// Decodes the `messages` of a request.
pub(super) fn messages(value: &RawValue) -> Result<Vec<Message>> {
    let turns: Vec<MessageInWire<'_>> = read(value.get(), "messages")?;
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
    let tag: BlockTagWire<'_> = read(block.get(), param)?;
    let content = content(&tag.kind, block, param)?;
    // What is carried as it came says so itself.
    let mark = tag.cache_control.filter(|_| !matches!(content, Content::Opaque(_)));
    Ok(Part { content, cache: mark.and_then(cache_control::read) })
}

fn content(kind: &str, block: &RawValue, param: &str) -> Result<Content> {
    Ok(match kind {
        "text" => Content::Text(read::<TextBlockInWire>(block.get(), param)?.text),
        "image" => {
            let it: MediaBlockWire = read(block.get(), param)?;
            match source(&it.source) {
                Some(source) => Content::Image(Image { source, detail: None }),
                None => opaque(kind, block),
            }
        }
        "document" => {
            let it: MediaBlockWire = read(block.get(), param)?;
            match source(&it.source) {
                Some(source) => Content::File(File { source, name: it.title }),
                None => opaque(kind, block),
            }
        }
        "thinking" => {
            let it: ThinkingBlockInWire = read(block.get(), param)?;
            let data = it.signature.filter(|data| !data.is_empty());
            let seal = data.map(|data| seal(SealKind::Signature, data));
            Content::Reasoning(Reasoning { text: it.thinking, seal })
        }
        "redacted_thinking" => {
            let data = read::<RedactedThinkingInWire>(block.get(), param)?.data;
            let seal = Some(seal(SealKind::Encrypted, data));
            Content::Reasoning(Reasoning { text: String::new(), seal })
        }
        "tool_use" => {
            let it: ToolUseInWire = read(block.get(), param)?;
            let input = it.input.filter(|input| input.get() != "null");
            let arguments =
                tool_arguments::original_arguments(input.as_ref().map_or("{}", Json::get))
                    .into_owned();
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

fn outcome(it: ToolResultInWire, param: &str) -> Result<ToolResult> {
    let param = format!("{param}.content");
    let parts = it.content.map(|content| parts(content.get(), &param)).transpose()?;
    Ok(ToolResult {
        call_id: it.tool_use_id,
        name: None,
        parts: parts.unwrap_or_default(),
        is_error: it.is_error.unwrap_or(false),
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
