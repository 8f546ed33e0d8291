//! Kept answers, and their steps.

use super::{
    expiry,
    key_layout::{self, RecordKind},
    write_txn::{ReadView, WriteTxn},
};
use crate::{clock::millis, limits::StoreLimits, record};
use bytes::Bytes;
use gateway_core::state::{Key, ResponseEvents, StoreError, StoredResponse, WriteOutcome};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Deserialize, Serialize)]
struct ResponseHeader {
    v: u32,
    in_progress: bool,
    expires: u64,
    events: u64,
    event_bytes: u64,
    /// The end of its writer's lease, of a response in progress.
    #[serde(default)]
    leased_until: Option<u64>,
}

impl ResponseHeader {
    /// The rest of the writer's lease.
    fn lease(&self, now: u64) -> Option<Duration> {
        let until = self.leased_until.filter(|_| self.in_progress)?;
        Some(Duration::from_millis(until.saturating_sub(now)))
    }
}

/// Implements [`ResponseStore::put`](gateway_core::state::ResponseStore::put) on a transaction.
pub(super) fn put(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    key: &Key,
    response: &StoredResponse,
    ttl: Duration,
) -> Result<(), StoreError> {
    if response.body.len() as u64 > limits.response_bytes {
        return Err(StoreError::Invalid("the response is too large to be stored"));
    }
    let object = key_layout::object(RecordKind::Response, key);
    let before = live(txn, txn.now, &object)?;
    if before.is_none() {
        discard_ended(txn, &object)?;
    }
    let expires = txn.now.saturating_add(millis(ttl));
    expiry::schedule(txn, &object, before.as_ref().map(|head| head.expires), expires);
    let (events, event_bytes) = before.map_or((0, 0), |head| (head.events, head.event_bytes));
    let in_progress = response.in_progress;
    let lease = response.lease.filter(|_| in_progress);
    let leased_until = lease.map(|lease| txn.now.saturating_add(millis(lease)));
    let v = record::SCHEMA;
    let head = ResponseHeader { v, in_progress, expires, events, event_bytes, leased_until };
    txn.put(key_layout::body(&object), response.body.to_vec());
    txn.put(object, record::write(&head)?);
    Ok(())
}

/// Implements [`ResponseStore::get`](gateway_core::state::ResponseStore::get) on a view.
pub(super) fn get(
    view: &dyn ReadView,
    now: u64,
    key: &Key,
) -> Result<Option<StoredResponse>, StoreError> {
    let object = key_layout::object(RecordKind::Response, key);
    let Some(head) = live(view, now, &object)? else { return Ok(None) };
    let Some(body) = view.get(&key_layout::body(&object))? else {
        return Err(StoreError::corrupt("response", "it has no body"));
    };
    let (in_progress, lease) = (head.in_progress, head.lease(now));
    Ok(Some(StoredResponse { body: body.into(), in_progress, lease }))
}

/// Implements [`ResponseStore::renew`](gateway_core::state::ResponseStore::renew) on a transaction.
pub(super) fn renew(
    txn: &mut WriteTxn<'_>,
    key: &Key,
    lease: Duration,
) -> Result<bool, StoreError> {
    let object = key_layout::object(RecordKind::Response, key);
    let found = live(txn, txn.now, &object)?.filter(|head| head.in_progress);
    let Some(head) = found else { return Ok(false) };
    let leased_until = Some(txn.now.saturating_add(millis(lease)));
    txn.put(object, record::write(&ResponseHeader { leased_until, ..head })?);
    Ok(true)
}

/// Implements [`ResponseStore::end_abandoned`](gateway_core::state::ResponseStore::end_abandoned)
/// on a transaction.
pub(super) fn end_abandoned(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    key: &Key,
    response: &StoredResponse,
    ttl: Duration,
) -> Result<bool, StoreError> {
    let found = live(txn, txn.now, &key_layout::object(RecordKind::Response, key))?;
    let lease = found.and_then(|head| head.lease(txn.now));
    if !lease.is_some_and(|rest| rest.is_zero()) {
        return Ok(false);
    }
    put(txn, limits, key, response, ttl)?;
    Ok(true)
}

/// Implements [`ResponseStore::delete`](gateway_core::state::ResponseStore::delete) on a
/// transaction.
pub(super) fn delete(txn: &mut WriteTxn<'_>, key: &Key) -> Result<bool, StoreError> {
    let object = key_layout::object(RecordKind::Response, key);
    let Some(head) = live(txn, txn.now, &object)? else { return Ok(false) };
    expiry::forget(txn, &object, head.expires)?;
    Ok(true)
}

/// Implements [`ResponseStore::append`](gateway_core::state::ResponseStore::append) on a
/// transaction.
pub(super) fn append(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    key: &Key,
    from: u64,
    events: &[Bytes],
) -> Result<WriteOutcome, StoreError> {
    let object = key_layout::object(RecordKind::Response, key);
    let Some(mut head) = live(txn, txn.now, &object)?.filter(|head| head.in_progress) else {
        return Ok(WriteOutcome::Gone);
    };
    if from > head.events {
        return Ok(WriteOutcome::Conflict(head.events));
    }
    let known = usize::try_from(head.events - from).unwrap_or(usize::MAX);
    let new = events.get(known..).unwrap_or_default();
    if new.is_empty() {
        return Ok(WriteOutcome::Duplicate(head.events));
    }
    let first = head.events;
    head.events += new.len() as u64;
    head.event_bytes += new.iter().map(|event| event.len() as u64).sum::<u64>();
    if head.events > limits.response_events || head.event_bytes > limits.response_bytes {
        return Ok(WriteOutcome::Full);
    }
    for (n, event) in (first..).zip(new) {
        txn.put(key_layout::part(&object, n), event.to_vec());
    }
    txn.put(object, record::write(&head)?);
    Ok(WriteOutcome::Done(head.events))
}

/// Implements [`ResponseStore::events`](gateway_core::state::ResponseStore::events) on a view.
pub(super) fn events(
    view: &dyn ReadView,
    now: u64,
    key: &Key,
    from: u64,
    limit: u64,
) -> Result<Option<ResponseEvents>, StoreError> {
    let object = key_layout::object(RecordKind::Response, key);
    let Some(head) = live(view, now, &object)? else { return Ok(None) };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = view.scan(key_layout::parts_from(&object, from), limit)?;
    let events = found.into_iter().map(|(_, event)| event.into()).collect();
    Ok(Some(ResponseEvents { events, in_progress: head.in_progress, lease: head.lease(now) }))
}

fn live(
    view: &dyn ReadView,
    now: u64,
    object: &[u8],
) -> Result<Option<ResponseHeader>, StoreError> {
    let Some(json) = view.get(object)? else { return Ok(None) };
    let head: ResponseHeader = record::read("response", &json)?;
    Ok((head.expires > now).then_some(head))
}

/// Removes an expired, unswept record, so that its events do not leak into a new response.
fn discard_ended(txn: &mut WriteTxn<'_>, object: &[u8]) -> Result<(), StoreError> {
    let Some(json) = txn.get(object)? else { return Ok(()) };
    let head: ResponseHeader = record::read("response", &json)?;
    expiry::forget(txn, object, head.expires)
}
