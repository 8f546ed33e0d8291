//! Parameters that the gateway does not model, and what a response shall hold besides.

use crate::json::path::some;
use crate::responses::encode_request_options::style;
use gateway_core::{
    ChatRequest, Content, Dialect, DroppedParams, Extra, Json, Message, ProviderRequest,
    ReasoningStyle,
};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// Asks for the token that lets thinking be sent back.
const ENCRYPTED: &str = "reasoning.encrypted_content";
/// The `include` value that requests log probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Parameters that mean the same in Chat, and that the gateway does not model.
const KNOWN: [&str; 7] = [
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
];

/// Parameters that say nothing here: written elsewhere, or about streams only.
const SILENT: [&str; 4] = ["include", "instructions", "stream_options", "modalities"];

/// Members that travel as they came.
pub(super) struct PassedMembers<'a>(Vec<(&'a str, &'a Json)>);

impl Serialize for PassedMembers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// The end user, unless named by the newer parameter.
pub(super) fn user(request: &ChatRequest) -> Option<&str> {
    let newer = request.extra.get("safety_identifier").and_then(some);
    request.options.user.as_deref().filter(|_| newer.is_none())
}

/// The `include` list: the caller's entries and those that a translation needs.
pub(super) fn include<'a>(
    call: &ProviderRequest,
    request: &'a ChatRequest,
    theirs: bool,
) -> Vec<Cow<'a, str>> {
    let asked = request.extra.get("include").and_then(|include| include.read().ok());
    let mut include: Vec<Cow<'a, str>> = asked.unwrap_or_default();
    let mut add = |wanted: bool, what: &'static str| {
        if wanted && !include.iter().any(|it| it == what) {
            include.push(Cow::Borrowed(what));
        }
    };
    add(!theirs && thinks(call, request), ENCRYPTED);
    add(request.options.logprobs == Some(true), LOGPROBS);
    include
}

/// Returns whether the model is a reasoning model as far as the catalogue states; others reject a
/// request for encrypted reasoning.
fn thinks(call: &ProviderRequest, request: &ChatRequest) -> bool {
    let is_sealed = |message: &Message| {
        message.parts.iter().any(|part| {
            matches!(&part.content, Content::Reasoning(reasoning)
                if reasoning.seal.as_ref().is_some_and(|it| it.dialect == Dialect::Responses))
        })
    };
    match style(call) {
        Some(style) => style != ReasoningStyle::Never,
        None => request.options.reasoning.is_some() || request.messages.iter().any(is_sealed),
    }
}

/// The parameters that travel as they came: all if the caller speaks this dialect, else those that
/// mean the same here.
pub(super) fn passed<'a>(
    extra: &'a Extra,
    theirs: bool,
    dropped: &mut DroppedParams,
) -> PassedMembers<'a> {
    let mut passed = Vec::new();
    for (name, value) in extra.iter().filter(|(name, _)| !SILENT.contains(name)) {
        if theirs || KNOWN.contains(&name) {
            passed.push((name, value));
        } else if some(value).is_some() {
            dropped.insert(name.to_owned());
        }
    }
    PassedMembers(passed)
}
