//! Why the model stopped, in this dialect's words and in ours.

use gateway_core::{Finish, FinishReason};

/// Reads the provider's word for why it stopped, in a response that `calls` tools or does not.
///
/// A response with calls waits for their results whatever the word for its end, unless it was cut
/// or withheld.
pub(super) fn decode(native: Option<String>, stop_sequence: Option<String>, calls: bool) -> Finish {
    let mut reason = reason(native.as_deref().unwrap_or_default());
    if calls && reason == FinishReason::Stop {
        reason = FinishReason::ToolCalls;
    }
    Finish { reason, native, stop_sequence }
}

fn reason(native: &str) -> FinishReason {
    match native {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        // `end_turn`, `stop_sequence`, `pause_turn`, and words yet to come.
        _ => FinishReason::Stop,
    }
}

/// The stop reasons of this dialect.
const WORDS: [&str; 8] = [
    "end_turn",
    "stop_sequence",
    "max_tokens",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "compaction",
];

/// This dialect's word for why the model stopped, perhaps after it `refused` in words.
pub(super) fn encode(finish: &Finish, refused: bool) -> &str {
    if let Some(native) = finish.native.as_deref()
        && WORDS.contains(&native)
        && reason(native) == finish.reason
    {
        return native;
    }
    match finish.reason {
        FinishReason::Stop if finish.stop_sequence.is_some() => "stop_sequence",
        FinishReason::Stop if refused => "refusal",
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_decode(native: &str, calls: bool, expected: &str) {
        let finish = decode(Some(native.to_owned()), None, calls);
        assert_eq!((finish.reason.as_str(), finish.native.as_deref()), (expected, Some(native)));
    }

    #[test]
    fn every_stop_reason_is_mapped() {
        check_decode("end_turn", false, "stop");
        check_decode("stop_sequence", false, "stop");
        check_decode("pause_turn", false, "stop");
        check_decode("compaction", false, "stop");
        check_decode("max_tokens", false, "length");
        check_decode("model_context_window_exceeded", false, "length");
        check_decode("tool_use", false, "tool_calls");
        check_decode("refusal", false, "content_filter");
        check_decode("something_new", false, "stop");
    }

    #[test]
    fn tool_calls_win_unless_truncated_or_refused() {
        check_decode("end_turn", true, "tool_calls");
        check_decode("tool_use", true, "tool_calls");
        check_decode("max_tokens", true, "length");
        check_decode("refusal", true, "content_filter");
    }

    #[track_caller]
    fn check_encode(reason: FinishReason, native: Option<&str>, refused: bool, expected: &str) {
        let finish = Finish { reason, native: native.map(str::to_owned), stop_sequence: None };
        assert_eq!(encode(&finish, refused), expected);
    }

    #[test]
    fn finish_reasons_have_stop_reasons() {
        check_encode(FinishReason::Stop, None, false, "end_turn");
        check_encode(FinishReason::Length, Some("MAX_TOKENS"), false, "max_tokens");
        check_encode(FinishReason::ToolCalls, None, false, "tool_use");
        check_encode(FinishReason::ContentFilter, Some("SAFETY"), false, "refusal");
    }

    #[test]
    fn native_word_is_returned_if_equivalent() {
        check_encode(FinishReason::Stop, Some("pause_turn"), false, "pause_turn");
        check_encode(FinishReason::ToolCalls, Some("end_turn"), false, "tool_use");
    }

    #[test]
    fn refusal_text_is_a_refusal() {
        check_encode(FinishReason::Stop, Some("stop"), true, "refusal");
        check_encode(FinishReason::Length, None, true, "max_tokens");
    }

    #[test]
    fn matched_stop_sequence_is_reported() {
        let finish = Finish { stop_sequence: Some("END".to_owned()), ..Finish::default() };
        assert_eq!(encode(&finish, false), "stop_sequence");
    }
}
