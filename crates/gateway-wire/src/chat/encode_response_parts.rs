//! The pieces that whole responses and chunks are written with.

use gateway_core::{Dialect, FinishReason, Json, Seal, SealKind};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A tool call, or an addition to one.
#[derive(Serialize)]
pub(super) struct ToolCallOutWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function: Option<FunctionOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) custom: Option<CustomOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_content: Option<ExtraContentOutWire<'a>>,
}

#[derive(Serialize)]
pub(super) struct FunctionOutWire<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

#[derive(Serialize)]
pub(super) struct CustomOutWire<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) name: &'a str,
    pub(super) input: &'a str,
}

/// The `extra_content` member in which Google's OpenAI-compatible endpoint keeps thought
/// signatures.
#[derive(Serialize)]
pub(super) struct ExtraContentOutWire<'a> {
    google: GoogleOutWire<'a>,
}

#[derive(Serialize)]
struct GoogleOutWire<'a> {
    thought_signature: &'a str,
}

impl<'a> ToolCallOutWire<'a> {
    /// A call, with what is known of it.
    pub(super) fn new(name: &'a str, arguments: &'a str, custom: bool) -> Self {
        let (function, custom) = if custom {
            (None, Some(CustomOutWire { name, input: arguments }))
        } else {
            (Some(FunctionOutWire { name, arguments }), None)
        };
        Self { index: None, id: "", r#type: None, function, custom, extra_content: None }
    }

    /// Names the call: said once.
    pub(super) fn begin(self, id: &'a str) -> Self {
        let kind = if self.custom.is_some() { "custom" } else { "function" };
        Self { id, r#type: Some(kind), ..self }
    }

    /// Attaches the signature of the call, if it is one of Gemini's.
    pub(super) fn sealed(self, seal: Option<&'a Seal>) -> Self {
        Self { extra_content: seal.and_then(google), ..self }
    }
}

/// Google's seal, in Google's place for it.
pub(super) fn google(seal: &Seal) -> Option<ExtraContentOutWire<'_>> {
    let signature = seal.dialect == Dialect::Gemini && seal.kind == SealKind::Signature;
    signature
        .then_some(ExtraContentOutWire { google: GoogleOutWire { thought_signature: &seal.data } })
}

/// A block of thinking, as Anthropic writes it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ThinkingBlockWire<'a> {
    Thinking { thinking: Cow<'a, str>, signature: &'a str },
    RedactedThinking { data: &'a str },
}

/// The block of `text` and Anthropic's seal.
pub(super) fn block<'a>(
    text: impl Into<Cow<'a, str>>,
    seal: &'a Seal,
) -> Option<ThinkingBlockWire<'a>> {
    if seal.dialect != Dialect::Messages {
        return None;
    }
    match seal.kind {
        SealKind::Signature => {
            Some(ThinkingBlockWire::Thinking { thinking: text.into(), signature: &seal.data })
        }
        SealKind::Encrypted => Some(ThinkingBlockWire::RedactedThinking { data: &seal.data }),
        SealKind::Details => None,
    }
}

/// The details in a seal of `OpenRouter`.
pub(super) fn details(seal: &Seal) -> Vec<Cow<'_, RawValue>> {
    if seal.dialect == Dialect::Chat && seal.kind == SealKind::Details {
        let items: Vec<&RawValue> = serde_json::from_str(&seal.data).unwrap_or_default();
        return items.into_iter().map(Cow::Borrowed).collect();
    }
    Vec::new()
}

/// The finish, in words that callers know.
pub(super) const fn finish(reason: FinishReason, legacy: bool) -> &'static str {
    match reason {
        FinishReason::ToolCalls if legacy => "function_call",
        FinishReason::Stop
        | FinishReason::Length
        | FinishReason::ToolCalls
        | FinishReason::ContentFilter => reason.as_str(),
    }
}

/// The service tier in words that callers know.
pub(super) fn service_tier(json: &Json) -> Option<&'static str> {
    tier(&json.read::<String>().ok()?)
}

/// The service tier called `word`, in words that callers know.
pub(super) fn tier(word: &str) -> Option<&'static str> {
    ["auto", "default", "flex", "scale", "priority", "fast"]
        .into_iter()
        .find(|known| *known == word)
        .or_else(|| matches!(word, "standard" | "on_demand").then_some("default"))
}

#[expect(clippy::ptr_arg, reason = "the signature that serde calls")]
pub(super) fn is_empty<T>(list: &Vec<T>) -> bool {
    list.is_empty()
}

/// Appends a member to an object that has at least one and is still open.
pub(super) fn member(out: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    // Strings, numbers and what was JSON before: this cannot fail.
    let _ = serde_json::to_writer(out, value);
}
