//! Responses without streaming.

use super::{fixtures, *};

fn read(quirks: Quirks, call: &ProviderRequest, body: &'static str) -> gateway_core::Result<Chunk> {
    ChatOutbound { quirks }.read_whole(
        call,
        Bytes::from_static(body.as_bytes()),
        IdGenerator::new(2),
    )
}

/// Returns the caller's view of `body`.
fn passed(quirks: Quirks, body: &'static str) -> String {
    let chunk = read(quirks, &original(""), body).unwrap();
    String::from_utf8(chunk.verbatim.unwrap().to_vec()).unwrap()
}

#[test]
fn compliant_response_passes_unchanged() {
    assert_eq!(passed(Quirks::OPENAI, fixtures::OPENAI.whole), fixtures::OPENAI.whole);
    let spaced = r#"
        { "choices" : [ { "message" : { "content" : "\u00e9" , "x" : 1.0 } } ] }"#;
    assert_eq!(passed(Quirks::OPENAI, spaced), spaced.trim_start());
}

#[test]
fn noncompliant_response_is_normalized() {
    assert_eq!(
        passed(Quirks::MISTRAL, fixtures::MISTRAL.whole),
        r#"{"id":"a1","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"yes","tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"x\": 1}"},"type":"function"},{"id":"c2","function":{"name":"g","arguments":"{\"y\":2.0}"},"type":"function"}],"reasoning_content":"hm","refusal":null},"finish_reason":"tool_calls","logprobs":null}],"usage":{"prompt_tokens":9,"total_tokens":13,"completion_tokens":4}}"#
    );
    assert_eq!(
        passed(Quirks::LLAMACPP, fixtures::LLAMACPP.whole),
        r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"yes","refusal":null},"logprobs":null,"native_finish_reason":"eos"}],"created":5,"model":"asked","system_fingerprint":"b1","object":"chat.completion","id":"a1","timings":{"prompt_n":9},"usage":{"completion_tokens":4,"prompt_tokens":9,"total_tokens":13}}"#
    );
}

#[test]
fn passthrough_response_is_metered() {
    let chunk = read(Quirks::OPENAI, &original(""), fixtures::OPENAI.whole).unwrap();
    let [StreamEvent::Finished(_), StreamEvent::Usage(usage)] = chunk.events.as_slice() else {
        panic!("{:?}", chunk.events)
    };
    assert_eq!((usage.prompt(), usage.completion()), (9, 4));
    assert!(chunk.output);
}

#[test]
fn invalid_response_is_an_error() {
    let check = |body: &'static str, expected: ErrorKind| {
        for quirks in [Quirks::OPENAI, Quirks::COMPATIBLE] {
            for call in [original(""), composed_request("")] {
                let error = read(quirks, &call, body).unwrap_err();
                assert_eq!(error.kind(), expected, "{body}");
            }
        }
    };
    check("", ErrorKind::UpstreamInvalid);
    check("<html>", ErrorKind::UpstreamInvalid);
    check("{}", ErrorKind::UpstreamInvalid);
    check("[]", ErrorKind::UpstreamInvalid);
    check(r#"{"choices":[]}"#, ErrorKind::UpstreamInvalid);
    check(r#"{"choices":[{"message":{"content":"a""#, ErrorKind::UpstreamInvalid);
    check(r#"{"error":{"code":429,"message":"x"}}"#, ErrorKind::RateLimited);
    check(r#"{"error":{"type":"invalid_request_error","message":"x"}}"#, ErrorKind::InvalidRequest);
    check(r#"{"choices":[{"message":{},"finish_reason":"error"}]}"#, ErrorKind::Upstream);
}

#[test]
fn written_response_matches_openai_schema() {
    for fixture in &fixtures::ALL {
        let call = composed_request("");
        let mut answer = Collector::default();
        answer.extend(read(fixture.quirks, &call, fixture.whole).unwrap().events);
        let json = ChatInbound.write_whole(answer.finish(), reply(&call));
        let json: Value = serde_json::from_slice(&json).unwrap();
        for choice in json["choices"].as_array().unwrap() {
            let message = choice["message"].as_object().unwrap();
            assert_eq!(message["role"], "assistant");
            assert!(
                message.contains_key("content") && message.contains_key("refusal"),
                "{message:?}"
            );
            assert!(choice.get("logprobs").is_some() && choice["finish_reason"].is_string());
            let called = message.contains_key("tool_calls") && message["content"] == "";
            assert!(!called, "no empty text beside a call: {message:?}");
        }
        assert_eq!(json["object"], "chat.completion");
        assert!(json["id"].is_string() && json["created"].is_u64() && json["model"].is_string());
    }
}

#[test]
fn legacy_request_gets_legacy_response() {
    let call = composed_request(r#""functions":[{"name":"f"}]"#);
    let mut answer = Collector::default();
    answer.extend(read(Quirks::OPENAI, &call, fixtures::CALLS.whole).unwrap().events);
    let json = ChatInbound.write_whole(answer.finish(), reply(&call));
    let json: Value = serde_json::from_slice(&json).unwrap();
    let choice = &json["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    assert_eq!(choice["message"]["function_call"]["arguments"], "{\"x\": 1.0}");
    assert_eq!(choice["message"].get("tool_calls"), None);
}
