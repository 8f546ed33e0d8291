//! The seals of reasoning, and the reasoning itself, in the bytes of this dialect.
//!
//! The dialect has no place for either, so every vendor found one, and an upstream may refuse the
//! places of others.

use super::quirks::{ChatFeature, Quirks, ReasoningHistory};
use crate::{
    json::editable_object::{EditableObject, JsonNode},
    seals::{
        filter::{SealFilter, SealVerdict},
        mark as marks,
    },
};
use gateway_core::{Chunk, RawRequest, SealOwner};
use memchr::memmem::Finder;
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::LazyLock};

/// The beginning of the names of members that hold reasoning.
static REASONING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"reasoning"));

/// The names of the other members that hold seals, cut at their underscore.
const OTHER_PLACES: [(&[u8], &[u8]); 2] =
    [(b"\"thinking", b"_blocks\""), (b"\"extra", b"_content\"")];

/// The lists of blocks, and the members of a block that are seals.
const LISTS: [&str; 2] = ["reasoning_details", "thinking_blocks"];
const SEALS: [&str; 2] = ["signature", "data"];

/// The body of `request` with only that reasoning and those seals that its upstream takes; `None`
/// if it has no others.
pub(super) fn release(
    quirks: &Quirks,
    request: &RawRequest,
    filter: &mut SealFilter,
) -> Option<Vec<u8>> {
    if request.envelope.lacks_reasoning {
        return None;
    }
    let mut root = JsonNode::Raw(serde_json::from_slice::<&RawValue>(&request.body).ok()?);
    let messages = root.object()?.get_mut("messages")?.list()?;
    for message in messages.iter_mut().filter_map(JsonNode::object) {
        if message.get("role").and_then(JsonNode::text).is_some_and(|it| it == "assistant") {
            release_message(quirks, message, filter);
        }
    }
    filter.is_changed().then(|| serde_json::to_vec(&root).ok()).flatten()
}

fn release_message(quirks: &Quirks, message: &mut EditableObject<'_>, filter: &mut SealFilter) {
    for name in unknown_members(quirks) {
        if message.has(name) {
            message.remove(name);
            filter.withhold();
        }
    }
    for name in LISTS {
        let Some(blocks) = message.get_mut(name).and_then(JsonNode::list) else { continue };
        blocks.retain_mut(|block| release_block(block, filter));
        if blocks.is_empty() {
            message.remove(name);
        }
    }
    release_google(quirks, message, filter);
    let calls = message.get_mut("tool_calls").and_then(JsonNode::list);
    for call in calls.into_iter().flatten().filter_map(JsonNode::object) {
        release_google(quirks, call, filter);
    }
}

/// The members of a message that the upstream is known not to take.
fn unknown_members(quirks: &Quirks) -> &'static [&'static str] {
    if quirks.knows(ChatFeature::UnknownMembers) {
        return match quirks.history {
            ReasoningHistory::Details => &["thinking_blocks"],
            ReasoningHistory::Nothing | ReasoningHistory::Text | ReasoningHistory::Required => &[],
        };
    }
    &["reasoning", "reasoning_content", "reasoning_details", "thinking_blocks"]
}

fn release_block(block: &mut JsonNode<'_>, filter: &mut SealFilter) -> bool {
    let Some(object) = block.object() else { return true };
    for name in SEALS {
        let data = object.get(name).and_then(JsonNode::text).filter(|data| !data.is_empty());
        let Some(data) = data else { continue };
        match filter.verdict(&data) {
            SealVerdict::Keep => {}
            SealVerdict::Restore(data) => object.set(name, JsonNode::Text(Cow::Owned(data))),
            SealVerdict::Withhold => return false,
        }
    }
    true
}

/// Google's place for signatures: `extra_content.google.thought_signature`.
fn release_google(quirks: &Quirks, holder: &mut EditableObject<'_>, filter: &mut SealFilter) {
    let Some(google) = google(holder) else { return };
    let data = google.get("thought_signature").and_then(JsonNode::text).unwrap_or_default();
    let is_taken = quirks.knows(ChatFeature::UnknownMembers);
    match filter.verdict(&data) {
        SealVerdict::Keep if is_taken => {}
        SealVerdict::Restore(data) if is_taken => {
            google.set("thought_signature", JsonNode::Text(Cow::Owned(data)));
        }
        SealVerdict::Keep | SealVerdict::Restore(_) | SealVerdict::Withhold => {
            filter.withhold();
            holder.remove("extra_content");
        }
    }
}

fn google<'n, 'a>(holder: &'n mut EditableObject<'a>) -> Option<&'n mut EditableObject<'a>> {
    let google = holder.get_mut("extra_content")?.object()?.get_mut("google")?.object()?;
    google.has("thought_signature").then_some(google)
}

/// Returns whether `bytes` may have a member that holds seals; `false` is certain. A single byte is
/// found in a third of the time of a name.
fn may_hold_seals(bytes: &[u8]) -> bool {
    let is_place = |at: usize| {
        let (before, after) = bytes.split_at(at);
        OTHER_PLACES.iter().any(|(start, end)| before.ends_with(start) && after.starts_with(end))
    };
    REASONING.find(bytes).is_some() || memchr::memchr_iter(b'_', bytes).any(is_place)
}

/// Marks the seals in a chunk of a response.
pub(super) fn mark(chunk: &mut Chunk, is_framed: bool, owner: &SealOwner) {
    marks::mark_events(&mut chunk.events, owner);
    let Some(bytes) = &chunk.verbatim else { return };
    if !may_hold_seals(bytes) {
        return;
    }
    marks::edit_chunk(chunk, is_framed, |root| {
        let choices = root.object().and_then(|it| it.get_mut("choices")?.list());
        let choices = choices.into_iter().flatten().filter_map(JsonNode::object);
        choices.fold(false, |is_changed, choice| mark_choice(choice, owner) | is_changed)
    });
}

fn mark_choice(choice: &mut EditableObject<'_>, owner: &SealOwner) -> bool {
    let name = if choice.has("delta") { "delta" } else { "message" };
    let Some(message) = choice.get_mut(name).and_then(JsonNode::object) else { return false };
    let mut is_changed = false;
    for name in LISTS {
        let blocks = message.get_mut(name).and_then(JsonNode::list);
        for block in blocks.into_iter().flatten() {
            is_changed |= marks::mark_members(block, &SEALS, owner);
        }
    }
    is_changed |= mark_google(message, owner);
    let calls = message.get_mut("tool_calls").and_then(JsonNode::list);
    for call in calls.into_iter().flatten().filter_map(JsonNode::object) {
        is_changed |= mark_google(call, owner);
    }
    is_changed
}

fn mark_google(holder: &mut EditableObject<'_>, owner: &SealOwner) -> bool {
    let Some(google) = google(holder) else { return false };
    let data = google.get("thought_signature").and_then(JsonNode::text).unwrap_or_default();
    if data.is_empty() {
        return false;
    }
    google.set("thought_signature", JsonNode::Text(Cow::Owned(owner.mark(&data))));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::JsonLimits,
        seals::fixtures::{named, owner},
    };
    use bytes::Bytes;
    use gateway_core::{ChatRequest, Dialect};

    fn request(body: String) -> RawRequest {
        let envelope = crate::envelope::read(body.as_bytes(), &JsonLimits::default()).unwrap();
        RawRequest::new(Dialect::Chat, body.into(), envelope, |_| Ok(ChatRequest::default()))
    }

    #[track_caller]
    fn check(quirks: &Quirks, members: &str, expected: Option<&str>) {
        let body = |members: &str| {
            let message = format!(r#"{{"role":"assistant","content":"c"{members}}}"#);
            format!(r#"{{"model":"m","messages":[{message}],"n":1.0}}"#)
        };
        let mut filter = SealFilter::to_owner(owner(1));
        let sent = release(quirks, &request(body(&named(members))), &mut filter);
        let sent = sent.map(|sent| String::from_utf8(sent).unwrap());
        assert_eq!(sent, expected.map(body));
    }

    #[test]
    fn strict_upstreams_get_no_reasoning() {
        let members = r#","reasoning_content":"r","thinking_blocks":[{"signature":"s"}],"extra_content":{"google":{"thought_signature":"s"}}"#;
        for quirks in [Quirks::OPENAI, Quirks::AZURE, Quirks::GROQ, Quirks::MISTRAL] {
            check(&quirks, members, Some(""));
        }
        check(&Quirks::OPENAI, r#","r\u0065asoning_content":"r""#, Some(""));
        check(&Quirks::OPENAI, r#","function_call":{"name":"reasoning"}"#, None);
        check(&Quirks::COMPATIBLE, r#","reasoning_content":"r""#, None);
        check(&Quirks::DEEPSEEK, r#","reasoning_content":"r""#, None);
    }

    #[test]
    fn details_reach_their_owner_only() {
        check(
            &Quirks::OPENROUTER,
            r#","reasoning_details":[{"data":"OWNd"},{"signature":"OTHERs"},{"text":"t"}]"#,
            Some(r#","reasoning_details":[{"data":"d"},{"text":"t"}]"#),
        );
    }

    #[test]
    fn signatures_of_google_reach_their_owner_only() {
        let calls = |first: &str, second: &str| {
            format!(r#","tool_calls":[{{"id":"a"{first}}},{{"id":"b"{second}}}]"#)
        };
        let google = |data: &str| {
            format!(r#","extra_content":{{"google":{{"thought_signature":"{data}"}}}}"#)
        };
        check(
            &Quirks::COMPATIBLE,
            &calls(&google("OWNs"), &google("OTHERs")),
            Some(&calls(&google("s"), "")),
        );
    }

    #[test]
    fn seals_of_a_response_are_marked() {
        let whole = r#"{"choices":[{"message":{"reasoning_details":[{"signature":"s","n":1.0}],"tool_calls":[{"extra_content":{"google":{"thought_signature":"t"}}}]}}]}"#;
        let mut chunk = Chunk { verbatim: Some(Bytes::from(whole)), ..Chunk::default() };
        mark(&mut chunk, false, &owner(1));
        let expected = whole.replace(r#""s""#, r#""OWNs""#).replace(r#""t""#, r#""OWNt""#);
        assert_eq!(chunk.verbatim.unwrap(), named(&expected));
    }
}
