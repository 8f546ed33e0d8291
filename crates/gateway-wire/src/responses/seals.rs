//! The seals of reasoning in the bytes of this dialect.
//!
//! An item of reasoning that is kept upstream has no token, only a name: its mark is its whole
//! `encrypted_content`.

use crate::{
    IdGenerator,
    json::editable_object::{EditableObject, JsonNode},
    responses::reasoning_seals,
    seals::{
        filter::{SealFilter, SealVerdict},
        mark as marks,
    },
};
use gateway_core::{Chunk, Dialect, SealOwner};
use memchr::memmem::Finder;
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::LazyLock};

/// The types without which there is no seal.
static SEALED: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| ["\"reasoning\"", "\"compaction\""].map(Finder::new));

/// The body of a request with only those seals that `filter` lets pass; `None` if it has no
/// others.
pub(super) fn release(body: &[u8], filter: &mut SealFilter) -> Option<Vec<u8>> {
    if SEALED.iter().all(|kind| kind.find(body).is_none()) {
        return None;
    }
    let mut root = JsonNode::Raw(serde_json::from_slice::<&RawValue>(body).ok()?);
    let items = root.object()?.get_mut("input")?.list()?;
    items.retain_mut(|item| release_item(item, filter));
    if filter.has_foreign() {
        // What an item is called is known only to the upstream that made it.
        items.iter_mut().for_each(forget_id);
    }
    filter.is_changed().then(|| serde_json::to_vec(&root).ok()).flatten()
}

/// Returns whether `item` is sent.
fn release_item(item: &mut JsonNode<'_>, filter: &mut SealFilter) -> bool {
    let Some(object) = item.object() else { return true };
    let kind = object.get("type").and_then(JsonNode::text);
    if !matches!(kind.as_deref(), Some("reasoning" | "compaction")) {
        return true;
    }
    let data = object.get("encrypted_content").and_then(JsonNode::text);
    let Some(data) = data.filter(|data| !data.is_empty()) else {
        let id = object.get("id").and_then(JsonNode::text).unwrap_or_default();
        let is_synthetic = IdGenerator::first(&id, "rs_").is_some();
        if is_synthetic {
            filter.withhold();
        }
        return !is_synthetic;
    };
    if let Some((seal, call)) = reasoning_seals::unwrap_foreign(&data) {
        if seal.dialect != Dialect::Responses || call.is_some() {
            filter.withhold();
            return false;
        }
        let is_sent = restore(object, &seal.data, filter);
        if let Some(id) = seal.id.filter(|_| is_sent) {
            object.set("id", JsonNode::Text(Cow::Owned(id)));
        }
        return is_sent;
    }
    let is_compaction = kind.as_deref() == Some("compaction");
    let is_sent = restore(object, &data, filter);
    if is_compaction && !is_sent {
        filter.withhold_compaction();
    }
    is_sent
}

fn restore(object: &mut EditableObject<'_>, data: &str, filter: &mut SealFilter) -> bool {
    match filter.verdict(data) {
        SealVerdict::Keep => true,
        SealVerdict::Restore(data) => {
            if data.is_empty() {
                object.remove("encrypted_content");
            } else {
                object.set("encrypted_content", JsonNode::Text(Cow::Owned(data)));
            }
            true
        }
        SealVerdict::Withhold => false,
    }
}

fn forget_id(item: &mut JsonNode<'_>) {
    let Some(object) = item.object() else { return };
    let kind = object.get("type").and_then(JsonNode::text);
    if matches!(kind.as_deref(), Some("message" | "function_call" | "custom_tool_call")) {
        object.remove("id");
    }
}

/// Marks the seals in a chunk of a response.
pub(super) fn mark(chunk: &mut Chunk, is_framed: bool, owner: &SealOwner) {
    marks::mark_events(&mut chunk.events, owner);
    let Some(bytes) = &chunk.verbatim else { return };
    if SEALED.iter().all(|kind| kind.find(bytes).is_none()) {
        return;
    }
    marks::edit_chunk(chunk, is_framed, |root| {
        let Some(object) = root.object() else { return false };
        if let Some(item) = object.get_mut("item") {
            return mark_item(item, owner);
        }
        if let Some(response) = object.get_mut("response") {
            return mark_output(response, owner);
        }
        mark_output(root, owner)
    });
}

fn mark_output(response: &mut JsonNode<'_>, owner: &SealOwner) -> bool {
    let items = response.object().and_then(|it| it.get_mut("output")?.list());
    let items = items.into_iter().flatten();
    items.fold(false, |is_changed, item| mark_item(item, owner) | is_changed)
}

fn mark_item(item: &mut JsonNode<'_>, owner: &SealOwner) -> bool {
    let kind = item.object().and_then(|item| item.get("type")?.text());
    let is_reasoning = match kind.as_deref() {
        Some("reasoning") => true,
        Some("compaction") => false,
        _ => return false,
    };
    if marks::mark_members(item, &["encrypted_content"], owner) {
        return true;
    }
    if let Some(object) = item.object().filter(|_| is_reasoning) {
        object.set("encrypted_content", JsonNode::Text(Cow::Owned(owner.mark(""))));
    }
    is_reasoning
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seals::fixtures::{named, owner};
    use bytes::Bytes;

    #[track_caller]
    fn check(items: &str, expected: Option<&str>) {
        let body = |items: &str| format!(r#"{{"input":[{items}],"n":1.0}}"#);
        let mut filter = SealFilter::to_owner(owner(1));
        let sent = release(body(&named(items)).as_bytes(), &mut filter);
        let sent = sent.map(|sent| String::from_utf8(sent).unwrap());
        assert_eq!(sent, expected.map(body));
    }

    #[test]
    fn own_reasoning_is_restored() {
        check(
            r#"{"type":"reasoning","id":"rs_1","encrypted_content":"OWNg"}"#,
            Some(r#"{"type":"reasoning","id":"rs_1","encrypted_content":"g"}"#),
        );
        check(
            r#"{"type":"reasoning","id":"rs_1","encrypted_content":"OWN"}"#,
            Some(r#"{"type":"reasoning","id":"rs_1"}"#),
        );
        check(r#"{"type":"reasoning","id":"rs_1","encrypted_content":"g"}"#, None);
    }

    #[test]
    fn foreign_reasoning_is_left_out_with_the_names_of_items() {
        check(
            r#"{"type":"reasoning","id":"rs_1","encrypted_content":"OTHERg"},{"type":"message","id":"msg_1","role":"assistant"}"#,
            Some(r#"{"type":"message","role":"assistant"}"#),
        );
        check(
            r#"{"type":"reasoning","id":"rs_1","encrypted_content":"gw1:{\"dialect\":\"messages\",\"kind\":\"signature\",\"data\":\"s\"}"}"#,
            Some(""),
        );
    }

    #[test]
    fn synthetic_reasoning_is_left_out() {
        let id = IdGenerator::new(5).next("rs_");
        check(&format!(r#"{{"type":"reasoning","id":"{id}","summary":[]}}"#), Some(""));
        check(r#"{"type":"reasoning","id":"rs_68","summary":[]}"#, None);
    }

    #[test]
    fn wrapped_seal_of_this_dialect_is_unwrapped() {
        check(
            r#"{"type":"reasoning","id":"rs_2","encrypted_content":"gw1:{\"dialect\":\"responses\",\"kind\":\"encrypted\",\"id\":\"rs_1\",\"data\":\"OWNg\"}"}"#,
            Some(r#"{"type":"reasoning","id":"rs_1","encrypted_content":"g"}"#),
        );
    }

    #[track_caller]
    fn check_mark(is_framed: bool, bytes: &str, expected: &str) {
        let mut chunk = Chunk { verbatim: Some(Bytes::from(bytes.to_owned())), ..Chunk::default() };
        mark(&mut chunk, is_framed, &owner(1));
        assert_eq!(chunk.verbatim.unwrap(), named(expected));
    }

    #[test]
    fn reasoning_of_a_response_is_marked() {
        check_mark(
            false,
            r#"{"reasoning":{},"output":[{"type":"reasoning","id":"rs_1","encrypted_content":"g"},{"type":"message"}]}"#,
            r#"{"reasoning":{},"output":[{"type":"reasoning","id":"rs_1","encrypted_content":"OWNg"},{"type":"message"}]}"#,
        );
        check_mark(
            true,
            "event: a\ndata: {\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\"}}\n\n",
            "event: a\ndata: {\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\",\"encrypted_content\":\"OWN\"}}\n\n",
        );
        let plain = r#"{"reasoning":{"effort":"low"},  "output":[{"type":"message"}]}"#;
        check_mark(false, plain, plain);
    }
}
