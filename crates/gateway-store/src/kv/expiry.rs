//! The end of things.

use super::{
    draft::{Draft, View},
    name::{self, Kind},
    session,
};
use gateway_core::state::StoreError;

/// How many things end in one step: a bound on how long others wait for it.
pub(super) const SWEEP: usize = 1_000;

/// Notes that the thing at `object` ends at `at`, instead of `before`.
pub(super) fn schedule(draft: &mut Draft<'_>, object: &[u8], before: Option<u64>, at: u64) {
    if let Some(before) = before {
        draft.remove(name::expiry(before, object));
    }
    draft.put(name::expiry(at, object), Vec::new());
}

/// Forgets a thing, all that belongs to it, and the note of its end.
pub(super) fn forget(draft: &mut Draft<'_>, object: &[u8], at: u64) -> Result<(), StoreError> {
    draft.remove(name::expiry(at, object));
    draft.remove_range(name::whole(object))
}

/// Whether anything has ended that is not forgotten yet.
pub(super) fn is_due(view: &dyn View, now: u64) -> Result<bool, StoreError> {
    Ok(!view.scan(name::expired(now), 1)?.is_empty())
}

/// Forgets some of what has ended; says how many.
pub(super) fn sweep(draft: &mut Draft<'_>) -> Result<usize, StoreError> {
    let ended = draft.scan(name::expired(draft.now), SWEEP)?;
    for (note, _) in &ended {
        let Some((at, object)) = name::read_expiry(note) else {
            draft.remove(note.clone());
            continue;
        };
        if Kind::of(object) == Some(Kind::Session) {
            session::unlist(draft, object)?;
        }
        forget(draft, object, at)?;
    }
    Ok(ended.len())
}
