//! Why the model stopped.

use super::decode_response_wire::EnumWordWire;
use gateway_core::{Finish, FinishReason};

/// The names that old clients' servers write as numbers.
const NAMES: [&str; 11] = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "MODEL_ARMOR",
];

/// Returns Gemini's name of the reason; `None` for a number that means "not finished".
pub(super) fn native(word: EnumWordWire) -> Option<String> {
    match word {
        EnumWordWire::Name(name) => Some(name),
        EnumWordWire::Number(0) => None,
        EnumWordWire::Number(number) => {
            let name = usize::try_from(number).ok().and_then(|at| NAMES.get(at));
            Some(name.map_or_else(|| number.to_string(), ToString::to_string))
        }
    }
}

/// The finish of a response that stopped for `native` and holds calls or not.
///
/// Gemini has no reason of its own for calls. A call that was cut short is still cut short.
pub(super) fn finish(native: Option<String>, has_calls: bool) -> Finish {
    let reason = match native.as_deref().unwrap_or("STOP") {
        // The rest of the answer is to be had: by the same request with the response's token for it.
        "MAX_TOKENS" | "CONTINUATION" | "TOO_MANY_TOOL_CALLS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "LANGUAGE"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED" => FinishReason::ContentFilter,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Finish { reason, native, stop_sequence: None }
}

/// Gemini's further words for an end, which only its own clients know.
const FURTHER: [&str; 15] = [
    "OTHER",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "CONTINUATION",
    "LANGUAGE",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
];

/// Gemini's word for why the model stopped, perhaps after it `refused` in words or made `calls`.
pub(super) fn encode(end: &Finish, refused: bool, calls: bool) -> &str {
    if let Some(native) = end.native.as_deref()
        && (NAMES.contains(&native) || FURTHER.contains(&native))
        && finish(Some(native.to_owned()), calls).reason == end.reason
    {
        return native;
    }
    match end.reason {
        FinishReason::Stop if refused => "SAFETY",
        FinishReason::Stop | FinishReason::ToolCalls => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter => "SAFETY",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(native: &str, without_calls: &str, with_calls: &str) {
        let reason = |calls| finish(Some(native.to_owned()), calls).reason.as_str();
        assert_eq!((reason(false), reason(true)), (without_calls, with_calls), "{native}");
    }

    #[test]
    fn finish_reasons_are_mapped() {
        check("STOP", "stop", "tool_calls");
        check("MAX_TOKENS", "length", "length");
        check("CONTINUATION", "length", "length");
        check("TOO_MANY_TOOL_CALLS", "length", "length");
        check("SAFETY", "content_filter", "content_filter");
        check("LANGUAGE", "content_filter", "content_filter");
        check("ESCALATION", "content_filter", "content_filter");
        check("PUP_LIMITED_DISABLED", "content_filter", "content_filter");
        check("MODEL_ARMOR", "content_filter", "content_filter");
        check("IMAGE_RECITATION", "content_filter", "content_filter");
        check("MALFORMED_FUNCTION_CALL", "stop", "tool_calls");
        check("UNEXPECTED_TOOL_CALL", "stop", "tool_calls");
        check("SOMETHING_NEW", "stop", "tool_calls");
    }

    #[test]
    fn numeric_enum_values_are_named() {
        let name = |number| native(EnumWordWire::Number(number));
        assert_eq!(name(0), None);
        assert_eq!(name(2).as_deref(), Some("MAX_TOKENS"));
        assert_eq!(name(99).as_deref(), Some("99"));
        assert_eq!(name(-1).as_deref(), Some("-1"));
    }

    #[test]
    fn finish_reasons_are_written_in_words_of_gemini() {
        let check = |reason, native: Option<&str>, calls, expected: &str| {
            let end = Finish { reason, native: native.map(str::to_owned), stop_sequence: None };
            assert_eq!(encode(&end, false, calls), expected, "{end:?}");
        };
        check(FinishReason::Stop, Some("end_turn"), false, "STOP");
        check(FinishReason::ToolCalls, Some("tool_use"), true, "STOP");
        check(FinishReason::Length, None, false, "MAX_TOKENS");
        check(FinishReason::Length, Some("CONTINUATION"), false, "CONTINUATION");
        check(FinishReason::ContentFilter, Some("RECITATION"), false, "RECITATION");
        check(FinishReason::ContentFilter, Some("content_filter"), false, "SAFETY");
        check(FinishReason::Stop, Some("SAFETY"), false, "STOP");
        assert_eq!(encode(&FinishReason::Stop.into(), true, false), "SAFETY");
    }
}
