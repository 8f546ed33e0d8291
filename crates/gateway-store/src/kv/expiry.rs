//! The end of things.

use super::{
    key_layout::{self, RecordKind},
    session,
    write_txn::{ReadView, WriteTxn},
};
use gateway_core::state::StoreError;

/// Notes that the thing at `object` ends at `at`, instead of `before`.
pub(super) fn schedule(txn: &mut WriteTxn<'_>, object: &[u8], before: Option<u64>, at: u64) {
    if let Some(before) = before {
        txn.remove(key_layout::expiry(before, object));
    }
    txn.put(key_layout::expiry(at, object), Vec::new());
}

/// Forgets a thing, all that belongs to it, and the note of its end.
pub(super) fn forget(txn: &mut WriteTxn<'_>, object: &[u8], at: u64) -> Result<(), StoreError> {
    txn.remove(key_layout::expiry(at, object));
    txn.remove_range(key_layout::whole(object))
}

/// Whether anything has ended that is not forgotten yet.
pub(super) fn is_due(view: &dyn ReadView, now: u64) -> Result<bool, StoreError> {
    Ok(!view.scan(key_layout::expired(now), 1)?.is_empty())
}

/// Forgets at most `limit` records that have ended; returns their number.
pub(super) fn sweep(txn: &mut WriteTxn<'_>, limit: usize) -> Result<usize, StoreError> {
    let ended = txn.scan(key_layout::expired(txn.now), limit)?;
    for (note, _) in &ended {
        let Some((at, object)) = key_layout::read_expiry(note) else {
            txn.remove(note.clone());
            continue;
        };
        if RecordKind::of(object) == Some(RecordKind::Session) {
            session::unlist(txn, object)?;
        }
        forget(txn, object, at)?;
    }
    Ok(ended.len())
}
