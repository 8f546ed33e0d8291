//! Whole responses, as callers read them.

use super::{finish_reason, tool_call_ids::tool_id, usage::MessagesUsageWire};
use crate::{IdGenerator, ResponseContext, tool_arguments::arguments};
use gateway_core::{
    ChatResponse, Choice, Content, Dialect, Json, Reasoning, Seal, SealKind, ToolCall,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A response on the wire; the first event of a stream holds one that is still empty.
#[derive(Debug, Serialize)]
pub(super) struct MessageOutWire<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<ResponseBlockWire<'a>>,
    pub(super) stop_reason: Option<&'a str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: MessagesUsageWire,
}

/// A block of a response.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ResponseBlockWire<'a> {
    Known(TypedBlockWire<'a>),
    Raw(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum TypedBlockWire<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
    ToolUse { id: Cow<'a, str>, name: &'a str, input: Cow<'a, RawValue> },
}

impl<'a> MessageOutWire<'a> {
    /// A response that nothing is known of yet.
    pub(super) const fn new(id: &'a str, model: &'a str) -> Self {
        Self {
            id,
            kind: "message",
            role: "assistant",
            model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: MessagesUsageWire::NONE,
        }
    }
}

/// Writes a whole response: the first, if there are several, for this dialect has no place for
/// more.
pub(super) fn encode(answer: &ChatResponse, mut reply: ResponseContext) -> Vec<u8> {
    let id = message_id(&answer.id, &mut reply);
    let model = if answer.model.is_empty() { &reply.model } else { &answer.model };
    let none = Choice::default();
    let choice = answer.choices.first().unwrap_or(&none);
    let mut refused = false;
    let mut wire = MessageOutWire::new(&id, model);
    for part in &choice.message.parts {
        refused |= matches!(part.content, Content::Refusal(_));
        blocks(&part.content, &mut reply.ids, &mut wire.content);
    }
    let finish = choice.finish.clone().unwrap_or_default();
    wire.stop_reason = Some(finish_reason::encode(&finish, refused));
    wire.stop_sequence = finish.stop_sequence.as_deref();
    wire.usage = MessagesUsageWire::from(&answer.usage.unwrap_or_default());
    serde_json::to_vec(&wire).unwrap_or_default()
}

/// The upstream's name for the response, if callers of this dialect can take it for one.
pub(super) fn message_id(upstream: &str, reply: &mut ResponseContext) -> String {
    if upstream.starts_with("msg_") { upstream.to_owned() } else { reply.ids.next("msg_") }
}

fn blocks<'a>(content: &'a Content, ids: &mut IdGenerator, out: &mut Vec<ResponseBlockWire<'a>>) {
    match content {
        Content::Text(text) | Content::Refusal(text) if !text.is_empty() => {
            out.push(ResponseBlockWire::Known(TypedBlockWire::Text { text }));
        }
        Content::Reasoning(it) => {
            out.extend(thinking(it).into_iter().flatten().map(ResponseBlockWire::Known));
        }
        Content::ToolCall(call) => out.push(ResponseBlockWire::Known(tool_use(call, ids))),
        Content::Opaque(it) if it.dialect == Dialect::Messages => {
            out.push(ResponseBlockWire::Raw(&it.json));
        }
        // Empty text, what other dialects alone know, and what no model responses with.
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Opaque(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::ToolResult(_) => {}
    }
}

/// Thinking, shown and hidden. A seal of another dialect would be taken for a forged one.
fn thinking(it: &Reasoning) -> [Option<TypedBlockWire<'_>>; 2] {
    let signature = it.seal.as_ref().and_then(|seal| ours(seal, SealKind::Signature));
    let data = it.seal.as_ref().and_then(|seal| ours(seal, SealKind::Encrypted));
    let is_shown = !it.text.is_empty() || signature.is_some();
    let signature = signature.unwrap_or_default();
    [
        is_shown.then_some(TypedBlockWire::Thinking { thinking: &it.text, signature }),
        data.map(|data| TypedBlockWire::RedactedThinking { data }),
    ]
}

/// The token of `seal`, if it is of this dialect and `kind`.
pub(super) fn ours(seal: &Seal, kind: SealKind) -> Option<&str> {
    (seal.dialect == Dialect::Messages && seal.kind == kind).then_some(&*seal.data)
}

fn tool_use<'a>(call: &'a ToolCall, ids: &mut IdGenerator) -> TypedBlockWire<'a> {
    let input = arguments(&call.arguments, call.custom);
    TypedBlockWire::ToolUse { id: call_id(&call.id, ids), name: &call.name, input }
}

/// A name for a call that callers of this dialect can send back.
pub(super) fn call_id<'a>(id: &'a str, ids: &mut IdGenerator) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(ids.next("toolu_")) } else { tool_id(id) }
}
