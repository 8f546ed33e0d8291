//! Finish reasons of completions.

use gateway_core::FinishReason;

/// Returns the word for `reason`; completions never call tools.
pub(super) const fn encode(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => FinishReason::Stop.as_str(),
        FinishReason::Length | FinishReason::ContentFilter => reason.as_str(),
    }
}
