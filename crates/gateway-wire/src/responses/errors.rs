//! Decodes errors of upstreams and encodes errors for callers.

use crate::{ErrorReply, UpstreamErrorBody, error_type};
use gateway_core::GatewayError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// An error as upstreams write it, whichever way they spell it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponsesErrorWire<'a> {
    /// The error itself, or a sentence, where it is wrapped.
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    param: Option<&'a RawValue>,
}

impl ResponsesErrorWire<'_> {
    /// Converts to the common error body; only the innermost error counts.
    pub(super) fn into_fault(self) -> UpstreamErrorBody {
        let inner = self.error.filter(|error| error.get().starts_with('{'));
        if let Some(Ok(inner)) =
            inner.map(|raw| serde_json::from_str::<ResponsesErrorWire<'_>>(raw.get()))
        {
            return inner.into_fault();
        }
        UpstreamErrorBody {
            message: text(self.message.or(self.error).or(self.detail)),
            kind: text(self.kind).filter(|kind| kind != "error"),
            code: text(self.code),
            param: text(self.param),
            ..UpstreamErrorBody::default()
        }
    }
}

/// A string as it is meant, anything else as it is written.
fn text(raw: Option<&RawValue>) -> Option<String> {
    let raw = raw.filter(|raw| raw.get() != "null")?.get();
    Some(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()))
}

/// The error of a response with a status of failure.
pub(super) fn read_reply(reply: &ErrorReply<'_>) -> GatewayError {
    let fault = match serde_json::from_slice::<ResponsesErrorWire<'_>>(reply.body) {
        Ok(error) => error.into_fault(),
        Err(_) => UpstreamErrorBody::default(),
    };
    let ErrorReply { status, retry_after, should_retry, body: _ } = *reply;
    UpstreamErrorBody { status: Some(status), retry_after, should_retry, ..fault }.into_error()
}

/// The error that a response itself reports.
pub(super) fn read_failure(failure: &str) -> GatewayError {
    let error: ResponsesErrorWire<'_> = serde_json::from_str(failure).unwrap_or_default();
    let fault = error.into_fault();
    let status = fault.code.as_deref().and_then(status_of);
    UpstreamErrorBody { status, ..fault }.into_error()
}

/// The status that an error inside a response would have had.
fn status_of(code: &str) -> Option<u16> {
    if let Ok(status) = code.parse() {
        return Some(status).filter(|status| (400..600).contains(status));
    }
    match code {
        "server_error" => Some(500),
        "rate_limit_exceeded" => Some(429),
        "vector_store_timeout" => Some(504),
        "failed_to_download_image" | "bio_policy" | "data_residency_mismatch" => Some(400),
        _ if code.contains("invalid") || code.contains("image") => Some(400),
        _ => None,
    }
}

/// The body of a response with a status of failure.
pub(super) fn write(error: &GatewayError) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        error: ErrorObjectWire<'a>,
    }
    #[derive(Serialize)]
    struct ErrorObjectWire<'a> {
        message: &'a str,
        #[serde(rename = "type")]
        kind: &'static str,
        param: Option<&'a str>,
        code: &'a str,
    }
    let error = ErrorObjectWire {
        message: error.message(),
        kind: error_type(error.kind()),
        param: error.param(),
        code: error.code(),
    };
    serde_json::to_vec(&Body { error }).unwrap_or_default()
}

/// An error inside a response.
#[derive(Debug, Serialize)]
pub(super) struct ResponseFailureWire<'a> {
    code: Cow<'a, str>,
    message: &'a str,
    retryable: bool,
}

impl<'a> From<&'a GatewayError> for ResponseFailureWire<'a> {
    fn from(error: &'a GatewayError) -> Self {
        Self {
            code: Cow::Borrowed(error.code()),
            message: error.message(),
            retryable: error.is_retryable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::ErrorKind;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let reply = ErrorReply { status, body: body.as_bytes(), ..ErrorReply::default() };
        let error = read_reply(&reply);
        let said = format!("{:?} {} {:?}", error.kind(), error.code(), error.param());
        assert_eq!(format!("{said}: {}", error.message()), expected);
    }

    #[test]
    fn error_is_decoded_from_every_wrapping() {
        check(
            400,
            r#"{"error":{"message":"no","type":"invalid_request_error","param":"input","code":null}}"#,
            r#"InvalidRequest invalid_request Some("input"): no"#,
        );
        check(
            400,
            r#"{"error":{"message":"no","code":"context_length_exceeded"}}"#,
            "ContextLength context_length_exceeded None: no",
        );
        check(400, r#"{"code":"bad-thing","error":"no"}"#, "InvalidRequest bad-thing None: no");
        check(404, r#"{"detail":"Not here"}"#, "NotFound not_found None: Not here");
        check(
            400,
            "<html>",
            "InvalidRequest invalid_request None: the provider rejected the request",
        );
        check(429, r#"{"error":{"message":"slow","code":429}}"#, "RateLimited 429 None: slow");
    }

    #[test]
    fn error_inside_response_has_a_kind() {
        for (failure, kind) in [
            (r#"{"code":"server_error","message":"x"}"#, ErrorKind::Upstream),
            (r#"{"code":"rate_limit_exceeded","message":"x"}"#, ErrorKind::RateLimited),
            (
                r#"{"type":"error","code":"invalid_prompt","message":"x"}"#,
                ErrorKind::InvalidRequest,
            ),
            (
                r#"{"type":"error","error":{"code":503,"message":"x"}}"#,
                ErrorKind::UpstreamOverloaded,
            ),
            ("null", ErrorKind::Upstream),
        ] {
            assert_eq!(read_failure(failure).kind(), kind, "{failure}");
        }
    }

    #[test]
    fn written_error_matches_openai_shape() {
        let error = GatewayError::invalid("input[0]", "no \"input\"");
        let body = String::from_utf8(write(&error)).unwrap();
        let expected = r#"{"error":{"message":"no \"input\"","type":"invalid_request_error","param":"input[0]","code":"invalid_request"}}"#;
        assert_eq!(body, expected);
    }
}
