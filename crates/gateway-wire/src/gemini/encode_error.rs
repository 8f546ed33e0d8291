//! Errors as Google writes them.

use crate::error_status;
use gateway_core::{ErrorKind, GatewayError};
use serde::Serialize;
use std::collections::BTreeMap;

/// An error on the wire.
#[derive(Debug, Serialize)]
pub(super) struct GeminiErrorOutWire<'a> {
    error: ErrorStatusWire<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorStatusWire<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    details: Vec<ErrorDetailOutWire<'a>>,
}

/// A detail of an error beside its message.
#[derive(Debug, Serialize)]
#[serde(tag = "@type")]
enum ErrorDetailOutWire<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    Info { reason: &'a str, domain: &'static str, metadata: BTreeMap<&'static str, String> },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo", rename_all = "camelCase")]
    Retry { retry_delay: String },
}

/// The body of a response with a status of failure, or the last event of a failed stream.
pub(super) fn body<'a>(error: &'a GatewayError, request_id: &str) -> GeminiErrorOutWire<'a> {
    let mut metadata = BTreeMap::from([("retryable", error.is_retryable().to_string())]);
    metadata.extend(error.param().map(|param| ("parameter", param.to_owned())));
    if !request_id.is_empty() {
        metadata.insert("requestId", request_id.to_owned());
    }
    let mut details =
        vec![ErrorDetailOutWire::Info { reason: error.code(), domain: "gateway", metadata }];
    details.extend(error.retry_after().map(|delay| ErrorDetailOutWire::Retry {
        retry_delay: format!("{}s", delay.as_secs_f64().ceil()),
    }));
    let kind = error.kind();
    let (code, status) = (error_status(kind), word(kind));
    GeminiErrorOutWire {
        error: ErrorStatusWire { code, message: error.message(), status, details },
    }
}

/// Google's word for a kind of error.
const fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Unprocessable
        | ErrorKind::ContextLength
        | ErrorKind::ContentFilter
        | ErrorKind::MethodNotAllowed
        | ErrorKind::TooLarge
        | ErrorKind::UriTooLong
        | ErrorKind::HeadersTooLarge
        | ErrorKind::UnsupportedMedia
        | ErrorKind::ExpectationFailed => "INVALID_ARGUMENT",
        ErrorKind::Unauthenticated => "UNAUTHENTICATED",
        ErrorKind::Forbidden => "PERMISSION_DENIED",
        ErrorKind::NotFound | ErrorKind::ModelNotFound => "NOT_FOUND",
        ErrorKind::Conflict => "ABORTED",
        ErrorKind::RateLimited | ErrorKind::QuotaExceeded | ErrorKind::StorageQuota => {
            "RESOURCE_EXHAUSTED"
        }
        ErrorKind::RequestTimeout | ErrorKind::UpstreamTimeout | ErrorKind::UpstreamStalled => {
            "DEADLINE_EXCEEDED"
        }
        ErrorKind::UpstreamOverloaded
        | ErrorKind::Overloaded
        | ErrorKind::Unavailable
        | ErrorKind::UpstreamUnreachable
        | ErrorKind::NotConfigured
        | ErrorKind::ShuttingDown => "UNAVAILABLE",
        ErrorKind::NotImplemented | ErrorKind::UpstreamUnsupported => "UNIMPLEMENTED",
        ErrorKind::Cancelled => "CANCELLED",
        ErrorKind::Upstream
        | ErrorKind::UpstreamAuth
        | ErrorKind::UpstreamInvalid
        | ErrorKind::UpstreamCut
        | ErrorKind::UpstreamTruncated
        | ErrorKind::Internal => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn error_is_written_in_the_form_of_google() {
        let error = GatewayError::invalid("contents", "contents is missing");
        let written = serde_json::to_string(&body(&error, "r1")).unwrap();
        let expected = r#"{"error":{"code":400,"message":"contents is missing","#.to_owned()
            + r#""status":"INVALID_ARGUMENT","details":[{"#
            + r#""@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"invalid_request","#
            + r#""domain":"gateway","metadata":{"parameter":"contents","requestId":"r1","#
            + r#""retryable":"false"}}]}}"#;
        assert_eq!(written, expected);
    }

    #[test]
    fn retry_delay_is_in_the_details() {
        let error = GatewayError::new(ErrorKind::RateLimited, "slow down")
            .with_retry_after(Some(Duration::from_millis(1500)));
        let written = serde_json::to_string(&body(&error, "")).unwrap();
        assert!(
            written.contains(r#""code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED""#)
        );
        assert!(written.contains(r#"google.rpc.RetryInfo","retryDelay":"2s"}"#), "{written}");
    }
}
