//! The responses to callers.

use super::{
    decode_response::{read_stream, whole},
    *,
};
use crate::{InboundDialect as _, ResponseContext};
use gateway_core::{GatewayError, Payload, Started, ToolCallDelta, Usage};
use std::sync::Arc;

fn reply() -> ResponseContext {
    let payload = Payload::Parsed(Arc::new(ChatRequest::user("asked", "x")));
    ResponseContext { payload, model: "asked".to_owned(), created: 1, ids: IdGenerator::new(1) }
}

fn call(index: u32, id: &str, arguments: &str) -> StreamEvent {
    let name = if id.is_empty() { String::new() } else { "f".to_owned() };
    let (id, arguments) = (id.to_owned(), arguments.to_owned());
    StreamEvent::ToolCall(ToolCallDelta { index, id, name, arguments, ..ToolCallDelta::default() })
}

fn text(text: &str) -> StreamEvent {
    StreamEvent::Text(text.to_owned())
}

fn fold(events: &[StreamEvent]) -> ChatResponse {
    let mut collector = Collector::default();
    collector.extend(events.iter().cloned());
    collector.finish()
}

/// The stream that `events` are written as, one a chunk.
fn write(events: &[StreamEvent]) -> String {
    let mut writer = GeminiInbound.writer(reply());
    let mut out = Vec::new();
    for event in events {
        writer.write(Chunk::from_events(vec![event.clone()]), &mut out);
    }
    writer.end(&mut out);
    String::from_utf8(out).unwrap()
}

/// The data of each event of a stream, which has to be in one line.
fn steps(stream: &str) -> Vec<Value> {
    let events = stream.split_terminator("\n\n");
    let data = events.map(|event| event.strip_prefix("data: ").expect("an event of one line"));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// Checks that `events` mean the same whether they are written whole or as a stream, wherever that
/// is cut, and that both are read back as what they were; returns the parts and the end.
#[track_caller]
fn check(events: &[StreamEvent]) -> (Value, Value) {
    let written = GeminiInbound.write_whole(fold(events), reply());
    let body: Value = serde_json::from_slice(&written).unwrap();
    let read = whole(&String::from_utf8(written).unwrap()).unwrap();
    let stream = write(events);
    for at in 0..=stream.len() {
        let (start, end) = stream.as_bytes().split_at(at);
        let streamed = read_stream(&[start, end]).unwrap();
        assert_eq!(streamed.choices, read.choices, "cut at {at}: {stream}");
        assert_eq!(streamed.usage, read.usage, "cut at {at}");
    }
    let candidate = &body["candidates"][0];
    (candidate["content"]["parts"].clone(), candidate["finishReason"].clone())
}

#[test]
fn every_part_has_a_place() {
    let gemini = |data| StreamEvent::Seal(seal(Dialect::Gemini, data));
    let (parts, end) = check(&[
        StreamEvent::Started(Started { id: Some("r".into()), ..Started::default() }),
        StreamEvent::Reasoning("t".into()),
        StreamEvent::Reasoning("u".into()),
        gemini("s1"),
        text("a\n"),
        text("é"),
        gemini("s2"),
        call(0, "c1", ""),
        call(0, "", "{\"x\": \n"),
        call(0, "", "1}"),
        StreamEvent::Usage(Usage { input: 3, output: 4, reasoning: 2, ..Usage::default() }),
        StreamEvent::Finished(FinishReason::ToolCalls.into()),
    ]);
    let expected = json!([
        { "text": "tu", "thought": true, "thoughtSignature": "s1" },
        { "text": "a\né" },
        { "text": "", "thoughtSignature": "s2" },
        { "functionCall": { "id": "c1", "name": "f", "args": { "x": 1 } } },
    ]);
    assert_eq!((parts, end), (expected, json!("STOP")));
}

#[test]
fn seals_of_others_are_left_out() {
    let (parts, _) = check(&[
        StreamEvent::Reasoning("t".into()),
        StreamEvent::Seal(seal(Dialect::Messages, "s")),
        text("a"),
    ]);
    assert_eq!(parts, json!([{ "text": "t", "thought": true }, { "text": "a" }]));
}

#[test]
fn interleaved_calls_are_written_whole() {
    let (parts, _) = check(&[
        call(0, "a", "{"),
        call(1, "b", "{\"y\""),
        call(0, "", "}"),
        call(1, "", ":2}"),
        text("c"),
        call(2, "d", "{cut"),
        StreamEvent::Finished(FinishReason::Length.into()),
    ]);
    let call =
        |id: &str, args: Value| json!({ "functionCall": { "id": id, "name": "f", "args": args } });
    let cut = json!({ "__invalid_json__": "{cut" });
    let expected = [
        call("a", json!({})),
        call("b", json!({ "y": 2 })),
        json!({ "text": "c" }),
        call("d", cut),
    ];
    assert_eq!(parts, json!(expected));
}

#[test]
fn choices_keep_their_places() {
    let events = [
        text("a"),
        StreamEvent::Choice(1),
        text("b"),
        StreamEvent::Choice(0),
        text("c"),
        StreamEvent::Finished(FinishReason::Length.into()),
        StreamEvent::Choice(1),
        StreamEvent::Finished(FinishReason::ContentFilter.into()),
    ];
    check(&events);
    let last = steps(&write(&events)).pop().unwrap();
    let ends: Vec<_> = last["candidates"].as_array().unwrap().iter().collect();
    assert_eq!((&ends[0]["finishReason"], &ends[0]["index"]), (&json!("MAX_TOKENS"), &json!(0)));
    assert_eq!((&ends[1]["finishReason"], &ends[1]["index"]), (&json!("SAFETY"), &json!(1)));
}

#[test]
fn sources_and_logprobs_are_written() {
    let note = r#"{"type":"url_citation","url_citation":{"start_index":0,"end_index":1,"url":"https://a.example","title":"t"}}"#;
    let likely = r#"{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[]}],"refusal":null}"#;
    let events = [
        text("é"),
        StreamEvent::Logprobs(Json::parse(likely).unwrap()),
        StreamEvent::Annotation(Json::parse(note).unwrap()),
        StreamEvent::Finished(FinishReason::Stop.into()),
    ];
    check(&events);
    let body = GeminiInbound.write_whole(fold(&events), reply());
    let body: Value = serde_json::from_slice(&body).unwrap();
    let grounding = &body["candidates"][0]["groundingMetadata"];
    assert_eq!(grounding["groundingSupports"][0]["segment"]["endIndex"], 2);
    let chosen = &body["candidates"][0]["logprobsResult"]["chosenCandidates"];
    assert_eq!(chosen, &json!([{ "token": "é", "logProbability": -0.5 }]));
}

#[test]
fn empty_response_is_complete() {
    let (parts, end) = check(&[StreamEvent::Finished(FinishReason::Stop.into())]);
    assert_eq!((parts, end), (Value::Null, json!("STOP")));
    let last = steps(&write(&[])).pop().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!((&last["modelVersion"], last["responseId"].is_string()), (&json!("asked"), true));
}

#[test]
fn counts_are_in_the_last_step_only() {
    let usage = StreamEvent::Usage(Usage { input: 3, output: 4, ..Usage::default() });
    let steps = steps(&write(&[usage, text("a"), text("b")]));
    let counts: Vec<_> =
        steps.iter().map(|it| it["usageMetadata"]["totalTokenCount"].as_u64()).collect();
    assert_eq!(counts, [None, None, Some(7)]);
}

#[test]
fn failed_stream_ends_with_the_error() {
    let mut writer = GeminiInbound.writer(reply());
    let mut out = Vec::new();
    writer.write(Chunk::from_events(vec![text("a")]), &mut out);
    writer.fail(&GatewayError::new(ErrorKind::UpstreamCut, "it\nbroke"), &mut out);
    let last = steps(std::str::from_utf8(&out).unwrap()).pop().unwrap();
    assert_eq!(
        (&last["error"]["code"], &last["error"]["status"]),
        (&json!(502), &json!("INTERNAL"))
    );
    assert_eq!(last["error"]["message"], "it\nbroke");
}
