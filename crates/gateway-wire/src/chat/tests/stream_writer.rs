//! Responses of other dialects, written in this one.

use super::*;
use gateway_core::{
    Finish, FinishReason, GatewayError, Json, Seal, SealKind, Started, ToolCallDelta, Usage,
};
use proptest::prelude::*;

const STREAM: &str = r#""stream":true"#;

fn write(members: &str, events: Vec<StreamEvent>) -> StreamResult {
    let call = composed_request(members);
    let mut writer = ChatInbound.writer(reply(&call));
    let mut out = Vec::new();
    writer.write(Chunk::from_events(events), &mut out);
    writer.end(&mut out);
    StreamResult { out: String::from_utf8(out).unwrap(), ..StreamResult::default() }
}

/// Writes `events`; `expected` are the deltas, each with its finish.
#[track_caller]
fn check(members: &str, events: Vec<StreamEvent>, expected: &[&str]) {
    let chunks = write(members, events).chunks();
    let deltas: Vec<_> = chunks
        .iter()
        .flat_map(|it| it["choices"].as_array().unwrap())
        .map(|it| format!("{} {}", it["delta"], it["finish_reason"]))
        .collect();
    assert_eq!(deltas, expected);
}

fn text(text: &str) -> StreamEvent {
    StreamEvent::Text(text.to_owned())
}

fn seal(dialect: Dialect, kind: SealKind, data: &str) -> Seal {
    Seal { dialect, kind, id: None, data: data.to_owned() }
}

fn call_delta(index: u32, id: &str, name: &str, arguments: &str) -> ToolCallDelta {
    ToolCallDelta {
        index,
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCallDelta::default()
    }
}

fn finished(reason: FinishReason) -> StreamEvent {
    StreamEvent::Finished(reason.into())
}

#[test]
fn text_and_finish_are_written() {
    check(
        STREAM,
        vec![text("a"), text("b"), finished(FinishReason::Stop)],
        &[r#"{"content":"a","role":"assistant"} null"#, r#"{"content":"b"} null"#, r#"{} "stop""#],
    );
    check(
        STREAM,
        vec![finished(FinishReason::Stop)],
        &[r#"{"content":"","role":"assistant"} "stop""#],
    );
}

#[test]
fn tool_call_name_is_written_once() {
    let custom = ToolCallDelta { custom: true, ..call_delta(1, "y", "g", "a") };
    check(
        STREAM,
        vec![
            StreamEvent::ToolCall(call_delta(0, "x", "f", "")),
            StreamEvent::ToolCall(call_delta(0, "", "", "{}")),
            StreamEvent::ToolCall(custom),
            StreamEvent::ToolCall(call_delta(1, "", "", "b")),
            finished(FinishReason::ToolCalls),
        ],
        &[
            r#"{"role":"assistant","tool_calls":[{"function":{"arguments":"","name":"f"},"id":"x","index":0,"type":"function"}]} null"#,
            r#"{"tool_calls":[{"function":{"arguments":"{}"},"index":0}]} null"#,
            r#"{"tool_calls":[{"custom":{"input":"a","name":"g"},"id":"y","index":1,"type":"custom"}]} null"#,
            r#"{"tool_calls":[{"custom":{"input":"b"},"index":1}]} null"#,
            r#"{} "tool_calls""#,
        ],
    );
}

#[test]
fn legacy_request_gets_legacy_chunks() {
    check(
        r#""stream":true,"functions":[{"name":"f"}]"#,
        vec![
            StreamEvent::ToolCall(call_delta(0, "x", "f", "")),
            StreamEvent::ToolCall(call_delta(0, "", "", "{}")),
            finished(FinishReason::ToolCalls),
        ],
        &[
            r#"{"function_call":{"arguments":"","name":"f"},"role":"assistant"} null"#,
            r#"{"function_call":{"arguments":"{}"}} null"#,
            r#"{} "function_call""#,
        ],
    );
}

#[test]
fn seals_are_written_in_vendor_members() {
    let google = Some(seal(Dialect::Gemini, SealKind::Signature, "g"));
    check(
        STREAM,
        vec![
            StreamEvent::Reasoning("hm".to_owned()),
            StreamEvent::Reasoning("!".to_owned()),
            StreamEvent::Seal(seal(Dialect::Messages, SealKind::Signature, "s")),
            StreamEvent::Seal(seal(Dialect::Messages, SealKind::Encrypted, "e")),
            StreamEvent::Seal(seal(Dialect::Chat, SealKind::Details, r#"[{"x":1.0}]"#)),
            StreamEvent::ToolCall(ToolCallDelta { seal: google, ..call_delta(0, "x", "f", "{}") }),
        ],
        &[
            r#"{"reasoning_content":"hm","role":"assistant"} null"#,
            r#"{"reasoning_content":"!"} null"#,
            r#"{"thinking_blocks":[{"signature":"s","thinking":"hm!","type":"thinking"}]} null"#,
            r#"{"thinking_blocks":[{"data":"e","type":"redacted_thinking"}]} null"#,
            r#"{"reasoning_details":[{"x":1.0}]} null"#,
            r#"{"tool_calls":[{"extra_content":{"google":{"thought_signature":"g"}},"function":{"arguments":"{}","name":"f"},"id":"x","index":0,"type":"function"}]} null"#,
        ],
    );
}

#[test]
fn each_choice_has_own_role_and_finish() {
    check(
        STREAM,
        vec![
            text("a"),
            StreamEvent::Choice(1),
            text("b"),
            finished(FinishReason::Length),
            finished(FinishReason::Stop),
            StreamEvent::Choice(0),
            finished(FinishReason::Stop),
        ],
        &[
            r#"{"content":"a","role":"assistant"} null"#,
            r#"{"content":"b","role":"assistant"} null"#,
            r#"{} "length""#,
            r#"{} "stop""#,
        ],
    );
}

#[test]
fn usage_is_last_and_only_on_request() {
    let events = || {
        let usage = Usage { input: 3, output: 4, ..Usage::default() };
        vec![StreamEvent::Usage(usage), text("a"), finished(FinishReason::Stop)]
    };
    let chunks = write(STREAM, events()).chunks();
    assert!(chunks.iter().all(|it| it.get("usage").is_none()), "{chunks:?}");
    let chunks =
        write(r#""stream":true,"stream_options":{"include_usage":true}"#, events()).chunks();
    let (last, others) = chunks.split_last().unwrap();
    assert!(others.iter().all(|it| it["usage"].is_null() && it.get("usage").is_some()));
    assert_eq!(last["choices"], serde_json::json!([]));
    assert_eq!(last["usage"]["total_tokens"], 7);
}

#[test]
fn logprobs_accompany_their_text() {
    let logprobs = Json::parse(r#"{"content":[{"token":"a","logprob":-0.50}]}"#).unwrap();
    let outcome = write(STREAM, vec![text("a"), StreamEvent::Logprobs(logprobs)]);
    assert_eq!(outcome.chunks().len(), 1);
    assert!(outcome.out.contains(r#""logprobs":{"content":[{"token":"a","logprob":-0.50}]}"#));
}

#[test]
fn upstream_metadata_is_written() {
    let started = StreamEvent::Started(Started {
        id: Some("x".to_owned()),
        model: Some("m".to_owned()),
        created: Some(9),
    });
    let extra = |name: &'static str, json: &str| {
        StreamEvent::Extra(name.into(), Json::parse(json).unwrap())
    };
    let native = Finish { native: Some("end_turn".to_owned()), ..Finish::default() };
    let events = vec![
        started,
        extra("service_tier", "\"standard\""),
        extra("system_fingerprint", "\"fp\""),
        extra("other", "1"),
        StreamEvent::Finished(native),
    ];
    assert_eq!(
        write(STREAM, events).out,
        "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":9,\"model\":\"m\",\
         \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\
         \"finish_reason\":\"stop\",\"native_finish_reason\":\"end_turn\"}],\
         \"service_tier\":\"default\",\"system_fingerprint\":\"fp\"}\n\ndata: [DONE]\n\n"
    );
}

#[test]
fn error_is_the_last_event() {
    let call = composed_request(STREAM);
    let mut writer = ChatInbound.writer(reply(&call));
    let mut out = Vec::new();
    writer.fail(&GatewayError::new(ErrorKind::UpstreamCut, "broken\n\ndata: x"), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "data: {\"error\":{\"message\":\"broken\\n\\ndata: x\",\"type\":\"server_error\",\"param\":null,\
         \"code\":\"upstream_cut\",\"retryable\":true}}\n\n"
    );
}

proptest! {
    #[test]
    fn text_cannot_break_out_of_its_event(
        said in "\\PC*|[\r\n:a\u{2028}\u{0}data \"\\\\]{0,20}",
        id in "[a\n\r\"]{0,5}",
    ) {
        let started = Started { id: Some(id.clone()), model: Some(said.clone()), created: None };
        let outcome = write(STREAM, vec![
            StreamEvent::Started(started),
            text(&said),
            StreamEvent::ToolCall(call_delta(0, &id, &said, &said)),
            finished(FinishReason::Stop),
        ]);
        let chunks = outcome.chunks();
        prop_assert_eq!(chunks.len(), 3);
        prop_assert_eq!(chunks[0]["choices"][0]["delta"]["content"].as_str(), Some(&*said));
        prop_assert_eq!(chunks[2]["id"].as_str(), Some(&*id));
    }
}
