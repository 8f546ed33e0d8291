//! Finish reasons of Ollama.

use gateway_core::{Finish, FinishReason};

/// Converts `done_reason`. Ollama has none for tool calls; a truncated call stays truncated.
pub(super) fn finish(native: Option<String>, has_calls: bool) -> Finish {
    let reason = match native.as_deref() {
        Some("length") => FinishReason::Length,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Finish { reason, native, stop_sequence: None }
}
