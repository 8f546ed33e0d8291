//! Conversion between reasoning effort levels and token budgets.
//!
//! Some providers take a word, others a number of tokens. The conversion stands here once, so that a
//! request means the same at every provider.

use gateway_core::Effort;

/// The smallest thinking budget that providers accept, in tokens.
pub const MIN_BUDGET: u64 = 1024;

/// Returns the effort level for a budget of `tokens`.
pub const fn effort_of_budget(tokens: u64) -> Effort {
    match tokens {
        0 => Effort::None,
        1..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        _ => Effort::High,
    }
}

/// Returns the token budget of `effort` within a response of at most `max_tokens`, thinking
/// included.
///
/// A quarter of the response stays free for output, unless the budget would fall below
/// [`MIN_BUDGET`]: then `max_tokens` must be raised, see [`max_tokens_for`].
///
/// ```
/// use gateway_core::Effort;
/// use gateway_wire::reasoning::budget_of_effort;
///
/// assert_eq!(budget_of_effort(Effort::Medium, None), 4096);
/// assert_eq!(budget_of_effort(Effort::High, Some(8_000)), 6_000);
/// ```
pub fn budget_of_effort(effort: Effort, max_tokens: Option<u64>) -> u64 {
    let wanted = match effort {
        Effort::None => return 0,
        Effort::Minimal | Effort::Low => MIN_BUDGET,
        Effort::Medium => 4096,
        Effort::High => 16_384,
        Effort::XHigh => 24_576,
        Effort::Max => 32_768,
    };
    let room = max_tokens.map_or(u64::MAX, |max| max - max / 4);
    wanted.min(room).max(MIN_BUDGET)
}

/// Returns `max_tokens` for a response that thinks for up to `budget` tokens: unchanged, if that
/// leaves room for output, else increased by the budget.
pub const fn max_tokens_for(budget: u64, max_tokens: u64) -> u64 {
    if max_tokens > budget { max_tokens } else { max_tokens.saturating_add(budget) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(effort: Effort, max_tokens: Option<u64>, budget: u64) {
        assert_eq!(budget_of_effort(effort, max_tokens), budget, "{effort:?} of {max_tokens:?}");
    }

    #[test]
    fn effort_maps_to_token_budget() {
        check(Effort::None, None, 0);
        check(Effort::Minimal, None, 1024);
        check(Effort::Low, None, 1024);
        check(Effort::Medium, None, 4096);
        check(Effort::High, None, 16_384);
        check(Effort::XHigh, None, 24_576);
        check(Effort::Max, None, 32_768);
    }

    #[test]
    fn budget_leaves_room_for_output() {
        check(Effort::High, Some(64_000), 16_384);
        check(Effort::High, Some(8000), 6000);
        check(Effort::Medium, Some(100), 1024);
        check(Effort::None, Some(100), 0);
    }

    #[test]
    fn max_tokens_exceeds_thinking_budget() {
        assert_eq!(max_tokens_for(1024, 1025), 1025);
        assert_eq!(max_tokens_for(1024, 1024), 2048);
        assert_eq!(max_tokens_for(u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn budget_of_effort_maps_back_to_effort() {
        for effort in [Effort::None, Effort::Low, Effort::Medium, Effort::High] {
            assert_eq!(effort_of_budget(budget_of_effort(effort, None)), effort);
        }
        assert_eq!(effort_of_budget(u64::MAX), Effort::High, "no more than every model takes");
    }
}
