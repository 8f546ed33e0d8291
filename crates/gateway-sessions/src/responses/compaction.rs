//! Compaction: a conversation is replaced by a summary of it.
//!
//! A provider that compacts conversations itself does so in its own way. For every other model the
//! same model writes the summary, which travels in an envelope as the `encrypted_content` of a
//! compaction item:
//!
//! ```text
//!   gwc1:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08:The user asked ...
//!        digest of version, tenant and summary                           the summary
//! ```
//!
//! The next request of the same tenant has the summary in place of the item, whichever model it is
//! for.

use gateway_core::{ErrorKind, GatewayError, Json, JsonObject, Result, state::Tenant};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// The beginning of every envelope: a format, and its version.
const VERSION: &str = "gwc1";

/// The introduction of a summary to the model.
const INTRODUCTION: &str = "The conversation so far was compacted. This is the summary of it:\n\n";

/// The compaction items of an input, and whether the input requests compaction.
#[derive(Debug, Default)]
pub(super) struct CompactionInput {
    /// The items with summaries in place of envelopes and without the request for compaction, if
    /// that makes a difference.
    pub(super) items: Option<Vec<Json>>,
    /// The gateway is to compact the conversation.
    pub(super) is_requested: bool,
}

/// Puts `summary` into an envelope that only `tenant` can open.
fn seal(summary: &str, tenant: &Tenant) -> String {
    format!("{VERSION}:{}:{summary}", digest(summary, tenant))
}

/// The compaction item `id` with `summary`, for `tenant`.
pub fn item(id: &str, summary: &str, tenant: &Tenant) -> Json {
    Json::of(&json!({ "type": "compaction", "id": id, "encrypted_content": seal(summary, tenant) }))
}

fn digest(summary: &str, tenant: &Tenant) -> String {
    let hash = Sha256::new().chain_update(VERSION).chain_update([0]);
    let hash = hash.chain_update(tenant.as_str()).chain_update([0]).chain_update(summary);
    format!("{:x}", hash.finalize())
}

/// The summary in `content`; `None` if it is not an envelope of the gateway.
fn open<'a>(content: &'a str, tenant: &Tenant) -> Result<Option<&'a str>> {
    let Some((version, rest)) = content.split_once(':') else { return Ok(None) };
    if version != VERSION {
        return if is_newer(version) { Err(unreadable()) } else { Ok(None) };
    }
    let opened = rest.split_once(':').filter(|(seal, text)| *seal == digest(text, tenant));
    opened.map(|(_, summary)| Some(summary)).ok_or_else(unreadable)
}

/// Whether `version` is of this format, and not the one that is known.
fn is_newer(version: &str) -> bool {
    version.strip_prefix("gwc").is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads the compaction items of an input. A provider with compaction of its own (`is_native`) gets
/// its own items, and the request for compaction.
///
/// # Errors
///
/// If an envelope is damaged or of another tenant, or the request for compaction is not last.
pub(super) fn read(items: &[Json], tenant: &Tenant, is_native: bool) -> Result<CompactionInput> {
    let mut is_requested = false;
    let mut is_changed = false;
    let mut read = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        match kind(item).as_deref() {
            Some("compaction_trigger") if at + 1 < items.len() => return Err(not_last(at)),
            Some("compaction_trigger") if !is_native => {
                is_requested = true;
                is_changed = true;
            }
            Some("compaction") => match restored(item, tenant)? {
                Some(message) => {
                    is_changed = true;
                    read.push(message);
                }
                None if is_native => read.push(item.clone()),
                None => return Err(foreign()),
            },
            Some(_) | None => read.push(item.clone()),
        }
    }
    Ok(CompactionInput { items: is_changed.then_some(read), is_requested })
}

/// Returns the conversation of the earlier `items`, without those that a summary replaces.
pub(super) fn restore_earlier(items: Vec<Json>, tenant: &Tenant) -> Result<Vec<Json>> {
    let is_summary = |item: &Json| {
        item.get().contains(VERSION) && restored(item, tenant).is_ok_and(|it| it.is_some())
    };
    let Some(last) = items.iter().rposition(is_summary) else { return Ok(items) };
    let mut rest = items.into_iter().skip(last);
    let summary = rest.next().map(|item| restored(&item, tenant)).transpose()?.flatten();
    Ok(summary.into_iter().chain(rest).collect())
}

/// The message with the summary of a compaction item; `None` if the item is not the gateway's.
fn restored(item: &Json, tenant: &Tenant) -> Result<Option<Json>> {
    let members = item.read::<JsonObject>().unwrap_or_default();
    let content = members.get("encrypted_content").and_then(|it| it.read::<String>().ok());
    let Some(content) = content else { return Ok(None) };
    let summary = open(&content, tenant)?;
    Ok(summary.map(|summary| {
        let text = format!("{INTRODUCTION}{summary}");
        let content = json!([{ "type": "input_text", "text": text }]);
        Json::of(&json!({ "type": "message", "role": "user", "content": content }))
    }))
}

fn kind(item: &Json) -> Option<String> {
    if !item.get().contains("\"compaction") {
        return None;
    }
    item.read::<JsonObject>().ok()?.get("type")?.read().ok()
}

fn not_last(at: usize) -> GatewayError {
    let message = "compaction_trigger must be the last item of the input";
    GatewayError::invalid(format!("input[{at}]"), message)
}

fn unreadable() -> GatewayError {
    let message = "the compaction item cannot be read: it is damaged, newer, or of another client";
    GatewayError::invalid("input", message).with_code("invalid_encrypted_content")
}

fn foreign() -> GatewayError {
    GatewayError::new(
        ErrorKind::InvalidRequest,
        "the compaction item was made by another provider, which alone can read it",
    )
    .with_param("input")
    .with_code("invalid_encrypted_content")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    fn items(items: &[Json]) -> Vec<Json> {
        items.to_vec()
    }

    #[test]
    fn envelope_opens_for_its_tenant_only() {
        let acme = tenant("acme");
        let sealed = seal("a:b\n", &acme);
        assert_eq!(open(&sealed, &acme).unwrap(), Some("a:b\n"));
        assert!(open(&sealed, &tenant("other")).is_err());
        assert!(open(&sealed.replace("a:b", "a:c"), &acme).is_err());
        assert!(open("gwc2:x:y", &acme).is_err(), "newer");
        assert_eq!(open("gAAAAAB", &acme).unwrap(), None);
    }

    #[test]
    fn trigger_is_taken_from_the_end_of_the_input() {
        let acme = tenant("acme");
        let message = Json::of(&json!({ "role": "user", "content": "hi" }));
        let trigger = Json::of(&json!({ "type": "compaction_trigger" }));
        let input = items(&[message.clone(), trigger.clone()]);
        let compaction = read(&input, &acme, false).unwrap();
        assert!(compaction.is_requested);
        assert_eq!(compaction.items, Some(vec![message.clone()]));
        let native = read(&input, &acme, true).unwrap();
        assert!(!native.is_requested && native.items.is_none());
        let error = read(&[trigger, message], &acme, true).unwrap_err();
        assert_eq!(error.param(), Some("input[0]"));
    }

    #[test]
    fn summary_takes_the_place_of_its_item() {
        let acme = tenant("acme");
        let input = [item("cmp_1", "sum", &acme)];
        for is_native in [true, false] {
            let read = read(&input, &acme, is_native).unwrap().items.unwrap();
            assert!(read[0].get().contains("sum") && !read[0].get().contains(VERSION));
        }
        let native = Json::of(&json!({ "type": "compaction", "encrypted_content": "gAAA" }));
        assert!(read(std::slice::from_ref(&native), &acme, true).unwrap().items.is_none());
        assert!(read(&[native], &acme, false).is_err());
    }

    #[test]
    fn earlier_items_are_replaced_by_their_summary() {
        let acme = tenant("acme");
        let old = Json::of(&json!({ "role": "user", "content": "old" }));
        let new = Json::of(&json!({ "role": "user", "content": "new" }));
        let earlier = vec![old.clone(), item("cmp_1", "sum", &acme), new.clone()];
        let restored = restore_earlier(earlier, &acme).unwrap();
        assert_eq!(restored.len(), 2);
        assert!(restored[0].get().contains("sum") && restored[1] == new);
        assert_eq!(restore_earlier(vec![old.clone()], &acme).unwrap(), [old]);
    }
}
