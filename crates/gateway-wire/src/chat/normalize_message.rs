//! Normalizes messages, and additions to them.

use super::tool_call_slots::ToolCallSlots;
use crate::json::editable_object::{EditableObject, JsonNode};
use crate::{IdGenerator, unreadable};
use gateway_core::Result;
use std::borrow::Cow;

/// The state that a message or delta is normalized against.
pub(super) struct MessageContext<'t> {
    pub(super) calls: &'t mut ToolCallSlots,
    pub(super) ids: &'t mut IdGenerator,
    /// It is a message, not an addition to one.
    pub(super) whole: bool,
}

/// Normalizes `message`, a whole message or a delta.
pub(super) fn normalize(
    message: &mut EditableObject<'_>,
    turn: &mut MessageContext<'_>,
) -> Result<()> {
    content(message);
    if message.get("reasoning_content").is_none()
        && let Some(text) = message.get("reasoning").filter(|it| it.text().is_some()).cloned()
    {
        message.set("reasoning_content", text);
    }
    citations(message);
    let null = |name: &str, node: &JsonNode<'_>| match name {
        "tool_calls" | "function_call" => node.is_empty(),
        "content" | "refusal" => !turn.whole && node.is_null(),
        "reasoning_content" => node.is_null(),
        _ => false,
    };
    message.retain(|name, node| !null(name, node));
    let Some(calls) = message.get_mut("tool_calls") else { return Ok(()) };
    let calls = calls.list().ok_or_else(|| unreadable("tool_calls is not a list"))?;
    for item in calls {
        call(item.object().ok_or_else(|| unreadable("a tool call is not an object"))?, turn)?;
    }
    Ok(())
}

/// Notes of kinds that OpenAI's clients do not know stand beside those that they do.
fn citations(message: &mut EditableObject<'_>) {
    let Some(notes) = message.get_mut("annotations").and_then(JsonNode::list) else { return };
    let mut others = Vec::new();
    notes.retain_mut(|note| {
        let kind = note.object().and_then(|note| note.get("type")?.text());
        let known = kind.as_deref() == Some("url_citation");
        if !known {
            others.push(note.clone());
        }
        known
    });
    if !others.is_empty() {
        message.set("other_annotations", JsonNode::List(others));
    }
}

/// A list of pieces becomes the text and the thinking in it.
fn content(message: &mut EditableObject<'_>) {
    let Some(pieces) = message.get_mut("content").and_then(JsonNode::list) else { return };
    let (mut said, mut thought, mut kept) = (String::new(), String::new(), false);
    for piece in pieces {
        if let Some(text) = piece.text() {
            said.push_str(&text);
        } else if let Some(piece) = piece.object() {
            match piece.get("type").and_then(JsonNode::text).as_deref() {
                Some("text") => {
                    said.push_str(&piece.get("text").and_then(JsonNode::text).unwrap_or_default());
                }
                Some("thinking") => thinking(piece, &mut thought),
                _ => kept = true,
            }
        }
    }
    if thought.is_empty() || !said.is_empty() || kept {
        message.set("content", JsonNode::Text(said.into()));
    } else {
        message.set("content", JsonNode::Null);
    }
    if !thought.is_empty() {
        message.set("reasoning_content", JsonNode::Text(thought.into()));
    }
}

/// Thinking is a text, or a list of pieces with text.
fn thinking(piece: &mut EditableObject<'_>, thought: &mut String) {
    let Some(node) = piece.get_mut("thinking") else { return };
    if let Some(text) = node.text() {
        thought.push_str(&text);
    }
    for piece in node.list().into_iter().flatten() {
        let text = piece.text().or_else(|| piece.object()?.get("text")?.text());
        thought.push_str(&text.unwrap_or_default());
    }
}

fn call(call: &mut EditableObject<'_>, turn: &mut MessageContext<'_>) -> Result<()> {
    let id = call.get("id").and_then(JsonNode::text).unwrap_or_default();
    let inner = if call.get("custom").is_some() { "custom" } else { "function" };
    let name = call.get_mut(inner).and_then(JsonNode::object);
    let name = name.and_then(|it| it.get("name")?.text()).unwrap_or_default();
    let index = match call.get("index") {
        Some(JsonNode::Raw(raw)) => raw.get().parse().ok(),
        _ => None,
    };
    let place =
        if turn.whole { turn.calls.begin(index, &id) } else { turn.calls.place(index, &id, &name) };
    let place = place.ok_or_else(|| unreadable("too many tool calls"))?;
    if !turn.whole {
        call.set("index", JsonNode::Number(place.at.into()));
    }
    if place.begins {
        if id.is_empty() {
            call.set("id", JsonNode::Text(turn.ids.next("call_").into()));
        }
        if call.get("type").is_none_or(|it| it.text().is_none_or(|text| text.is_empty())) {
            call.set("type", JsonNode::Text(Cow::Borrowed(inner)));
        }
    } else {
        call.remove("id");
        call.remove("type");
    }
    if let Some(inner) = call.get_mut(inner).and_then(JsonNode::object) {
        if !place.begins && !place.wants_name {
            inner.remove("name");
        }
        arguments(inner, place.begins);
    }
    Ok(())
}

/// Arguments are a string that holds JSON; some upstreams send the JSON itself, or nothing.
fn arguments(function: &mut EditableObject<'_>, begins: bool) {
    let spelled = match function.get("arguments") {
        Some(node) if node.text().is_some() => return,
        Some(node) => serde_json::to_string(node).unwrap_or_default(),
        None if function.has("input") => return,
        None if begins || function.has("arguments") => String::new(),
        None => return,
    };
    function.set("arguments", JsonNode::Text(spelled.into()));
}
