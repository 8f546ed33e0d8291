//! Write operations on sessions.

use super::{
    expiry,
    key_layout::{self, RecordKind},
    session::{self, SessionMeta},
    write_txn::{ReadView as _, WriteTxn},
};
use crate::{clock::millis, limits::StoreLimits, record};
use gateway_core::state::{
    Key, MessageRange, NewSession, Session, SessionContext, SessionEntry, SessionFork,
    SessionPatch, SessionTurn, StoreError, WriteOutcome,
};
use std::time::Duration;

/// Implements [`SessionStore::create`](gateway_core::state::SessionStore::create) on a transaction.
pub(super) fn create(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    key: &Key,
    new: NewSession,
) -> Result<Session, StoreError> {
    let meta = SessionMeta {
        v: record::SCHEMA,
        tenant: key.tenant().to_string(),
        id: key.id().to_owned(),
        version: 0,
        turn: 0,
        created: txn.now,
        expires: end(txn, new.ttl),
        ttl: millis(new.ttl),
        messages: 0,
        bytes: 0,
        context: new.context,
    };
    if context_bytes(&meta.context) > limits.context_bytes {
        return Err(StoreError::Invalid("the session's context is too large"));
    }
    insert(txn, key, meta)
}

/// Implements [`SessionStore::append`](gateway_core::state::SessionStore::append) on a transaction.
pub(super) fn append(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    key: &Key,
    turn: &SessionTurn,
    payloads: &[String],
) -> Result<WriteOutcome, StoreError> {
    let object = key_layout::object(RecordKind::Session, key);
    let Some(mut meta) = session::live(txn, txn.now, &object)? else {
        return Ok(WriteOutcome::Gone);
    };
    let note = key_layout::turn(&object, &turn.id);
    if let Some(version) = txn.get(&note)? {
        return Ok(WriteOutcome::Duplicate(read_version(&version)?));
    }
    if turn.expected.is_some_and(|seen| seen < meta.turn || seen > meta.version) {
        return Ok(WriteOutcome::Conflict(meta.version));
    }
    let first = meta.messages;
    meta.messages += payloads.len() as u64;
    meta.bytes += payloads.iter().map(|payload| payload.len() as u64).sum::<u64>();
    apply(&mut meta.context, &turn.patch);
    if meta.messages > limits.session_messages
        || meta.bytes > limits.session_bytes
        || context_bytes(&meta.context) > limits.context_bytes
    {
        return Ok(WriteOutcome::Full);
    }
    meta.version += 1;
    meta.turn = meta.version;
    for (position, payload) in (first..).zip(payloads) {
        let line = record::line(meta.version, txn.now, payload);
        txn.put(key_layout::part(&object, position), line.into_bytes());
    }
    txn.put(note, meta.version.to_be_bytes().to_vec());
    let version = meta.version;
    keep(txn, &object, meta, turn.ttl)?;
    Ok(WriteOutcome::Done(version))
}

/// Implements [`SessionStore::patch`](gateway_core::state::SessionStore::patch) on a transaction.
pub(super) fn patch(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    key: &Key,
    patch: &SessionPatch,
    expected: Option<u64>,
) -> Result<WriteOutcome, StoreError> {
    let object = key_layout::object(RecordKind::Session, key);
    let Some(mut meta) = session::live(txn, txn.now, &object)? else {
        return Ok(WriteOutcome::Gone);
    };
    if expected.is_some_and(|expected| expected != meta.version) {
        return Ok(WriteOutcome::Conflict(meta.version));
    }
    apply(&mut meta.context, patch);
    if context_bytes(&meta.context) > limits.context_bytes {
        return Ok(WriteOutcome::Full);
    }
    meta.version += 1;
    let version = meta.version;
    keep(txn, &object, meta, None)?;
    Ok(WriteOutcome::Done(version))
}

/// Implements [`SessionStore::touch`](gateway_core::state::SessionStore::touch) on a transaction.
pub(super) fn touch(
    txn: &mut WriteTxn<'_>,
    key: &Key,
    ttl: Duration,
) -> Result<WriteOutcome, StoreError> {
    let object = key_layout::object(RecordKind::Session, key);
    let Some(meta) = session::live(txn, txn.now, &object)? else { return Ok(WriteOutcome::Gone) };
    let version = meta.version;
    keep(txn, &object, meta, Some(ttl))?;
    Ok(WriteOutcome::Done(version))
}

/// Implements [`SessionStore::delete`](gateway_core::state::SessionStore::delete) on a transaction.
pub(super) fn delete(txn: &mut WriteTxn<'_>, key: &Key) -> Result<bool, StoreError> {
    let object = key_layout::object(RecordKind::Session, key);
    let Some(meta) = session::live(txn, txn.now, &object)? else { return Ok(false) };
    session::unlist(txn, &object)?;
    expiry::forget(txn, &object, meta.expires)?;
    Ok(true)
}

/// Implements [`SessionStore::fork`](gateway_core::state::SessionStore::fork) on a transaction.
pub(super) fn fork(
    txn: &mut WriteTxn<'_>,
    from: &Key,
    to: &str,
    fork: SessionFork,
) -> Result<Option<Session>, StoreError> {
    let source = key_layout::object(RecordKind::Session, from);
    let Some(snapshot) = session::load(txn, txn.now, from, MessageRange::ALL)? else {
        return Ok(None);
    };
    let at = fork.at.unwrap_or(u64::MAX).min(snapshot.session.version);
    let copied: Vec<_> = snapshot.entries.iter().filter(|entry| entry.version <= at).collect();
    let to = from.tenant().key(to);
    let object = key_layout::object(RecordKind::Session, &to);
    let (mut bytes, mut lines) = (0, Vec::new());
    for &&SessionEntry { position, .. } in &copied {
        let line = txn.get(&key_layout::part(&source, position))?.unwrap_or_default();
        let text = String::from_utf8_lossy(&line);
        bytes += record::split(&text).map_or(0, |(_, _, payload)| payload.len() as u64);
        lines.push((key_layout::part(&object, position), line));
    }
    let meta = SessionMeta {
        v: record::SCHEMA,
        tenant: to.tenant().to_string(),
        id: to.id().to_owned(),
        version: at,
        turn: copied.last().map_or(0, |entry| entry.version),
        created: txn.now,
        expires: end(txn, fork.ttl),
        ttl: millis(fork.ttl),
        messages: copied.len() as u64,
        bytes,
        context: snapshot.session.context,
    };
    let session = insert(txn, &to, meta)?;
    for (place, line) in lines {
        txn.put(place, line);
    }
    Ok(Some(session))
}

/// Keeps a session that is not there yet.
fn insert(txn: &mut WriteTxn<'_>, key: &Key, meta: SessionMeta) -> Result<Session, StoreError> {
    let object = key_layout::object(RecordKind::Session, key);
    if session::live(txn, txn.now, &object)?.is_some() {
        return Err(StoreError::Invalid("the session's id is taken"));
    }
    discard_ended(txn, &object)?;
    txn.put(key_layout::listed(key.tenant(), meta.created, key.id()), object.clone());
    expiry::schedule(txn, &object, None, meta.expires);
    txn.put(object, record::write(&meta)?);
    Ok(meta.session())
}

/// Removes an expired, unswept record, so that its turns do not leak into a new session.
fn discard_ended(txn: &mut WriteTxn<'_>, object: &[u8]) -> Result<(), StoreError> {
    let Some(json) = txn.get(object)? else { return Ok(()) };
    let ended: SessionMeta = record::read("session", &json)?;
    session::unlist(txn, object)?;
    expiry::forget(txn, object, ended.expires)
}

/// Keeps a session that was changed.
fn keep(
    txn: &mut WriteTxn<'_>,
    object: &[u8],
    mut meta: SessionMeta,
    ttl: Option<Duration>,
) -> Result<(), StoreError> {
    if let Some(ttl) = ttl {
        let at = end(txn, ttl);
        expiry::schedule(txn, object, Some(meta.expires), at);
        meta.expires = at;
        meta.ttl = millis(ttl);
    }
    txn.put(object.to_vec(), record::write(&meta)?);
    Ok(())
}

fn apply(context: &mut SessionContext, patch: &SessionPatch) {
    for (name, value) in patch {
        match value {
            Some(value) => context.insert(name.clone(), value.clone()),
            None => context.remove(name),
        };
    }
}

fn end(txn: &WriteTxn<'_>, ttl: Duration) -> u64 {
    txn.now.saturating_add(millis(ttl))
}

/// Returns the bytes of a context: its names and values.
pub(crate) fn context_bytes(context: &SessionContext) -> u64 {
    context.iter().map(|(name, value)| (name.len() + value.get().len()) as u64).sum()
}

fn read_version(bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::corrupt("session", "a turn's version"))?;
    Ok(u64::from_be_bytes(bytes))
}
