//! Reasoning seals on their way: each is marked with its owner when it leaves an upstream, and only
//! its owner gets it back.
//!
//! ```text
//!   caller   <- gw2x0123456789ab01234567EqQB.. <- mark    <- EqQB..  the upstream
//!   caller   -> gw2x0123456789ab01234567EqQB.. -> release -> EqQB..  the upstream, if it is its own
//! ```
//!
//! Each dialect has a file `seals` that knows where seals stand in its bytes; the neutral request
//! is treated here.

use crate::{
    envelope,
    json::{JsonLimits, editable_object::JsonNode},
    sse,
};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, Chunk, Content, Dialect, GatewayError, Json, Message, Opaque, Part, Payload,
    ProviderRequest, Result, Seal, SealKind, SealOwner, StreamEvent,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};

/// Marks the seals in a chunk of a response with their owner. The second argument says whether its
/// bytes are server-sent events.
pub type SealMarker = fn(&mut Chunk, bool, &SealOwner);

/// The decision which seals of a request are sent, and a record of what it led to.
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
#[derive(Clone, Copy, Debug)]
pub struct SealFilter {
    owner: Option<SealOwner>,
    is_changed: bool,
    carries_seals: bool,
    has_foreign: bool,
    has_foreign_compaction: bool,
}

/// The treatment of one seal.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum SealVerdict {
    /// It is sent as it stands: the caller did not get it from the gateway.
    Keep,
    /// It is sent as its owner wrote it.
    Restore(String),
    /// It is not sent.
    Withhold,
}

impl SealFilter {
    /// A filter for a request to `owner`.
    pub const fn to_owner(owner: SealOwner) -> Self {
        Self { owner: Some(owner), ..Self::withholding() }
    }

    /// A filter that withholds every seal.
    pub const fn withholding() -> Self {
        Self {
            owner: None,
            is_changed: false,
            carries_seals: false,
            has_foreign: false,
            has_foreign_compaction: false,
        }
    }

    /// Returns whether seals are sent.
    pub const fn carries_seals(&self) -> bool {
        self.carries_seals
    }

    /// Decides on the seal `data`.
    pub(crate) fn verdict(&mut self, data: &str) -> SealVerdict {
        match (SealOwner::of(data), &self.owner) {
            (None, Some(_)) => {
                self.carries_seals = true;
                SealVerdict::Keep
            }
            (Some(owner), Some(own)) if owner == *own => {
                self.carries_seals = true;
                self.is_changed = true;
                SealVerdict::Restore(own.unmark(data))
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {
                self.withhold();
                SealVerdict::Withhold
            }
        }
    }

    /// Records that something was left out.
    pub(crate) const fn withhold(&mut self) {
        self.is_changed = true;
        self.has_foreign = true;
    }

    /// Records that a compacted conversation cannot be sent.
    pub(crate) const fn withhold_compaction(&mut self) {
        self.withhold();
        self.has_foreign_compaction = true;
    }

    /// Checks that no compacted conversation is missing from the request.
    fn check(&self) -> Result<()> {
        if !self.has_foreign_compaction {
            return Ok(());
        }
        let message = "the compaction item was made by another provider, which alone can read it";
        Err(GatewayError::invalid("input", message).with_code("invalid_encrypted_content"))
    }

    /// Returns whether something was left out.
    pub(crate) const fn has_foreign(&self) -> bool {
        self.has_foreign
    }

    /// Returns whether the request has to be written anew.
    pub(crate) const fn is_changed(&self) -> bool {
        self.is_changed
    }
}

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
    edit: impl FnOnce(&[u8], &mut SealFilter) -> Option<Vec<u8>>,
) -> Result<Option<Payload>> {
    let Some(original) = call.original(dialect) else { return release_parsed(call, filter) };
    let edited = edit(&original.body, filter);
    filter.check()?;
    let Some(body) = edited else { return Ok(None) };
    // It was sound when the request came in.
    let envelope = envelope::read(&body, &JsonLimits { depth: usize::MAX })?;
    Ok(Some(Payload::Raw(Arc::new(original.with_body(body.into(), envelope)))))
}

/// Returns whether an upstream refused a request for a seal in it.
pub fn is_refusal(error: &GatewayError) -> bool {
    if !matches!(error.upstream_status(), Some(400 | 404 | 422)) {
        return false;
    }
    let message = error.message().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().all(|word| message.contains(word));
    error.code() == "invalid_encrypted_content"
        || says(&["encrypted content"])
        || says(&["signature", "thinking"])
        || says(&["thought", "signature"])
        || says(&["redacted_thinking"])
        || says(&["item with id 'rs_"])
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

/// Marks the seals in `events`.
pub(crate) fn mark_events(events: &mut [StreamEvent], owner: &SealOwner) {
    for event in events {
        match event {
            StreamEvent::Seal(seal) => mark_seal(seal, owner),
            StreamEvent::ToolCall(delta) => {
                delta.seal.iter_mut().for_each(|seal| mark_seal(seal, owner));
            }
            StreamEvent::Opaque(opaque) if opaque.kind == "compaction" => {
                let text = opaque.json.get().to_owned();
                if let Some(marked) = edit_object(&text, |node| mark_compaction(node, owner)) {
                    opaque.json = Json::parse(marked).unwrap_or_else(|_| Json::null());
                }
            }
            StreamEvent::Opaque(_)
            | StreamEvent::Started(_)
            | StreamEvent::Choice(_)
            | StreamEvent::Text(_)
            | StreamEvent::Refusal(_)
            | StreamEvent::Reasoning(_)
            | StreamEvent::Annotation(_)
            | StreamEvent::Logprobs(_)
            | StreamEvent::Extra(..)
            | StreamEvent::Usage(_)
            | StreamEvent::Finished(_) => {}
        }
    }
}

fn mark_seal(seal: &mut Seal, owner: &SealOwner) {
    if seal.kind != SealKind::Details {
        seal.data = owner.mark(&seal.data);
        return;
    }
    let Ok(raw) = serde_json::from_str::<&RawValue>(&seal.data) else { return };
    let mut list = JsonNode::Raw(raw);
    let marked: usize = list
        .list()
        .into_iter()
        .flatten()
        .map(|detail| usize::from(mark_members(detail, &["signature", "data"], owner)))
        .sum();
    if marked > 0 {
        seal.data = serde_json::to_string(&list).unwrap_or_default();
    }
}

/// Marks the seals of a compaction.
pub(crate) fn mark_compaction(node: &mut JsonNode<'_>, owner: &SealOwner) -> bool {
    mark_members(node, &["encrypted_content", "signature"], owner)
}

/// Marks those of the members `names` of an object that are texts and not empty. Returns whether
/// there is one.
pub(crate) fn mark_members(
    node: &mut JsonNode<'_>,
    names: &[&'static str],
    owner: &SealOwner,
) -> bool {
    let Some(object) = node.object() else { return false };
    let mut is_changed = false;
    for name in names {
        let text = object.get(name).and_then(JsonNode::text).filter(|text| !text.is_empty());
        if let Some(text) = text {
            let marked = owner.mark(&text);
            object.set(name, JsonNode::Text(Cow::Owned(marked)));
            is_changed = true;
        }
    }
    is_changed
}

/// `text` after `edit`; `None` if that changes nothing.
pub(crate) fn edit_object(
    text: &str,
    edit: impl FnOnce(&mut JsonNode<'_>) -> bool,
) -> Option<String> {
    let mut node = JsonNode::Raw(serde_json::from_str::<&RawValue>(text).ok()?);
    edit(&mut node).then(|| serde_json::to_string(&node).ok()).flatten()
}

/// Edits the bytes of `chunk`: each event of a stream, or the whole response.
pub(crate) fn edit_chunk(
    chunk: &mut Chunk,
    is_framed: bool,
    mut edit: impl FnMut(&mut JsonNode<'_>) -> bool,
) {
    let Some(bytes) = &chunk.verbatim else { return };
    let edited = if is_framed {
        edit_events(bytes, edit)
    } else {
        let text = std::str::from_utf8(bytes).ok();
        text.and_then(|text| edit_object(text, &mut edit)).map(Bytes::from)
    };
    if edited.is_some() {
        chunk.verbatim = edited;
    }
}

fn edit_events(block: &[u8], mut edit: impl FnMut(&mut JsonNode<'_>) -> bool) -> Option<Bytes> {
    let mut is_changed = false;
    let mut out = Vec::with_capacity(block.len() + 64);
    for event in sse::events(block) {
        let edited = edit_object(&event.data, &mut edit);
        is_changed |= edited.is_some();
        let name = Some(event.name).filter(|name| !name.is_empty());
        sse::write(&mut out, name, edited.as_deref().unwrap_or(&event.data));
    }
    is_changed.then(|| out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Reasoning, Role, ToolCall};

    fn owner(issuer: u8) -> SealOwner {
        SealOwner::new([issuer; 6], "m")
    }

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

    #[test]
    fn details_are_marked_inside() {
        let mut details =
            seal(SealKind::Details, r#"[{"text":"t","n":1e2},{"data":"d"}]"#.to_owned());
        let owner = owner(1);
        mark_seal(&mut details, &owner);
        let expected = format!(r#"[{{"text":"t","n":1e2}},{{"data":"{}d"}}]"#, owner.as_str());
        assert_eq!(details.data, expected);
    }
}
