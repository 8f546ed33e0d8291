//! Claims of sessions, in a map that several processes use.

use super::{
    key_layout::{self, RecordKind},
    session,
    write_txn::{ReadView as _, WriteTxn},
};
use crate::{clock::millis, record};
use gateway_core::state::{ClaimResult, Key, StoreError};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Deserialize, Serialize)]
struct ClaimRecord {
    v: u32,
    token: String,
    until: u64,
}

/// Implements [`SessionStore::claim`](gateway_core::state::SessionStore::claim) on a transaction.
pub(super) fn claim(
    txn: &mut WriteTxn<'_>,
    key: &Key,
    token: &str,
    lease: Duration,
) -> Result<ClaimResult, StoreError> {
    if !session::exists(txn, txn.now, key)? {
        return Ok(ClaimResult::Gone);
    }
    let place = place(key);
    let held = stored_claim(txn, &place)?;
    if let Some(held) = held.filter(|held| held.until > txn.now && held.token != token) {
        return Ok(ClaimResult::Held(Duration::from_millis(held.until - txn.now)));
    }
    let until = txn.now.saturating_add(millis(lease));
    let claim = ClaimRecord { v: record::SCHEMA, token: token.to_owned(), until };
    txn.put(place, record::write(&claim)?);
    Ok(ClaimResult::Granted)
}

/// Implements [`SessionStore::release`](gateway_core::state::SessionStore::release) on a
/// transaction.
pub(super) fn release(txn: &mut WriteTxn<'_>, key: &Key, token: &str) -> Result<(), StoreError> {
    let place = place(key);
    if stored_claim(txn, &place)?.is_some_and(|held| held.token == token) {
        txn.remove(place);
    }
    Ok(())
}

/// The place of a claim belongs to the session, and ends with it.
fn place(key: &Key) -> Vec<u8> {
    key_layout::claim(&key_layout::object(RecordKind::Session, key))
}

fn stored_claim(txn: &WriteTxn<'_>, place: &[u8]) -> Result<Option<ClaimRecord>, StoreError> {
    txn.get(place)?.map(|json| record::read("session claim", &json)).transpose()
}
