//! Repeated turns of the same name.
//!
//! A request that is repeated with its `Idempotency-Key` makes the same turn. The partial response
//! of an interrupted attempt stays in the session, marked, but is not sent to a model once the turn
//! is complete.

use gateway_core::state::SessionEntry;
use std::collections::HashSet;

/// Marks the name of a turn that was broken off: its name itself is left for the whole turn.
const BROKEN: char = '~';

/// Returns the name of the turn of `token` in the store.
pub(crate) fn turn(token: &str, incomplete: bool) -> String {
    if incomplete { format!("{token}{BROKEN}") } else { token.to_owned() }
}

/// Removes the earlier attempts at the turn of `token`, and interrupted turns that were completed
/// later.
pub(crate) fn without_repeated(mut entries: Vec<SessionEntry>, token: &str) -> Vec<SessionEntry> {
    // Hardly any session has a turn that was broken off.
    if entries.iter().any(|entry| entry.incomplete || entry.turn == token) {
        let whole = entries.iter().filter(|entry| !entry.incomplete);
        let whole: HashSet<_> = whole.map(|entry| entry.turn.clone()).collect();
        entries.retain(|entry| {
            let name = entry.turn.trim_end_matches(BROKEN);
            name != token && !(entry.incomplete && whole.contains(name))
        });
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Message, Role};

    /// Of the entries `kept`, `~` after what was broken off, those that the turn `t` is told.
    #[track_caller]
    fn check(kept: &str, told: &str) {
        let entry = |name: &str| SessionEntry {
            position: 0,
            version: 0,
            at: 0,
            turn: name.to_owned(),
            incomplete: name.ends_with(BROKEN),
            message: Message::text(Role::User, "x"),
        };
        let left = without_repeated(kept.split_whitespace().map(entry).collect(), "t");
        let left: Vec<_> = left.iter().map(|entry| &*entry.turn).collect();
        assert_eq!(left.join(" "), told);
    }

    #[test]
    fn resent_turn_is_deduplicated() {
        check("", "");
        check("a a b", "a a b");
        check("a b~ c", "a b~ c");
        check("a b~ b~ b c", "a b c");
        check("a t~ t~", "a");
        check("a t t", "a");
    }

    #[test]
    fn interrupted_turn_key_is_reused_by_complete_turn() {
        assert_ne!(turn("a", true), turn("a", false));
    }
}
