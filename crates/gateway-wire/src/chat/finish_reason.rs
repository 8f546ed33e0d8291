//! Why a response ended, in the words of many upstreams.

use gateway_core::{ErrorKind, Finish, FinishReason, GatewayError, Result};

/// Reads an upstream's word.
///
/// # Errors
///
/// Some words mean that the upstream failed in the middle of the response.
pub(super) fn read(word: &str) -> Result<Finish> {
    let reason = match word {
        "length" | "max_tokens" | "model_length" | "max_output_tokens" | "MAX_TOKENS" => {
            FinishReason::Length
        }
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => FinishReason::ToolCalls,
        "content_filter" | "refusal" | "safety" | "SAFETY" | "content-filter" => {
            FinishReason::ContentFilter
        }
        "insufficient_system_resource" => {
            let message = "the provider ran out of resources during the response";
            return Err(GatewayError::new(ErrorKind::UpstreamOverloaded, message));
        }
        "error" => {
            let message = "the provider failed during the response";
            return Err(GatewayError::new(ErrorKind::Upstream, message));
        }
        _ => FinishReason::Stop,
    };
    let native = (word != reason.as_str()).then(|| word.to_owned());
    Ok(Finish { reason, native, stop_sequence: None })
}

/// Returns whether callers know the word.
pub(super) fn is_known(word: &str) -> bool {
    matches!(word, "stop" | "length" | "tool_calls" | "content_filter" | "function_call")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: &str) {
        let read = read(word);
        let got =
            read.as_ref().map_or_else(gateway_core::GatewayError::code, |it| it.reason.as_str());
        assert_eq!(got, expected, "{word}");
    }

    #[test]
    fn vendor_words_map_to_finish_reasons() {
        check("stop", "stop");
        check("eos", "stop");
        check("complete", "stop");
        check("model_length", "length");
        check("function_call", "tool_calls");
        check("content_filter", "content_filter");
        check("error", "upstream_error");
        check("insufficient_system_resource", "upstream_overloaded");
    }

    #[test]
    fn unknown_word_is_preserved_as_native() {
        assert_eq!(read("stop").unwrap().native, None);
        assert_eq!(read("eos").unwrap().native.as_deref(), Some("eos"));
    }
}
