//! Requests that pass through.

use super::*;
use crate::{InboundDialect as _, envelope, json::JsonLimits};
use gateway_core::Payload;

/// What an upstream is sent for a caller's request, and what is reported as lost.
#[track_caller]
fn check(body: &'static str, stream: bool, expected: &str, lost: &str) {
    let original =
        body_with_address(&Bytes::from_static(body.as_bytes()), "gemini-2.5-pro", stream);
    let envelope = envelope::read(&original, &JsonLimits::default()).unwrap();
    let prepared = GeminiInbound.prepare(original, envelope).unwrap();
    let call = ProviderRequest {
        payload: prepared.original,
        stream,
        ..ProviderRequest::new(ChatRequest::user("gemini-2.5-pro", ""))
    };
    assert!(matches!(call.payload, Payload::Raw(_)));
    let encoded = GeminiOutbound.encode(&call).unwrap();
    assert_eq!(String::from_utf8(encoded.to_vec()).unwrap(), expected);
    assert_eq!(encoded.dropped.iter().collect::<Vec<_>>().join(","), lost);
}

#[test]
fn request_of_the_same_dialect_is_sent_as_it_is() {
    let body =
        r#"{"contents":[{"parts":[{"text":"a","new":1}]}],"generationConfig":{"speechConfig":{}}}"#;
    check(body, false, body, "");
    check(body, true, body, "");
    check(r#"{"contents":[], "session_id":"s" ,"x":1}"#, true, r#"{"contents":[],"x":1}"#, "");
}

#[test]
fn calls_are_written_for_the_model() {
    check(
        r#"{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"functionCall":{"id":"call_0123456789abcdef0123456789abcdef","name":"f","args":{}}}]}],"generationConfig":{"speechConfig":{"x":1}}}"#,
        false,
        r#"{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]}],"generationConfig":{}}"#,
        "generationConfig.speechConfig",
    );
}
