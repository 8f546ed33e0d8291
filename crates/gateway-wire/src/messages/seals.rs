//! The seals of thinking in the bytes of this dialect.

use crate::{
    json::editable_object::JsonNode,
    seals::{
        filter::{SealFilter, SealVerdict},
        mark as marks,
    },
};
use gateway_core::{Chunk, SealOwner};
use memchr::memmem::Finder;
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::LazyLock};

/// The names without which there is no seal.
static SEALED: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
    ["\"signature\"", "\"thinking\"", "\"redacted_thinking\"", "\"compaction\""].map(Finder::new)
});

/// The role of the messages that hold seals.
static ASSISTANT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"assistant\""));

/// The names without which an event of a stream holds no seal.
static SEALED_EVENT: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| {
    ["\"signature_delta\"", "\"redacted_thinking\"", "\"compaction\""].map(Finder::new)
});

/// The body of a request with only those seals that `filter` lets pass; `None` if it has no
/// others.
///
/// Thinking without a proof is not sent either: no upstream of this dialect takes it.
pub(super) fn release(body: &[u8], filter: &mut SealFilter) -> Option<Vec<u8>> {
    // Most requests are a conversation's first, and are read once.
    ASSISTANT.find(body)?;
    let [signature, _, redacted, compaction] = &*SEALED;
    let may_be_sealed = [signature, redacted, compaction].iter().any(|it| it.find(body).is_some());
    if !may_be_sealed && !has_thinking_blocks(body) {
        return None;
    }
    let mut root = JsonNode::Raw(serde_json::from_slice::<&RawValue>(body).ok()?);
    let messages = root.object()?.get_mut("messages")?.list()?;
    messages.retain_mut(|message| release_message(message, filter));
    filter.is_changed().then(|| serde_json::to_vec(&root).ok()).flatten()
}

/// Returns whether `"thinking"` stands in `body` more than once: once it is the wish to think.
fn has_thinking_blocks(body: &[u8]) -> bool {
    let [_, thinking, _, _] = &*SEALED;
    thinking.find_iter(body).nth(1).is_some()
}

fn release_message(message: &mut JsonNode<'_>, filter: &mut SealFilter) -> bool {
    let Some(message) = message.object() else { return true };
    let is_models =
        message.get("role").and_then(JsonNode::text).is_some_and(|it| it == "assistant");
    let blocks = message.get_mut("content").filter(|_| is_models).and_then(JsonNode::list);
    let Some(blocks) = blocks else { return true };
    let was_empty = blocks.is_empty();
    blocks.retain_mut(|block| release_block(block, filter));
    was_empty || !blocks.is_empty()
}

/// Returns whether `block` is sent.
fn release_block(block: &mut JsonNode<'_>, filter: &mut SealFilter) -> bool {
    let Some(object) = block.object() else { return true };
    let kind = object.get("type").and_then(JsonNode::text).unwrap_or_default();
    match &*kind {
        "thinking" => release_member(block, "signature", filter),
        "redacted_thinking" => release_member(block, "data", filter),
        "compaction" => release_compaction(block, filter),
        _ => true,
    }
}

fn release_member(block: &mut JsonNode<'_>, name: &'static str, filter: &mut SealFilter) -> bool {
    let Some(object) = block.object() else { return true };
    let data = object.get(name).and_then(JsonNode::text).filter(|data| !data.is_empty());
    let Some(data) = data else {
        filter.withhold();
        return false;
    };
    match filter.verdict(&data) {
        SealVerdict::Keep => true,
        SealVerdict::Restore(data) => {
            object.set(name, JsonNode::Text(Cow::Owned(data)));
            true
        }
        SealVerdict::Withhold => false,
    }
}

/// A summary that another upstream sealed is still text.
fn release_compaction(block: &mut JsonNode<'_>, filter: &mut SealFilter) -> bool {
    let Some(object) = block.object() else { return true };
    for name in ["encrypted_content", "signature"] {
        let Some(data) = object.get(name).and_then(JsonNode::text) else { continue };
        match filter.verdict(&data) {
            SealVerdict::Keep => {}
            SealVerdict::Restore(data) => object.set(name, JsonNode::Text(Cow::Owned(data))),
            SealVerdict::Withhold => {
                let Some(summary) = object.remove("content") else { return false };
                object.retain(|_, _| false);
                object.set("type", JsonNode::Text(Cow::Borrowed("text")));
                object.set("text", summary);
                return true;
            }
        }
    }
    true
}

/// Marks the seals in a chunk of a response.
pub(super) fn mark(chunk: &mut Chunk, is_framed: bool, owner: &SealOwner) {
    marks::mark_events(&mut chunk.events, owner);
    let Some(bytes) = &chunk.verbatim else { return };
    if is_framed {
        if SEALED_EVENT.iter().any(|name| name.find(bytes).is_some()) {
            marks::edit_chunk(chunk, true, |event| mark_event(event, owner));
        }
    } else if SEALED.iter().any(|name| name.find(bytes).is_some()) {
        marks::edit_chunk(chunk, false, |response| {
            let blocks = response.object().and_then(|it| it.get_mut("content")?.list());
            let blocks = blocks.into_iter().flatten();
            blocks.fold(false, |is_changed, block| mark_block(block, owner) | is_changed)
        });
    }
}

fn mark_event(event: &mut JsonNode<'_>, owner: &SealOwner) -> bool {
    let Some(event) = event.object() else { return false };
    if let Some(block) = event.get_mut("content_block") {
        return mark_block(block, owner);
    }
    let Some(delta) = event.get_mut("delta") else { return false };
    let kind = delta.object().and_then(|delta| delta.get("type")?.text());
    match kind.as_deref() {
        Some("signature_delta") => marks::mark_members(delta, &["signature"], owner),
        Some("compaction_delta") => marks::mark_compaction(delta, owner),
        _ => false,
    }
}

fn mark_block(block: &mut JsonNode<'_>, owner: &SealOwner) -> bool {
    let kind = block.object().and_then(|block| block.get("type")?.text());
    match kind.as_deref() {
        Some("thinking") => marks::mark_members(block, &["signature"], owner),
        Some("redacted_thinking") => marks::mark_members(block, &["data"], owner),
        Some("compaction") => marks::mark_compaction(block, owner),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seals::fixtures::{named, owner};
    use bytes::Bytes;

    fn body(blocks: &str) -> String {
        format!(
            r#"{{"model":"m", "messages":[{{"role":"assistant","content":[{blocks}]}}],"n":1.0}}"#
        )
    }

    #[track_caller]
    fn check(blocks: &str, expected: Option<&str>) {
        let mut filter = SealFilter::to_owner(owner(1));
        let sent = release(body(&named(blocks)).as_bytes(), &mut filter);
        let sent = sent.map(|sent| String::from_utf8(sent).unwrap());
        assert_eq!(sent, expected.map(|it| body(it).replace("\"m\", ", "\"m\",")));
    }

    #[test]
    fn own_seal_is_restored_and_foreign_thinking_left_out() {
        check(
            r#"{"type":"thinking","thinking":"a","signature":"OWNs"},{"type":"thinking","thinking":"b","signature":"OTHERs"},{"type":"text","text":"t"}"#,
            Some(
                r#"{"type":"thinking","thinking":"a","signature":"s"},{"type":"text","text":"t"}"#,
            ),
        );
        check(
            r#"{"type":"redacted_thinking","data":"OTHERs"},{"type":"redacted_thinking","data":"OWNs"}"#,
            Some(r#"{"type":"redacted_thinking","data":"s"}"#),
        );
    }

    #[test]
    fn seal_that_is_not_marked_is_sent_verbatim() {
        check(r#"{"type":"thinking","thinking":"a","signature":"s"}"#, None);
    }

    #[test]
    fn thinking_without_signature_is_left_out() {
        let text = r#"{"type":"text","text":"t"}"#;
        check(
            &format!(r#"{{"type":"thinking","thinking":"a","signature":""}},{text}"#),
            Some(text),
        );
        check(&format!(r#"{{"type":"thinking","thinking":"a"}},{text}"#), Some(text));
    }

    #[test]
    fn foreign_compaction_becomes_text() {
        check(
            r#"{"type":"compaction","content":"sum","encrypted_content":"OTHERs"}"#,
            Some(r#"{"type":"text","text":"sum"}"#),
        );
    }

    #[test]
    fn seals_of_a_stream_are_marked() {
        let event = |signature: &str| {
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"signature_delta\",\"signature\":\"{signature}\"}}}}\n\n"
            )
        };
        let mut chunk = Chunk { verbatim: Some(Bytes::from(event("s"))), ..Chunk::default() };
        mark(&mut chunk, true, &owner(1));
        assert_eq!(chunk.verbatim.unwrap(), event(&owner(1).mark("s")));
    }

    #[test]
    fn arguments_called_signature_are_not_marked() {
        let whole = r#"{"content":[{"type":"tool_use","input":{"signature":"x"}}]}"#;
        let mut chunk = Chunk { verbatim: Some(Bytes::from(whole)), ..Chunk::default() };
        mark(&mut chunk, false, &owner(1));
        assert_eq!(chunk.verbatim.unwrap(), whole);
    }
}
