//! Requests that were already made.

use super::{
    expiry,
    key_layout::{self, RecordKind},
    write_txn::{ReadView as _, WriteTxn},
};
use crate::{clock::millis, limits::StoreLimits, record};
use gateway_core::state::{BeginResult, Fingerprint, Key, Replay, StoreError};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Deserialize, Serialize)]
struct IdempotencyRecord {
    v: u32,
    fingerprint: Fingerprint,
    token: String,
    /// Process that runs the request; 0 if the record outlives it.
    #[serde(default)]
    process: u64,
    expires: u64,
    done: Option<IdempotencyHeader>,
}

#[derive(Deserialize, Serialize)]
struct IdempotencyHeader {
    status: u16,
    content_type: String,
}

impl IdempotencyRecord {
    /// Returns whether the process that ran the request is gone: a map belongs to one process.
    fn is_left(&self, process: u64) -> bool {
        self.done.is_none() && self.process != 0 && self.process != process
    }

    /// Whether it is that of an attempt which is not finished.
    fn is_of(&self, fingerprint: &Fingerprint, token: &str) -> bool {
        self.done.is_none() && self.fingerprint == *fingerprint && self.token == token
    }
}

/// An attempt that is renewed as long as it is made asks for no more. Who asks for more at once
/// cannot be asked what became of it, and it must not be made again before the lease ends.
pub(super) const RENEWED: Duration = Duration::from_mins(1);

/// Implements [`IdempotencyStore::begin`](gateway_core::state::IdempotencyStore::begin) on a transaction.
pub(super) fn begin(
    txn: &mut WriteTxn<'_>,
    key: &Key,
    fingerprint: &Fingerprint,
    (token, process): (&str, u64),
    lease: Duration,
) -> Result<BeginResult, StoreError> {
    let object = key_layout::object(RecordKind::Replay, key);
    let before = load(txn, &object)?;
    let live = before.as_ref();
    let live = live.filter(|record| record.expires > txn.now && !record.is_left(process));
    // The same attempt may ask again: it was not told, or takes longer.
    if let Some(record) = live.filter(|record| !record.is_of(fingerprint, token)) {
        return stored_token(txn, &object, record, fingerprint);
    }
    let expires = txn.now.saturating_add(millis(lease));
    expiry::schedule(txn, &object, before.map(|record| record.expires), expires);
    let process = if lease <= RENEWED { process } else { 0 };
    let (v, fingerprint, token) = (record::SCHEMA, *fingerprint, token.to_owned());
    txn.remove(key_layout::body(&object));
    txn.put(
        object,
        record::write(&IdempotencyRecord { v, fingerprint, token, process, expires, done: None })?,
    );
    Ok(BeginResult::New)
}

fn stored_token(
    txn: &WriteTxn<'_>,
    object: &[u8],
    record: &IdempotencyRecord,
    fingerprint: &Fingerprint,
) -> Result<BeginResult, StoreError> {
    if record.fingerprint != *fingerprint {
        return Ok(BeginResult::Mismatch);
    }
    match &record.done {
        None => Ok(BeginResult::InProgress),
        Some(head) => {
            let body = txn.get(&key_layout::body(object))?.unwrap_or_default();
            let content_type = head.content_type.clone();
            Ok(BeginResult::Done(Replay { status: head.status, content_type, body: body.into() }))
        }
    }
}

/// Implements [`IdempotencyStore::finish`](gateway_core::state::IdempotencyStore::finish) on a transaction.
pub(super) fn finish(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    key: &Key,
    token: &str,
    (replay, ttl): (&Replay, Duration),
) -> Result<bool, StoreError> {
    if replay.body.len() as u64 > limits.replay_bytes {
        return Err(StoreError::Invalid("the reply is too large to be stored"));
    }
    let object = key_layout::object(RecordKind::Replay, key);
    let Some(mut record) = load(txn, &object)?.filter(|record| record.token == token) else {
        return Ok(false);
    };
    let expires = txn.now.saturating_add(millis(ttl));
    expiry::schedule(txn, &object, Some(record.expires), expires);
    record.expires = expires;
    let (status, content_type) = (replay.status, replay.content_type.clone());
    record.done = Some(IdempotencyHeader { status, content_type });
    txn.put(key_layout::body(&object), replay.body.to_vec());
    txn.put(object, record::write(&record)?);
    Ok(true)
}

/// Implements [`IdempotencyStore::abandon`](gateway_core::state::IdempotencyStore::abandon) on a transaction.
pub(super) fn abandon(txn: &mut WriteTxn<'_>, key: &Key, token: &str) -> Result<(), StoreError> {
    let object = key_layout::object(RecordKind::Replay, key);
    let record = load(txn, &object)?;
    if let Some(record) = record.filter(|it| it.token == token && it.done.is_none()) {
        expiry::forget(txn, &object, record.expires)?;
    }
    Ok(())
}

fn load(txn: &WriteTxn<'_>, object: &[u8]) -> Result<Option<IdempotencyRecord>, StoreError> {
    txn.get(object)?.map(|json| record::read("replay", &json)).transpose()
}
