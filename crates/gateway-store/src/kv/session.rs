//! Read operations on sessions.

use super::{
    key_layout::{self, RecordKind},
    write_txn::{ReadView, WriteTxn},
};
use crate::record;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::state::{
    Key, MessageRange, Session, SessionContext, SessionPage, SessionPageQuery, SessionSnapshot,
    StoreError, Tenant,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A session, without its messages.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct SessionMeta {
    pub(super) v: u32,
    pub(super) tenant: String,
    pub(super) id: String,
    /// Version, incremented by each change.
    pub(super) version: u64,
    /// The version of the last turn.
    pub(super) turn: u64,
    pub(super) created: u64,
    pub(super) expires: u64,
    /// Time to live in milliseconds.
    pub(super) ttl: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) context: SessionContext,
}

impl SessionMeta {
    pub(super) fn session(self) -> Session {
        Session {
            id: self.id,
            version: self.version,
            created_at: self.created,
            expires_at: self.expires,
            ttl: Duration::from_millis(self.ttl),
            messages: self.messages,
            bytes: self.bytes,
            context: self.context,
        }
    }
}

/// The session at `object`, unless it has ended.
pub(super) fn live(
    view: &dyn ReadView,
    now: u64,
    object: &[u8],
) -> Result<Option<SessionMeta>, StoreError> {
    let Some(json) = view.get(object)? else { return Ok(None) };
    let meta: SessionMeta = record::read("session", &json)?;
    Ok((meta.expires > now).then_some(meta))
}

/// Whether there is such a session.
pub(super) fn exists(view: &dyn ReadView, now: u64, key: &Key) -> Result<bool, StoreError> {
    Ok(live(view, now, &key_layout::object(RecordKind::Session, key))?.is_some())
}

/// Implements [`SessionStore::load`](gateway_core::state::SessionStore::load) on a view.
pub(super) fn load(
    view: &dyn ReadView,
    now: u64,
    key: &Key,
    slice: MessageRange,
) -> Result<Option<SessionSnapshot>, StoreError> {
    let object = key_layout::object(RecordKind::Session, key);
    let Some(meta) = live(view, now, &object)? else { return Ok(None) };
    let limit = usize::try_from(slice.limit).unwrap_or(usize::MAX);
    let parts = match limit {
        0 => Vec::new(),
        limit => view.scan(key_layout::parts_from(&object, slice.from), limit)?,
    };
    let wanted = meta.messages.saturating_sub(slice.from).min(slice.limit);
    if parts.len() as u64 != wanted {
        return Err(StoreError::corrupt("session", "messages are missing"));
    }
    let entries = (slice.from..).zip(&parts).map(|(position, (_, line))| {
        // The key says the place too: a gap must not be papered over.
        record::decode(position, line)
    });
    Ok(Some(SessionSnapshot {
        entries: entries.collect::<Result<_, _>>()?,
        session: meta.session(),
    }))
}

/// Implements [`SessionStore::list`](gateway_core::state::SessionStore::list) on a view.
pub(super) fn list(
    view: &dyn ReadView,
    now: u64,
    tenant: &Tenant,
    page: &SessionPageQuery,
) -> Result<SessionPage, StoreError> {
    let after = page.after.as_deref().map(|after| URL_SAFE_NO_PAD.decode(after)).transpose();
    let after = after.map_err(|_| StoreError::Invalid("there is no such page"))?;
    let range = key_layout::list_after(tenant, after.as_deref());
    let found = view.scan(range, page.limit.saturating_add(1))?;
    let mut listing = SessionPage::default();
    for (place, object) in found.iter().take(page.limit) {
        listing.sessions.extend(live(view, now, object)?.map(SessionMeta::session));
        listing.next = key_layout::cursor(tenant, place).map(|at| URL_SAFE_NO_PAD.encode(at));
    }
    if found.len() <= page.limit {
        listing.next = None;
    }
    Ok(listing)
}

/// Takes the session at `object` out of the list of its tenant. One that cannot be read stays in
/// it, and is found missing when it is listed.
pub(super) fn unlist(txn: &mut WriteTxn<'_>, object: &[u8]) -> Result<(), StoreError> {
    let Some(json) = txn.get(object)? else { return Ok(()) };
    let meta = record::read::<SessionMeta>("session", &json).ok();
    if let Some((tenant, meta)) = meta.and_then(|meta| Some((Tenant::new(&*meta.tenant)?, meta))) {
        txn.remove(key_layout::listed(&tenant, meta.created, &meta.id));
    }
    Ok(())
}
