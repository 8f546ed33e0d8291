//! Requests on their way to an upstream: seals of others are taken out.

use super::filter::{SealFilter, SealVerdict};
use crate::{envelope, json::JsonLimits};
use gateway_core::{
    ChatRequest, Content, Dialect, Json, Message, Opaque, Part, Payload, ProviderRequest,
    RawRequest, Result, Seal, SealOwner,
};
use serde::Deserialize;
use std::sync::Arc;

/// The payload of `call`, in the caller's own bytes if they are in `dialect`, with only those seals
/// that `filter` lets pass; `None` if it has no others. `edit` knows where they stand.
///
/// # Errors
///
/// If the request cannot be decoded.
pub(crate) fn release_request(
    call: &ProviderRequest,
    dialect: Dialect,
    filter: &mut SealFilter,
    edit: impl FnOnce(&RawRequest, &mut SealFilter) -> Option<Vec<u8>>,
) -> Result<Option<Payload>> {
    let Some(original) = call.original(dialect) else { return release_parsed(call, filter) };
    let edited = edit(original, filter);
    filter.check()?;
    let Some(body) = edited else { return Ok(None) };
    // It was sound when the request came in.
    let envelope = envelope::read(&body, &JsonLimits { depth: usize::MAX })?;
    Ok(Some(Payload::Raw(Arc::new(original.with_body(body.into(), envelope)))))
}

/// The payload of `call` with only those seals that `filter` lets pass; `None` if it has no others.
///
/// # Errors
///
/// If the request cannot be decoded.
pub(crate) fn release_parsed(
    call: &ProviderRequest,
    filter: &mut SealFilter,
) -> Result<Option<Payload>> {
    let request = call.request()?;
    if !request.messages.iter().any(|message| message.parts.iter().any(is_sealed)) {
        return Ok(None);
    }
    let mut request: ChatRequest = request.clone();
    request.messages.retain_mut(|message| release_message(message, filter));
    filter.check()?;
    Ok(filter.is_changed().then(|| Payload::Parsed(Arc::new(request))))
}

fn is_sealed(part: &Part) -> bool {
    match &part.content {
        Content::Reasoning(reasoning) => reasoning.seal.is_some(),
        Content::ToolCall(call) => call.seal.is_some(),
        Content::Opaque(opaque) => SealOwner::of(opaque.json.get()).is_some(),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::ToolResult(_) => false,
    }
}

/// Returns whether anything is left of `message`.
fn release_message(message: &mut Message, filter: &mut SealFilter) -> bool {
    let was_empty = message.parts.is_empty();
    message.parts.retain_mut(|part| match &mut part.content {
        Content::Reasoning(reasoning) => {
            release_seal(&mut reasoning.seal, filter);
            reasoning.seal.is_some() || !reasoning.text.is_empty()
        }
        Content::ToolCall(call) => {
            release_seal(&mut call.seal, filter);
            true
        }
        Content::Opaque(opaque) if SealOwner::of(opaque.json.get()).is_some() => {
            match filter.verdict(opaque.json.get()) {
                SealVerdict::Keep => true,
                SealVerdict::Restore(json) => {
                    opaque.json = Json::parse(json).unwrap_or_else(|_| Json::null());
                    true
                }
                SealVerdict::Withhold => {
                    let summary = summary(opaque);
                    let is_compaction = opaque.kind == "compaction";
                    if is_compaction && summary.is_none() {
                        filter.withhold_compaction();
                    }
                    let is_told = summary.is_some();
                    part.content = summary.map_or_else(|| part.content.clone(), Content::Text);
                    is_told
                }
            }
        }
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::ToolResult(_)
        | Content::Opaque(_) => true,
    });
    was_empty || !message.parts.is_empty()
}

/// The summary that a compaction holds besides its seal, as Anthropic's do.
fn summary(opaque: &Opaque) -> Option<String> {
    #[derive(Deserialize)]
    struct Wire {
        content: Option<String>,
    }
    let is_readable = opaque.kind == "compaction" && opaque.dialect == Dialect::Messages;
    is_readable.then(|| opaque.json.read::<Wire>().ok()?.content).flatten()
}

fn release_seal(seal: &mut Option<Seal>, filter: &mut SealFilter) {
    let Some(data) = seal.as_ref().map(|seal| seal.data.as_str()) else { return };
    match filter.verdict(data) {
        SealVerdict::Keep => {}
        SealVerdict::Restore(data) => {
            if let Some(seal) = seal {
                seal.data = data;
            }
        }
        SealVerdict::Withhold => *seal = None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seals::fixtures::owner;
    use gateway_core::{Reasoning, Role, SealKind, ToolCall};

    fn seal(kind: SealKind, data: String) -> Seal {
        Seal { dialect: Dialect::Messages, kind, id: None, data }
    }

    fn call(seals: [Option<String>; 2]) -> ProviderRequest {
        let [thought, called] = seals;
        let of = |data| seal(SealKind::Signature, data);
        let parts = [
            Content::Reasoning(Reasoning { text: String::new(), seal: thought.map(of) }),
            Content::ToolCall(ToolCall { seal: called.map(of), ..ToolCall::default() }),
        ];
        let messages = vec![Message::new(Role::Assistant, parts)];
        ProviderRequest::new(ChatRequest { messages, ..ChatRequest::default() })
    }

    /// The seals that are left of those of thinking and call.
    #[track_caller]
    fn check(filter: SealFilter, seals: [Option<String>; 2], expected: &str) {
        let mut filter = filter;
        let mut call = call(seals);
        if let Some(payload) = release_parsed(&call, &mut filter).unwrap() {
            call.payload = payload;
        }
        let parts = call.request().unwrap().messages[0].parts.iter();
        let left: Vec<_> = parts
            .map(|part| {
                let seal = if let Content::Reasoning(it) = &part.content {
                    &it.seal
                } else if let Content::ToolCall(it) = &part.content {
                    &it.seal
                } else {
                    panic!("unexpected {part:?}")
                };
                seal.as_ref().map_or("-", |it| &it.data)
            })
            .collect();
        assert_eq!(left.join(" "), expected);
        assert_eq!(filter.carries_seals(), left.iter().any(|seal| *seal != "-"));
    }

    #[test]
    fn seals_reach_their_owner_only() {
        let marked = |issuer: u8| Some(owner(issuer).mark("s"));
        let to = SealFilter::to_owner(owner(1));
        check(to, [marked(1), marked(1)], "s s");
        check(to, [marked(2), marked(1)], "s");
        check(to, [marked(2), marked(2)], "-");
        check(to, [Some("raw".to_owned()), marked(2)], "raw -");
        check(SealFilter::withholding(), [Some("raw".to_owned()), marked(1)], "-");
    }
}
