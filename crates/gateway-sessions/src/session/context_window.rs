//! The trimming of a history to a model's context window.

use gateway_core::{Content, Message, Part, Role};

/// A trimmed history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrimmedHistory {
    /// The messages that fit, oldest first.
    pub kept: Vec<Message>,
    /// The number of dropped messages.
    pub dropped: usize,
}

/// Removes the oldest turns of `history` until the rest takes at most `budget` tokens.
///
/// A turn starts with a user message and is removed as a whole, because providers reject a tool
/// result without its call.
pub fn cut(history: Vec<Message>, budget: u64, tokens: impl Fn(&Message) -> u64) -> TrimmedHistory {
    let mut left = history.iter().map(&tokens).fold(0_u64, u64::saturating_add);
    let mut dropped = 0;
    let mut messages = history.iter().enumerate().peekable();
    while left > budget {
        let Some((at, message)) = messages.next() else { break };
        left = left.saturating_sub(tokens(message));
        while let Some((_, more)) = messages.next_if(|(_, next)| !begins_turn(next)) {
            left = left.saturating_sub(tokens(more));
        }
        dropped = messages.peek().map_or(history.len(), |(next, _)| *next);
        debug_assert!(dropped > at, "each step leaves out something");
    }
    let mut history = history;
    let kept = history.split_off(dropped);
    TrimmedHistory { kept, dropped }
}

/// Whether the message is the user's own, not a tool result.
fn begins_turn(message: &Message) -> bool {
    let answers = |part: &Part| matches!(part.content, Content::ToolResult(_));
    message.role == Role::User && !message.parts.iter().all(answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::ToolResult;
    use proptest::prelude::*;

    fn spell(text: &str) -> Vec<Message> {
        text.chars()
            .map(|c| match c {
                'u' => Message::text(Role::User, "u"),
                'a' => Message::text(Role::Assistant, "a"),
                _ => Message::new(
                    Role::User,
                    [Content::ToolResult(ToolResult {
                        call_id: "x".into(),
                        name: None,
                        parts: Vec::new(),
                        is_error: false,
                    })],
                ),
            })
            .collect()
    }

    /// Each message takes one token.
    #[track_caller]
    fn check(history: &str, budget: u64, kept: &str) {
        let cut = cut(spell(history), budget, |_| 1);
        assert_eq!(cut.kept, spell(kept));
        assert_eq!(cut.dropped, history.len() - kept.len());
    }

    #[test]
    fn history_within_window_is_kept() {
        check("uaua", 4, "uaua");
        check("", 0, "");
    }

    #[test]
    fn oldest_turns_are_dropped_first() {
        check("uaua", 3, "ua");
        check("uarauaua", 5, "uaua");
        check("uarauaua", 4, "uaua");
        check("uara", 3, "");
        check("uaua", 0, "");
        check("aaua", 3, "ua");
    }

    proptest! {
        #[test]
        fn trimmed_history_fits_and_starts_with_a_turn(history in "[uar]{0,30}", budget in 0_u64..30) {
            let cut = cut(spell(&history), budget, |_| 1);
            prop_assert!(cut.kept.len() as u64 <= budget);
            prop_assert_eq!(cut.kept.len() + cut.dropped, history.len());
            if cut.dropped > 0 {
                prop_assert!(cut.kept.first().is_none_or(begins_turn));
            }
        }
    }
}
