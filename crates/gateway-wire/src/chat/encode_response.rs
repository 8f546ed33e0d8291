//! Encodes whole responses for callers of Chat Completions.

use super::{
    encode_response_parts::{
        self, ExtraContentOutWire, FunctionOutWire, ThinkingBlockWire, ToolCallOutWire,
    },
    usage,
};
use crate::{IdGenerator, ResponseContext};
use gateway_core::{
    ChatResponse, Choice, Content, Dialect, Finish, FinishReason, Json, Part, ToolCall,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Serialize)]
struct WholeChatResponseWire<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<WholeChatChoiceWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<usage::ChatUsageOutWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<&'a Json>,
}

#[derive(Serialize)]
struct WholeChatChoiceWire<'a> {
    index: usize,
    message: WholeChatMessageWire<'a>,
    logprobs: Option<Cow<'a, Json>>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct WholeChatMessageWire<'a> {
    role: &'static str,
    content: Option<Cow<'a, str>>,
    refusal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "encode_response_parts::is_empty")]
    thinking_blocks: Vec<ThinkingBlockWire<'a>>,
    #[serde(skip_serializing_if = "encode_response_parts::is_empty")]
    reasoning_details: Vec<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContentOutWire<'a>>,
    #[serde(skip_serializing_if = "<[Json]>::is_empty")]
    annotations: &'a [Json],
    #[serde(skip_serializing_if = "encode_response_parts::is_empty")]
    tool_calls: Vec<ToolCallOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<&'a Json>,
}

/// Writes a whole response. `legacy` says that the caller spells tools in the legacy form.
pub(super) fn write(
    answer: &mut ChatResponse,
    mut reply: ResponseContext,
    legacy: bool,
) -> Vec<u8> {
    name(answer, &mut reply.ids);
    let extra = &answer.extra;
    let choices = answer.choices.iter().enumerate();
    let body = WholeChatResponseWire {
        id: &answer.id,
        object: "chat.completion",
        created: answer.created.unwrap_or(reply.created),
        model: if answer.model.is_empty() { &reply.model } else { &answer.model },
        choices: choices.map(|(index, it)| choice(index, it, legacy)).collect(),
        usage: answer.usage.as_ref().map(usage::ChatUsageOutWire::from),
        service_tier: extra.get("service_tier").and_then(encode_response_parts::service_tier),
        system_fingerprint: extra.get("system_fingerprint"),
    };
    // Strings, numbers and what was JSON before: this cannot fail.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Names what the upstream left nameless.
fn name(answer: &mut ChatResponse, ids: &mut IdGenerator) {
    if answer.id.is_empty() {
        answer.id = ids.next("chatcmpl-");
    }
    let parts = answer.choices.iter_mut().flat_map(|choice| &mut choice.message.parts);
    for part in parts {
        if let Content::ToolCall(call) = &mut part.content
            && call.id.is_empty()
        {
            call.id = ids.next("call_");
        }
    }
}

fn choice(index: usize, choice: &Choice, legacy: bool) -> WholeChatChoiceWire<'_> {
    let finish = choice.finish.as_ref();
    let reason = finish.map_or(FinishReason::Stop, |finish| finish.reason);
    WholeChatChoiceWire {
        index,
        message: message(choice, legacy),
        logprobs: logprobs(&choice.logprobs),
        finish_reason: encode_response_parts::finish(reason, legacy),
        native_finish_reason: finish.and_then(|Finish { native, .. }| native.as_deref()),
    }
}

fn message(choice: &Choice, legacy: bool) -> WholeChatMessageWire<'_> {
    let parts = &choice.message.parts;
    let calls: Vec<&ToolCall> = choice.message.tool_calls().collect();
    let refusal =
        joined(parts, |it| if let Content::Refusal(text) = it { Some(text) } else { None });
    let text = joined(parts, |it| if let Content::Text(text) = it { Some(text) } else { None });
    // Silence is "", unless something else was said.
    let silent = calls.is_empty() && refusal.is_none();
    let content = text.filter(|text| silent || !text.is_empty());
    let opaque = |kind: &str| {
        parts.iter().find_map(|part| {
            let Content::Opaque(it) = &part.content else { return None };
            (it.dialect == Dialect::Chat && it.kind == kind).then_some(&it.json)
        })
    };
    let mut message = WholeChatMessageWire {
        role: "assistant",
        content: content.or_else(|| silent.then_some(Cow::Borrowed(""))),
        refusal,
        reasoning_content: joined(parts, |it| {
            let Content::Reasoning(it) = it else { return None };
            (!it.text.is_empty()).then_some(&it.text)
        }),
        thinking_blocks: Vec::new(),
        reasoning_details: Vec::new(),
        extra_content: None,
        annotations: &choice.annotations,
        tool_calls: Vec::new(),
        function_call: None,
        audio: opaque("audio"),
        images: opaque("images"),
    };
    seals(parts, &mut message);
    if legacy {
        let first = calls.first();
        message.function_call =
            first.map(|it| FunctionOutWire { name: &it.name, arguments: &it.arguments });
    } else {
        message.tool_calls = calls.into_iter().map(call).collect();
    }
    message
}

fn call(call: &ToolCall) -> ToolCallOutWire<'_> {
    ToolCallOutWire::new(&call.name, &call.arguments, call.custom)
        .begin(&call.id)
        .sealed(call.seal.as_ref())
}

/// The seals, each in its provider's place.
fn seals<'a>(parts: &'a [Part], message: &mut WholeChatMessageWire<'a>) {
    for part in parts {
        if let Content::Reasoning(it) = &part.content
            && let Some(seal) = &it.seal
        {
            message.thinking_blocks.extend(encode_response_parts::block(it.text.as_str(), seal));
            message.reasoning_details.extend(encode_response_parts::details(seal));
            message.extra_content =
                encode_response_parts::google(seal).or(message.extra_content.take());
        }
    }
}

/// The texts that `pick` picks, joined; `None` if there are none.
fn joined(parts: &[Part], pick: impl Fn(&Content) -> Option<&String>) -> Option<Cow<'_, str>> {
    let mut texts = parts.iter().filter_map(|part| pick(&part.content));
    let first = texts.next()?;
    let Some(second) = texts.next() else { return Some(Cow::Borrowed(first)) };
    let mut all = [first.as_str(), second].concat();
    all.extend(texts.map(String::as_str));
    Some(Cow::Owned(all))
}

/// The log probabilities, joined if they came in pieces.
fn logprobs(pieces: &[Json]) -> Option<Cow<'_, Json>> {
    #[derive(Default, serde::Deserialize, Serialize)]
    #[serde(default)]
    struct ChoiceLogprobsWire {
        content: Option<Vec<Json>>,
        refusal: Option<Vec<Json>>,
    }
    if let [piece] = pieces {
        return Some(Cow::Borrowed(piece));
    }
    let mut all = ChoiceLogprobsWire::default();
    for piece in pieces.iter().filter_map(|piece| piece.read::<ChoiceLogprobsWire>().ok()) {
        if let Some(content) = piece.content {
            all.content.get_or_insert_default().extend(content);
        }
        if let Some(refusal) = piece.refusal {
            all.refusal.get_or_insert_default().extend(refusal);
        }
    }
    (!pieces.is_empty()).then(|| Cow::Owned(Json::of(&all)))
}
