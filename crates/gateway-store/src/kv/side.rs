//! Thinking, by the tool call it led to.

use super::{
    draft::{Draft, View},
    expiry,
    name::{self, Kind},
};
use crate::{clock::millis, limits::Limits, record};
use gateway_core::state::{Key, StoreError, StoredReasoning};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many places of forgotten asides one step clears away.
const TIDY: u64 = 8;

#[derive(Deserialize, Serialize)]
struct Kept {
    v: u32,
    /// Its place in the order of its tenant.
    place: u64,
    expires: u64,
    aside: StoredReasoning,
}

/// The places in use: from the first to before the next.
#[derive(Deserialize, Serialize)]
struct Order {
    v: u32,
    first: u64,
    next: u64,
}

/// See [`SideStore::put`](gateway_core::state::SideStore::put).
pub(super) fn put(
    draft: &mut Draft<'_>,
    limits: &Limits,
    key: &Key,
    aside: StoredReasoning,
    ttl: Duration,
) -> Result<(), StoreError> {
    let object = name::object(Kind::Aside, key);
    let before = kept(draft, &object)?;
    let place = match &before {
        Some(before) => before.place,
        None => take_place(draft, limits, key)?,
    };
    let expires = draft.now.saturating_add(millis(ttl));
    expiry::schedule(draft, &object, before.map(|kept| kept.expires), expires);
    draft.put(object, record::write(&Kept { v: record::SCHEMA, place, expires, aside })?);
    Ok(())
}

/// See [`SideStore::get`](gateway_core::state::SideStore::get).
pub(super) fn get(
    view: &dyn View,
    now: u64,
    key: &Key,
) -> Result<Option<StoredReasoning>, StoreError> {
    let kept = kept(view, &name::object(Kind::Aside, key))?;
    Ok(kept.filter(|kept| kept.expires > now).map(|kept| kept.aside))
}

/// The place of a new aside; the oldest make room for it.
fn take_place(draft: &mut Draft<'_>, limits: &Limits, key: &Key) -> Result<u64, StoreError> {
    let head = name::object(Kind::AsideOrder, &key.tenant().key(""));
    let mut order = match draft.get(&head)? {
        Some(json) => record::read("side store", &json)?,
        None => Order { v: record::SCHEMA, first: 0, next: 0 },
    };
    for _ in 0..TIDY {
        let full = order.next - order.first >= limits.asides;
        if order.first == order.next || !clear_first(draft, &head, &order, key, full)? {
            break;
        }
        order.first += 1;
    }
    let place = order.next;
    order.next += 1;
    draft.put(name::part(&head, place), key.id().as_bytes().to_vec());
    draft.put(head, record::write(&order)?);
    Ok(place)
}

/// Clears the first place if nothing is there any more, or if there must be room.
fn clear_first(
    draft: &mut Draft<'_>,
    head: &[u8],
    order: &Order,
    key: &Key,
    full: bool,
) -> Result<bool, StoreError> {
    let place = name::part(head, order.first);
    let id = draft.get(&place)?.unwrap_or_default();
    let object = name::object(Kind::Aside, &key.tenant().key(&*String::from_utf8_lossy(&id)));
    if let Some(kept) = kept(draft, &object)?.filter(|kept| kept.place == order.first) {
        if !full {
            return Ok(false);
        }
        expiry::forget(draft, &object, kept.expires)?;
    }
    draft.remove(place);
    Ok(true)
}

fn kept(view: &dyn View, object: &[u8]) -> Result<Option<Kept>, StoreError> {
    view.get(object)?.map(|json| record::read("aside", &json)).transpose()
}
