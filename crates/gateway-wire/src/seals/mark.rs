//! Responses on their way to a caller: each seal is marked with its owner.

use crate::{json::editable_object::JsonNode, sse};
use bytes::Bytes;
use gateway_core::{Chunk, Json, Seal, SealKind, SealOwner, StreamEvent};
use serde_json::value::RawValue;
use std::borrow::Cow;

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
    use gateway_core::Dialect;

    #[test]
    fn details_are_marked_inside() {
        let seal = |kind, data| Seal { dialect: Dialect::Chat, kind, id: None, data };
        let mut details =
            seal(SealKind::Details, r#"[{"text":"t","n":1e2},{"data":"d"}]"#.to_owned());
        let owner = SealOwner::new([1; 6], "m");
        mark_seal(&mut details, &owner);
        let expected = format!(r#"[{{"text":"t","n":1e2}},{{"data":"{}d"}}]"#, owner.as_str());
        assert_eq!(details.data, expected);
    }
}
