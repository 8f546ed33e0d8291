//! Decodes Gemini's error responses.

use crate::{ErrorReply, UpstreamErrorBody, tool_arguments};
use gateway_core::GatewayError;
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GeminiErrorWire {
    code: Option<u16>,
    message: Option<String>,
    status: Option<String>,
    details: Option<Vec<ErrorDetailWire>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ErrorDetailWire {
    reason: Option<String>,
    retry_delay: Option<String>,
}

/// A response with a status of failure. Asked for a stream, Gemini may put it in an array.
#[derive(Deserialize)]
#[serde(untagged)]
enum GeminiErrorReplyWire {
    One { error: GeminiErrorWire },
    Many(Vec<GeminiErrorReplyWire>),
}

/// The error that `reply` means, whatever its content type says.
pub(super) fn read(reply: &ErrorReply<'_>) -> GatewayError {
    let mut fault = match reply_error(reply.body) {
        Some(error) => error.into_fault(),
        None => UpstreamErrorBody {
            message: tool_arguments::sentence(reply.body),
            ..UpstreamErrorBody::default()
        },
    };
    fault.status = Some(reply.status);
    fault.retry_after = fault.retry_after.or(reply.retry_after);
    fault.should_retry = reply.should_retry;
    fault.into_error()
}

/// Decodes an error object found inside a response.
pub(super) fn fault(error: &str) -> UpstreamErrorBody {
    let known: Option<GeminiErrorWire> = serde_json::from_str(error).ok();
    known.map_or_else(
        || UpstreamErrorBody { message: Some(error.to_owned()), ..UpstreamErrorBody::default() },
        GeminiErrorWire::into_fault,
    )
}

fn reply_error(body: &[u8]) -> Option<GeminiErrorWire> {
    // An event around it does not change what it says.
    let start = body.iter().position(|byte| matches!(byte, b'{' | b'['))?;
    let mut values = serde_json::Deserializer::from_slice(body.get(start..)?).into_iter();
    match values.next()?.ok()? {
        GeminiErrorReplyWire::One { error } => Some(error),
        GeminiErrorReplyWire::Many(replies) => replies.into_iter().find_map(|reply| match reply {
            GeminiErrorReplyWire::One { error } => Some(error),
            GeminiErrorReplyWire::Many(_) => None,
        }),
    }
}

impl GeminiErrorWire {
    fn into_fault(self) -> UpstreamErrorBody {
        let details = self.details.unwrap_or_default();
        let reason = details.iter().find_map(|detail| detail.reason.as_deref());
        let message = self.message.unwrap_or_default();
        let code = match reason {
            Some(reason) if is_about_the_key(reason) => Some("API_KEY_INVALID"),
            _ if is_too_long(&message) => Some("context_length_exceeded"),
            _ => None,
        };
        let delay = details.iter().find_map(|detail| detail.retry_delay.as_deref());
        UpstreamErrorBody {
            status: self.code,
            message: Some(message),
            kind: self.status,
            code: code.map(str::to_owned),
            retry_after: delay.and_then(duration),
            ..UpstreamErrorBody::default()
        }
    }
}

/// Gemini answers a bad key with the status of a bad request.
fn is_about_the_key(reason: &str) -> bool {
    reason.starts_with("API_KEY_") || reason.starts_with("ACCESS_TOKEN_")
}

fn is_too_long(message: &str) -> bool {
    message.contains("token count") && message.contains("exceeds the maximum")
}

/// A duration as protobuf writes it: `48s`, `1.5s`.
fn duration(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let error = read(&ErrorReply { status, body: body.as_bytes(), ..ErrorReply::default() });
        let delay =
            error.retry_after().map(|delay| format!(" after {delay:?}")).unwrap_or_default();
        assert_eq!(format!("{:?}: {}{delay}", error.kind(), error.message()), expected);
    }

    #[test]
    fn refusal_is_decoded() {
        let body =
            r#"{"error":{"code":400,"message":"no such field","status":"INVALID_ARGUMENT"}}"#;
        check(400, body, "InvalidRequest: no such field");
        check(400, &format!("[{body}\n]"), "InvalidRequest: no such field");
        check(400, &format!("data: {body}\r\n\r\n"), "InvalidRequest: no such field");
        let body =
            r#"{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}"#;
        check(404, body, "ModelNotFound: models/x is not found");
        let body = r#"{"error":{"message":"The input token count (9) exceeds the maximum number of tokens allowed (8)."}}"#;
        check(
            400,
            body,
            "ContextLength: The input token count (9) exceeds the maximum number of tokens allowed (8).",
        );
    }

    #[test]
    fn invalid_key_is_an_auth_error() {
        let body = r#"{"error":{"code":400,"message":"bad key","status":"INVALID_ARGUMENT",
            "details":[{"@type":"LocalizedMessage"},{"reason":"API_KEY_INVALID"}]}}"#;
        check(400, body, "UpstreamAuth: the provider rejects the gateway's credential");
    }

    #[test]
    fn retry_delay_is_read_from_details() {
        let body = r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED",
            "details":[{"violations":[]},{"retryDelay":"48.5s"}]}}"#;
        check(429, body, "RateLimited: slow down after 48.5s");
    }

    #[test]
    fn non_json_body_is_message_or_empty() {
        check(404, "no such model", "ModelNotFound: no such model");
        check(413, "<html>no</html>", "TooLarge: the provider rejected the request");
        check(503, "", "UpstreamOverloaded: the provider is overloaded");
        check(400, r#"{"error":"text"}"#, "InvalidRequest: {\"error\":\"text\"}");
    }

    #[test]
    fn durations_are_parsed() {
        assert_eq!(duration("48s"), Some(Duration::from_secs(48)));
        assert_eq!(duration("-1s"), None);
        assert_eq!(duration("1e99s"), None);
        assert_eq!(duration("soon"), None);
    }
}
