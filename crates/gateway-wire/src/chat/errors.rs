//! Errors: reading those of many upstreams, writing ours.

use crate::json::{lazy_object::LazyObject, lenient::LossyText};
use crate::{ErrorReply, UpstreamErrorBody, error_type};
use gateway_core::GatewayError;
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Reads the response of an upstream that refused or failed.
///
/// `permanent` says that a status of 500 may blame the request: llama.cpp answers so to what it
/// was not started for.
pub(super) fn read(reply: &ErrorReply<'_>, permanent: bool) -> GatewayError {
    let mut fault = match std::str::from_utf8(reply.body).ok().map(str::trim) {
        Some(body) if body.starts_with(['{', '[']) => {
            serde_json::from_str::<&RawValue>(body).map(of_json).unwrap_or_default()
        }
        // Pages are for people, and mostly those of something in between.
        Some(body) if !body.starts_with('<') && !body.is_empty() => {
            UpstreamErrorBody { message: Some(body.to_owned()), ..UpstreamErrorBody::default() }
        }
        Some(_) | None => UpstreamErrorBody::default(),
    };
    let blames_request = permanent && is_permanent(reply.status, &fault);
    // The same server would say the same again.
    fault.status = Some(if blames_request { 501 } else { reply.status });
    fault.retry_after = reply.retry_after.or(fault.retry_after);
    fault.should_retry = reply.should_retry.or(fault.should_retry);
    fault.into_error().with_upstream_status(reply.status)
}

/// Reads the `error` of a response that began, or pretended, to succeed.
pub(super) fn in_answer(error: &RawValue) -> GatewayError {
    let mut fault = of_json(error);
    // What says neither a status nor this is wrong on the upstream's side.
    if fault.status.is_none() && fault.kind.as_deref() == Some("invalid_request_error") {
        fault.status = Some(400);
    }
    fault.into_error()
}

/// Reads an event that is called `error`, whatever its shape.
pub(super) fn event(data: &str) -> GatewayError {
    serde_json::from_str::<&RawValue>(data).map_or_else(
        |_| {
            UpstreamErrorBody { message: Some(data.to_owned()), ..UpstreamErrorBody::default() }
                .into_error()
        },
        |raw| match serde_json::from_str::<LazyObject<'_>>(raw.get()) {
            Ok(object) => in_answer(object.get("error").unwrap_or(raw)),
            Err(_) => in_answer(raw),
        },
    )
}

/// Reads an error of any shape: wrapped in `error` or not, a string or an object, or the `detail`
/// of a web framework.
fn of_json(raw: &RawValue) -> UpstreamErrorBody {
    if let Ok(text) = serde_json::from_str::<LossyText<'_>>(raw.get()) {
        return UpstreamErrorBody {
            message: Some(text.into_string()),
            ..UpstreamErrorBody::default()
        };
    }
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        return list.first().map(|raw| of_item(raw)).unwrap_or_default();
    }
    let Ok(object) = serde_json::from_str::<LazyObject<'_>>(raw.get()) else {
        return UpstreamErrorBody::default();
    };
    // Mistral has the list of its framework in the message.
    let message = object.get("message").filter(|raw| raw.get().starts_with('{'));
    let inner = object.get("error").or_else(|| object.get("detail")).or(message);
    let mut fault = match inner {
        Some(inner) => of_json(inner),
        None => UpstreamErrorBody::default(),
    };
    let word = |name: &str| object.get(name).and_then(word);
    fault.message = fault.message.or_else(|| word("message"));
    fault.kind = fault.kind.or_else(|| word("type"));
    // Some say the status here.
    let code = word("code");
    let status = code.as_deref().and_then(|code| code.parse().ok());
    let status = status.filter(|status| (400..600).contains(status));
    fault.code = fault.code.or(code.filter(|_| status.is_none()));
    fault.status = fault.status.or(status);
    fault.param = fault.param.or_else(|| word("param"));
    if fault.kind.as_deref() == Some("non_retriable") {
        fault.should_retry = Some(false);
    }
    let metadata = object.get("metadata").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let metadata: LazyObject<'_> = metadata.unwrap_or_default();
    if metadata.get("flagged_input").is_some() {
        fault.code = Some("content_filter".to_owned());
    }
    if let Some(raw) = behind(&metadata) {
        fault.message = Some(match fault.message {
            Some(message) => format!("{message}: {raw}"),
            None => raw,
        });
    }
    let wait = word("retry_after_seconds").and_then(|wait| wait.parse().ok());
    fault.retry_after = fault.retry_after.or_else(|| Duration::try_from_secs_f64(wait?).ok());
    fault
}

/// Reads one entry of a list of validation errors: its location and its message.
fn of_item(raw: &RawValue) -> UpstreamErrorBody {
    let Ok(object) = serde_json::from_str::<LazyObject<'_>>(raw.get()) else { return of_json(raw) };
    let Some(message) = object.text("msg") else { return of_json(raw) };
    let place: Vec<&RawValue> =
        object.get("loc").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let place: Vec<String> = place.into_iter().filter_map(word).filter(|it| it != "body").collect();
    UpstreamErrorBody {
        message: Some(message.into_owned()),
        param: Some(place.join(".")).filter(|param| !param.is_empty()),
        ..UpstreamErrorBody::default()
    }
}

/// A word, or a number in place of one.
fn word(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<LossyText<'_>>(raw.get()).ok().map(LossyText::into_string),
        b'-' | b'0'..=b'9' => Some(raw.get().to_owned()),
        _ => None,
    }
    .filter(|word| !word.is_empty())
}

/// Extracts the message of the provider behind `OpenRouter`.
fn behind(metadata: &LazyObject<'_>) -> Option<String> {
    let raw = metadata.text("raw")?;
    let inner = serde_json::from_str::<&RawValue>(&raw).ok().and_then(|raw| of_json(raw).message);
    Some(inner.unwrap_or_else(|| raw.into_owned()))
}

/// Returns whether a server's failure is really the request's.
fn is_permanent(status: u16, fault: &UpstreamErrorBody) -> bool {
    const SIGNS: [&str; 9] = [
        "--",
        "not supported",
        "does not support",
        "doesn't support",
        "cannot use",
        "cannot make",
        "mmproj",
        "failed to parse",
        "invalid",
    ];
    if status == 501 || fault.kind.as_deref() == Some("not_supported_error") {
        return true;
    }
    let message = fault.message.as_deref().unwrap_or_default().to_lowercase();
    let blames = SIGNS.iter().any(|sign| message.contains(sign));
    status == 500
        && (blames
            || matches!(fault.kind.as_deref(), Some("invalid_request_error" | "non_retriable")))
}

#[derive(Serialize)]
struct ChatErrorBodyWire<'a> {
    error: ChatErrorWire<'a>,
}

#[derive(Serialize)]
struct ChatErrorWire<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
}

/// Appends an error in this dialect.
pub(super) fn write(error: &GatewayError, request_id: &str, out: &mut Vec<u8>) {
    let body = ChatErrorBodyWire {
        error: ChatErrorWire {
            message: error.message(),
            r#type: error_type(error.kind()),
            param: error.param(),
            code: error.code(),
            retryable: error.is_retryable(),
            request_id,
        },
    };
    // Strings, flags and nothing else: this cannot fail.
    let _ = serde_json::to_writer(out, &body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::ErrorKind;

    /// Reads an error reply of llama.cpp if `local`, else of anybody.
    #[track_caller]
    fn check(local: bool, status: u16, body: &str, expected: &str) {
        let reply = ErrorReply { status, body: body.as_bytes(), ..ErrorReply::default() };
        let error = read(&reply, local);
        let at = error.param().map(|param| format!(" at {param}")).unwrap_or_default();
        let wait = error.retry_after().map(|delay| format!(" in {delay:?}")).unwrap_or_default();
        let got = format!("{:?}: {}{at}{wait}", error.kind(), error.message());
        assert_eq!(got, expected, "{body}");
        assert_eq!(error.upstream_status(), Some(status));
    }

    const FAILED: &str = "Upstream: the provider failed";
    const REFUSED: &str = "InvalidRequest: the provider rejected the request";

    #[test]
    fn standard_error_shape_is_decoded() {
        check(
            false,
            400,
            r#"{"error":{"message":"too hot","type":"invalid_request_error","param":"temperature","code":null}}"#,
            "InvalidRequest: too hot at temperature",
        );
        check(
            false,
            404,
            r#"{"error":{"message":"no such model","code":"model_not_found"}}"#,
            "ModelNotFound: no such model",
        );
    }

    #[test]
    fn vendor_error_shapes_are_decoded() {
        check(false, 404, r#"{"error":"model x is missing"}"#, "ModelNotFound: model x is missing");
        check(
            false,
            400,
            r#"{"object":"error","message":"no logprobs","type":"invalid","param":null,"code":"3051"}"#,
            "InvalidRequest: no logprobs",
        );
        check(false, 400, r#"{"detail":"bad body"}"#, "InvalidRequest: bad body");
        check(
            false,
            400,
            r#"{"object":"error","message":{"detail":[{"loc":["body","user"],"msg":"extra"}]}}"#,
            "InvalidRequest: extra at user",
        );
        check(
            false,
            422,
            r#"{"detail":[{"loc":["body","messages",0],"msg":"bad","type":"x"}]}"#,
            "Unprocessable: bad at messages.0",
        );
        check(
            false,
            503,
            r#"{"detail":"queue is full","retry_after_seconds":5}"#,
            "UpstreamOverloaded: the provider is overloaded in 5s",
        );
        check(
            false,
            400,
            r#"{"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"too long\"}}"}}}"#,
            "InvalidRequest: Provider returned error: too long",
        );
        check(false, 400, r#"[{"error":{"message":"in a list"}}]"#, "InvalidRequest: in a list");
    }

    /// `OpenRouter` says so of what it does not hand on; others answer so to a key.
    #[test]
    fn forbidden_status_is_classified_by_body() {
        let moderated = r#"{"error":{"code":403,"message":"no","metadata":{"reasons":["violence"],"flagged_input":"x","provider_name":"p"}}}"#;
        check(false, 403, moderated, "ContentFilter: no");
        check(false, 403, r#"{"error":{"code":"no","message":"Not here"}}"#, "Forbidden: Not here");
        check(false, 403, "<html>Blocked</html>", "UpstreamInvalid: the provider failed");
    }

    #[test]
    fn malformed_tool_call_error_keeps_provider_code() {
        let body = r#"{"error":{"message":"Failed to call a function.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=f{\"a\":"}}"#;
        check(false, 400, body, "InvalidRequest: Failed to call a function.");
        let code = |error: GatewayError| error.code().to_owned();
        let reply = ErrorReply { status: 400, body: body.as_bytes(), ..ErrorReply::default() };
        assert_eq!(code(read(&reply, false)), "tool_use_failed");
        assert_eq!(code(event(body)), "tool_use_failed", "in a stream it is the same");
    }

    #[test]
    fn body_without_known_shape_uses_status() {
        check(false, 502, "<html><body>Bad gateway</body></html>", FAILED);
        check(false, 400, "<html></html>", REFUSED);
        check(false, 500, "", FAILED);
        check(false, 400, "plain words", "InvalidRequest: plain words");
        check(false, 400, "{\"error\":", REFUSED);
    }

    #[test]
    fn permanent_server_error_is_upstream_unsupported() {
        let jinja =
            r#"{"error":{"code":500,"message":"start it with --jinja","type":"server_error"}}"#;
        check(true, 500, jinja, "UpstreamUnsupported: start it with --jinja");
        check(false, 500, jinja, FAILED);
        check(true, 500, r#"{"error":{"code":500,"message":"out of memory"}}"#, FAILED);
        check(
            true,
            501,
            r#"{"error":{"code":501,"message":"no embeddings","type":"not_supported_error"}}"#,
            "UpstreamUnsupported: no embeddings",
        );
        check(
            true,
            400,
            r#"{"error":{"code":400,"message":"9 tokens are too many","type":"exceed_context_size_error"}}"#,
            "ContextLength: 9 tokens are too many",
        );
        check(
            true,
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            "UpstreamOverloaded: the provider is overloaded",
        );
    }

    #[test]
    fn error_inside_response_is_decoded() {
        let kind = |data: &str| event(data).kind();
        assert_eq!(kind(r#"{"error":{"code":429,"message":"x"}}"#), ErrorKind::RateLimited);
        assert_eq!(kind(r#"{"error":{"code":"502"}}"#), ErrorKind::Upstream);
        assert_eq!(
            kind(r#"{"message":"x","type":"invalid_request_error"}"#),
            ErrorKind::InvalidRequest
        );
        assert_eq!(kind(r#"{"error":"gone"}"#), ErrorKind::Upstream);
        assert_eq!(kind("gone"), ErrorKind::Upstream);
    }

    #[test]
    fn written_error_has_every_member() {
        let mut out = Vec::new();
        write(&GatewayError::invalid("n", "n: \"x\"\n"), "r1", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"error":{"message":"n: \"x\"\n","type":"invalid_request_error","param":"n","code":"invalid_request","retryable":false,"request_id":"r1"}}"#
        );
    }
}
