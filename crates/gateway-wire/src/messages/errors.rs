//! Errors: reading the provider's, and naming ours.

use crate::{ErrorReply, UpstreamErrorBody, tool_arguments};
use gateway_core::{ErrorKind, GatewayError, Json};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize)]
struct MessagesErrorReplyWire {
    #[serde(default)]
    error: Option<Json>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct MessagesErrorWire {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    code: Option<Json>,
    #[serde(default)]
    details: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
struct ErrorDetailsWire {
    #[serde(default)]
    error_code: Option<String>,
}

/// Reads a response with a status of failure. Its body may be anything.
pub(super) fn of_reply(reply: &ErrorReply<'_>) -> GatewayError {
    let fault = UpstreamErrorBody {
        status: Some(reply.status),
        retry_after: reply.retry_after,
        should_retry: reply.should_retry,
        ..read(reply.body)
    };
    fault.into_error()
}

/// Reads an error that came under a status of success: within a stream, or in place of a response.
pub(super) fn of_event(body: &[u8]) -> GatewayError {
    let fault = read(body);
    let status = fault.kind.as_deref().map_or(500, status);
    UpstreamErrorBody { status: Some(status), ..fault }.into_error()
}

fn read(body: &[u8]) -> UpstreamErrorBody {
    let Ok(wire) = serde_json::from_slice::<MessagesErrorReplyWire>(body) else {
        return UpstreamErrorBody {
            message: tool_arguments::sentence(body),
            ..UpstreamErrorBody::default()
        };
    };
    let Some(error) = wire.error else {
        return UpstreamErrorBody { message: wire.message, ..UpstreamErrorBody::default() };
    };
    let Ok(it) = error.read::<MessagesErrorWire>() else {
        return UpstreamErrorBody { message: error.read().ok(), ..UpstreamErrorBody::default() };
    };
    let further = it.details.and_then(|it| it.read::<ErrorDetailsWire>().ok()).unwrap_or_default();
    let code = further.error_code.or_else(|| it.code.and_then(|code| code.read().ok()));
    let is_broke = it.message.as_deref().is_some_and(|text| text.contains("credit balance is too"));
    let kind = if is_broke { Some("billing_error".to_owned()) } else { it.kind };
    UpstreamErrorBody { message: it.message, kind, code, ..UpstreamErrorBody::default() }
}

/// The status that an error of this kind would have had.
fn status(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

/// This dialect's word for a kind of error.
const fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Unprocessable
        | ErrorKind::ContextLength
        | ErrorKind::ContentFilter
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::UriTooLong
        | ErrorKind::HeadersTooLarge
        | ErrorKind::UnsupportedMedia
        | ErrorKind::ExpectationFailed
        | ErrorKind::NotImplemented => "invalid_request_error",
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::NotFound | ErrorKind::ModelNotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimited | ErrorKind::QuotaExceeded | ErrorKind::StorageQuota => {
            "rate_limit_error"
        }
        ErrorKind::RequestTimeout | ErrorKind::UpstreamTimeout => "timeout_error",
        ErrorKind::UpstreamOverloaded
        | ErrorKind::Overloaded
        | ErrorKind::Unavailable
        | ErrorKind::ShuttingDown => "overloaded_error",
        ErrorKind::Upstream
        | ErrorKind::UpstreamAuth
        | ErrorKind::UpstreamUnsupported
        | ErrorKind::UpstreamInvalid
        | ErrorKind::UpstreamCut
        | ErrorKind::UpstreamTruncated
        | ErrorKind::UpstreamStalled
        | ErrorKind::UpstreamUnreachable
        | ErrorKind::NotConfigured
        | ErrorKind::Cancelled
        | ErrorKind::Internal => "api_error",
    }
}

/// An error on the wire.
#[derive(Debug, Serialize)]
pub(super) struct MessagesErrorOutWire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorCauseWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ErrorCauseWire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<ErrorDetailsOutWire<'a>>,
}

/// The details by which clients that hold their conversation upstream decide what to do.
#[derive(Debug, Serialize)]
struct ErrorDetailsOutWire<'a> {
    error_code: &'a str,
}

/// The refusal of a conversation that is to be held upstream. Clients know it, and send the whole
/// conversation instead.
pub(super) fn thread_unsupported() -> GatewayError {
    let message = "capability_rejected: beta_header:message-threads-2026-08-12";
    GatewayError::invalid("thread", message).with_code("thread_unsupported_request")
}

/// The refusal of a request that continues a thread and has a member that the thread holds.
pub(super) fn thread_holds(name: &str) -> GatewayError {
    let message = format!("{name} is held by the thread, and must be left out to continue it");
    GatewayError::invalid("thread", message).with_code("thread_unsupported_request")
}

/// The error for a thread that does not exist, or not any more.
pub(super) fn thread_not_found() -> GatewayError {
    let message = "no thread was found for the given previous_message_id";
    GatewayError::new(ErrorKind::NotFound, message)
        .with_param("thread")
        .with_code("thread_not_found")
}

fn details(error: &GatewayError) -> Option<ErrorDetailsOutWire<'_>> {
    let error_code = error.code();
    // A provider's own word for it, by which clients recover.
    let is_upstreams = error.upstream_status().is_some()
        && error.kind() != ErrorKind::UpstreamInvalid
        && error_code != error.kind().as_str();
    let is_known = is_upstreams || error_code.starts_with("thread_");
    is_known.then_some(ErrorDetailsOutWire { error_code })
}

/// The body of a response with a status of failure.
pub(super) fn body<'a>(error: &'a GatewayError, request_id: &'a str) -> MessagesErrorOutWire<'a> {
    let cause = ErrorCauseWire {
        kind: word(error.kind()),
        message: error.message(),
        code: None,
        retryable: None,
        details: details(error),
    };
    MessagesErrorOutWire { kind: "error", error: cause, request_id: Some(request_id) }
}

/// The error event of a failed stream, which also carries what status and headers cannot.
pub(super) fn in_stream(error: &GatewayError) -> MessagesErrorOutWire<'_> {
    let cause = ErrorCauseWire {
        kind: word(error.kind()),
        message: error.message(),
        code: Some(error.code()),
        retryable: Some(error.is_retryable()),
        details: details(error),
    };
    MessagesErrorOutWire { kind: "error", error: cause, request_id: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: ErrorKind) {
        let reply = ErrorReply { status, body: body.as_bytes(), ..ErrorReply::default() };
        assert_eq!(of_reply(&reply).kind(), expected, "{status} {body}");
    }

    fn body(kind: &str, message: &str) -> String {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"r"}}"#
        )
    }

    #[test]
    fn every_status_maps_to_an_error_kind() {
        check(400, &body("invalid_request_error", "no"), ErrorKind::InvalidRequest);
        check(
            400,
            &body("invalid_request_error", "prompt is too long: 9"),
            ErrorKind::ContextLength,
        );
        check(401, &body("authentication_error", "no"), ErrorKind::UpstreamAuth);
        check(402, &body("billing_error", "no"), ErrorKind::QuotaExceeded);
        check(403, &body("permission_error", "no"), ErrorKind::Forbidden);
        check(404, &body("not_found_error", "model: x"), ErrorKind::ModelNotFound);
        check(413, &body("request_too_large", "no"), ErrorKind::TooLarge);
        check(429, &body("rate_limit_error", "no"), ErrorKind::RateLimited);
        check(500, &body("api_error", "no"), ErrorKind::Upstream);
        check(504, &body("timeout_error", "no"), ErrorKind::UpstreamTimeout);
        check(529, &body("overloaded_error", "no"), ErrorKind::UpstreamOverloaded);
    }

    #[test]
    fn permanent_429_is_not_a_rate_limit() {
        let spent = r#"{"error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
        check(429, spent, ErrorKind::QuotaExceeded);
        let broke = body("invalid_request_error", "Your credit balance is too low");
        check(400, &broke, ErrorKind::QuotaExceeded);
    }

    #[test]
    fn any_body_is_accepted() {
        for text in ["", "<html>", "[]", "{}", r#"{"error":"x"}"#, r#"{"error":{"code":5}}"#] {
            check(503, text, ErrorKind::UpstreamOverloaded);
        }
    }

    #[test]
    fn stream_error_maps_like_its_status() {
        for (kind, expected) in [
            ("overloaded_error", ErrorKind::UpstreamOverloaded),
            ("api_error", ErrorKind::Upstream),
            ("rate_limit_error", ErrorKind::RateLimited),
            ("invalid_request_error", ErrorKind::InvalidRequest),
            ("new_error", ErrorKind::Upstream),
        ] {
            assert_eq!(of_event(body(kind, "m").as_bytes()).kind(), expected);
        }
    }
}
