//! Thinking in the history: what clients send back, in the spellings they know.
//!
//! This dialect has no place for thinking, so every vendor found one. `reasoning_content` and
//! `reasoning` hold text, `reasoning_details` is `OpenRouter`'s list, `thinking_blocks` holds
//! blocks of Anthropic, and Google's signatures travel in `extra_content`.

use super::decode_request_messages::{ChatMessageWire, GoogleExtraContentWire};
use crate::json::{lazy_object::LazyObject, lenient::LossyText};
use gateway_core::{Content, Dialect, Part, Reasoning, Seal, SealKind};
use serde_json::value::RawValue;
use std::mem;

/// Takes the thinking out of an assistant's message.
pub(super) fn decode(wire: &mut ChatMessageWire<'_>) -> Vec<Part> {
    let mut parts = wire.thinking_blocks.map(blocks).unwrap_or_default();
    let text = mem::take(&mut wire.reasoning_content).or_else(|| {
        serde_json::from_str::<LossyText<'_>>(wire.reasoning?.get())
            .ok()
            .map(LossyText::into_string)
    });
    let seal = wire.reasoning_details.filter(|raw| raw.get() != "[]").map(details);
    // The blocks hold the text too.
    if parts.is_empty() && (text.is_some() || seal.is_some()) {
        parts.push(reasoning_part(text.unwrap_or_default(), seal));
    } else if seal.is_some() {
        parts.push(reasoning_part(String::new(), seal));
    }
    let signature = wire.extra_content.take().and_then(GoogleExtraContentWire::seal);
    if signature.is_some() {
        parts.push(reasoning_part(String::new(), signature));
    }
    parts
}

fn reasoning_part(text: String, seal: Option<Seal>) -> Part {
    Content::Reasoning(Reasoning { text, seal }).into()
}

fn blocks(raw: &RawValue) -> Vec<Part> {
    let blocks: Vec<LazyObject<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
    let block = |block: &LazyObject<'_>| {
        let text = |name| block.text(name).map(std::borrow::Cow::into_owned);
        if block.is("type", "redacted_thinking") {
            return Some(reasoning_part(
                String::new(),
                Some(anthropic(SealKind::Encrypted, text("data")?)),
            ));
        }
        let seal = text("signature").filter(|it| !it.is_empty());
        let seal = seal.map(|data| anthropic(SealKind::Signature, data));
        Some(reasoning_part(text("thinking")?, seal))
    };
    blocks.iter().filter_map(block).collect()
}

fn anthropic(kind: SealKind, data: String) -> Seal {
    Seal { dialect: Dialect::Messages, kind, id: None, data }
}

/// `OpenRouter`'s list, which wants to come back as it is.
pub(super) fn details(raw: &RawValue) -> Seal {
    let data = raw.get().to_owned();
    Seal { dialect: Dialect::Chat, kind: SealKind::Details, id: None, data }
}

/// Wraps a thought signature of Gemini in a seal.
pub(super) fn gemini(data: String) -> Seal {
    Seal { dialect: Dialect::Gemini, kind: SealKind::Signature, id: None, data }
}
