//! Thinking, by the tool call it led to.

use super::{
    expiry,
    key_layout::{self, RecordKind},
    write_txn::{ReadView, WriteTxn},
};
use crate::{clock::millis, limits::StoreLimits, record};
use gateway_core::state::{Key, StoreError, StoredReasoning};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Maximum stale positions cleared in one step.
const TIDY: u64 = 8;

#[derive(Deserialize, Serialize)]
struct ReasoningRecord {
    v: u32,
    /// Its place in the order of its tenant.
    place: u64,
    expires: u64,
    aside: StoredReasoning,
}

/// The places in use: from the first to before the next.
#[derive(Deserialize, Serialize)]
struct EvictionOrder {
    v: u32,
    first: u64,
    next: u64,
}

/// Implements [`ReasoningStore::put`](gateway_core::state::ReasoningStore::put) on a transaction.
pub(super) fn put(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    key: &Key,
    aside: StoredReasoning,
    ttl: Duration,
) -> Result<(), StoreError> {
    let object = key_layout::object(RecordKind::Aside, key);
    let before = stored_reasoning(txn, &object)?;
    let place = match &before {
        Some(before) => before.place,
        None => take_place(txn, limits, key)?,
    };
    let expires = txn.now.saturating_add(millis(ttl));
    expiry::schedule(txn, &object, before.map(|kept| kept.expires), expires);
    txn.put(object, record::write(&ReasoningRecord { v: record::SCHEMA, place, expires, aside })?);
    Ok(())
}

/// Implements [`ReasoningStore::get`](gateway_core::state::ReasoningStore::get) on a view.
pub(super) fn get(
    view: &dyn ReadView,
    now: u64,
    key: &Key,
) -> Result<Option<StoredReasoning>, StoreError> {
    let kept = stored_reasoning(view, &key_layout::object(RecordKind::Aside, key))?;
    Ok(kept.filter(|kept| kept.expires > now).map(|kept| kept.aside))
}

/// The place of a new aside; the oldest make room for it.
fn take_place(txn: &mut WriteTxn<'_>, limits: &StoreLimits, key: &Key) -> Result<u64, StoreError> {
    let head = key_layout::object(RecordKind::AsideOrder, &key.tenant().key(""));
    let mut order = match txn.get(&head)? {
        Some(json) => record::read("side store", &json)?,
        None => EvictionOrder { v: record::SCHEMA, first: 0, next: 0 },
    };
    for _ in 0..TIDY {
        let full = order.next - order.first >= limits.asides;
        if order.first == order.next || !clear_first(txn, &head, &order, key, full)? {
            break;
        }
        order.first += 1;
    }
    let place = order.next;
    order.next += 1;
    txn.put(key_layout::part(&head, place), key.id().as_bytes().to_vec());
    txn.put(head, record::write(&order)?);
    Ok(place)
}

/// Clears the first place if nothing is there any more, or if there must be room.
fn clear_first(
    txn: &mut WriteTxn<'_>,
    head: &[u8],
    order: &EvictionOrder,
    key: &Key,
    full: bool,
) -> Result<bool, StoreError> {
    let place = key_layout::part(head, order.first);
    let id = txn.get(&place)?.unwrap_or_default();
    let object =
        key_layout::object(RecordKind::Aside, &key.tenant().key(&*String::from_utf8_lossy(&id)));
    if let Some(kept) = stored_reasoning(txn, &object)?.filter(|kept| kept.place == order.first) {
        if !full {
            return Ok(false);
        }
        expiry::forget(txn, &object, kept.expires)?;
    }
    txn.remove(place);
    Ok(true)
}

fn stored_reasoning(
    view: &dyn ReadView,
    object: &[u8],
) -> Result<Option<ReasoningRecord>, StoreError> {
    view.get(object)?.map(|json| record::read("aside", &json)).transpose()
}
