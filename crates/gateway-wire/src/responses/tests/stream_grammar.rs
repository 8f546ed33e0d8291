//! The grammar of a streamed response, and a checker for it.

use super::{fold, read_cut, read_stream, read_whole, reply, write_stream};
use crate::{
    InboundDialect as _,
    responses::{ResponsesInbound, reasoning_seals},
};
use gateway_core::{
    ChatResponse, Content, Dialect, Finish, FinishReason, Json, Opaque, Reasoning, Seal, SealKind,
    Started, StreamEvent, ToolCallDelta, Usage,
};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// The state of an added item.
#[derive(Default)]
struct Open {
    id: String,
    kind: String,
    /// The texts of its pieces, the last one perhaps still growing.
    pieces: Vec<String>,
    in_piece: bool,
    done: Option<Value>,
}

/// Checks `stream` against the grammar; returns the response it ends with.
#[track_caller]
pub(crate) fn check(stream: &[u8]) -> Value {
    let events: Vec<_> = crate::sse::events(stream)
        .map(|event| {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(data["type"], event.name);
            data
        })
        .collect();
    let mut items = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at, "dense numbers");
        step(event, at, events.len(), &mut items);
    }
    let last = events.last().unwrap();
    let kind = last["type"].as_str().unwrap().strip_prefix("response.").unwrap();
    assert!(matches!(kind, "completed" | "incomplete" | "failed"), "ends with {kind}");
    let response = &last["response"];
    assert_eq!(response["status"], kind);
    assert_eq!(response["id"], events[0]["response"]["id"]);
    if kind != "failed" {
        let done: Vec<_> = items.values().map(|item: &Open| item.done.clone().unwrap()).collect();
        assert_eq!(
            response["output"],
            Value::Array(done),
            "the output is the items that were done"
        );
    }
    response.clone()
}

#[track_caller]
fn step(event: &Value, at: usize, total: usize, items: &mut BTreeMap<u64, Open>) {
    let kind = event["type"].as_str().unwrap().strip_prefix("response.").unwrap();
    match (at, kind) {
        (0, "created") | (1, "in_progress") => {
            assert_eq!(event["response"]["status"], "in_progress");
            assert_eq!(event["response"]["output"], serde_json::json!([]));
            return;
        }
        (_, "completed" | "incomplete" | "failed") => return assert_eq!(at + 1, total),
        (0 | 1, _) => panic!("{kind} at {at}"),
        _ => {}
    }
    let index = event["output_index"].as_u64().unwrap();
    if kind == "output_item.added" {
        return add(event, index, items);
    }
    let item = items.get_mut(&index).expect("an item that was added");
    assert!(item.done.is_none(), "{kind} after the item was done");
    if kind == "output_item.done" {
        assert_eq!(event["item"]["id"].as_str().unwrap_or_default(), item.id);
        assert!(!item.in_piece, "done with an open piece");
        assert_eq!(texts(&event["item"]), item.pieces, "the deltas add up");
        item.done = Some(event["item"].clone());
        return;
    }
    assert_eq!(event["item_id"], item.id.as_str());
    within(event, kind, item);
}

#[track_caller]
fn add(event: &Value, index: u64, items: &mut BTreeMap<u64, Open>) {
    let item = &event["item"];
    let kind = item["type"].as_str().unwrap().to_owned();
    assert_eq!(index, items.len() as u64, "indexes rise");
    let is_call = |kind: &str| kind.ends_with("_call") && kind != "web_search_call";
    for open in items.values().filter(|open| open.done.is_none()) {
        assert!(is_call(&open.kind), "{} stays open", open.kind);
    }
    let pieces = if is_call(&kind) { vec![String::new()] } else { Vec::new() };
    let id = item["id"].as_str().unwrap_or_default().to_owned();
    items.insert(index, Open { id, kind, pieces, ..Open::default() });
}

#[track_caller]
fn within(event: &Value, kind: &str, item: &mut Open) {
    let text = |name: &str| event[name].as_str().unwrap().to_owned();
    let index = event.get("content_index").or_else(|| event.get("summary_index"));
    match kind.rsplit_once('.').unwrap() {
        ("content_part" | "reasoning_summary_part", "added") => {
            assert!(!item.in_piece, "one piece at a time");
            assert_eq!(index.unwrap(), item.pieces.len());
            item.pieces.push(String::new());
            item.in_piece = true;
        }
        ("content_part" | "reasoning_summary_part", "done") => {
            assert!(std::mem::take(&mut item.in_piece));
            assert_eq!(&piece_text(&event["part"]), item.pieces.last().unwrap());
        }
        ("output_text" | "refusal" | "reasoning_summary_text", "delta") => {
            assert!(item.in_piece);
            assert_eq!(index.unwrap(), item.pieces.len() - 1);
            item.pieces.last_mut().unwrap().push_str(&text("delta"));
        }
        ("function_call_arguments" | "custom_tool_call_input", "delta") => {
            item.pieces[0].push_str(&text("delta"));
        }
        ("output_text" | "reasoning_summary_text", "done") => {
            assert_eq!(&text("text"), item.pieces.last().unwrap());
        }
        ("refusal", "done") => assert_eq!(&text("refusal"), item.pieces.last().unwrap()),
        ("function_call_arguments", "done") => assert_eq!(text("arguments"), item.pieces[0]),
        ("custom_tool_call_input", "done") => assert_eq!(text("input"), item.pieces[0]),
        ("output_text.annotation", "added") => assert!(item.in_piece),
        other => panic!("unknown event {other:?}"),
    }
}

fn piece_text(piece: &Value) -> String {
    piece.get("text").or_else(|| piece.get("refusal")).unwrap().as_str().unwrap().to_owned()
}

/// The texts of the pieces of an item.
fn texts(item: &Value) -> Vec<String> {
    let list = |name: &str| item[name].as_array().unwrap().iter().map(piece_text).collect();
    match item["type"].as_str().unwrap() {
        "message" => list("content"),
        "reasoning" => list("summary"),
        "function_call" => vec![item["arguments"].as_str().unwrap().to_owned()],
        "custom_tool_call" => vec![item["input"].as_str().unwrap().to_owned()],
        _ => Vec::new(),
    }
}

/// Any steps of one response: some of them of several calls at once.
fn steps() -> impl Strategy<Value = Vec<StreamEvent>> {
    let text = || "[a-zé\"\\\\\n😀]{1,4}";
    let fragment = prop::sample::select(vec!["{", "\"a\"", ":1", "}", " ", "x", "{}", ""]);
    let opaque = r#"{"type":"web_search_call","id":"ws_1","status":"completed"}"#;
    let note = r#"{"type":"file_citation","file_id":"f","filename":"n","index":0}"#;
    let json = |text: &str| Json::parse(text).unwrap();
    let opaque = Opaque {
        dialect: Dialect::Responses,
        kind: "web_search_call".to_owned(),
        json: json(opaque),
    };
    let step = prop_oneof![
        4 => text().prop_map(StreamEvent::Text),
        1 => text().prop_map(StreamEvent::Refusal),
        2 => text().prop_map(StreamEvent::Reasoning),
        1 => (text(), prop::option::of("rs_[a-c]")).prop_map(|(data, id)| StreamEvent::Seal(Seal {
            dialect: Dialect::Responses, kind: SealKind::Encrypted, id, data,
        })),
        1 => text().prop_map(|data| StreamEvent::Seal(Seal {
            dialect: Dialect::Messages, kind: SealKind::Signature, id: None, data,
        })),
        8 => (0u32..4, fragment).prop_map(|(index, arguments)| StreamEvent::ToolCall(
            ToolCallDelta { index, arguments: arguments.to_owned(), ..ToolCallDelta::default() }
        )),
        1 => Just(StreamEvent::Annotation(json(note))),
        1 => Just(StreamEvent::Opaque(opaque)),
        1 => Just(StreamEvent::Logprobs(json(r#"{"content":[{"token":"a","logprob":-1}]}"#))),
    ];
    let end = prop::sample::select(vec![
        FinishReason::Stop,
        FinishReason::Length,
        FinishReason::ContentFilter,
    ]);
    (prop::collection::vec(step, 0..24), end).prop_map(|(steps, end)| complete(steps, end))
}

/// Names the calls, ends their arguments where they are whole, and ends the response.
fn complete(steps: Vec<StreamEvent>, end: FinishReason) -> Vec<StreamEvent> {
    let mut calls: BTreeMap<u32, String> = BTreeMap::new();
    let mut out = vec![StreamEvent::Started(Started {
        id: Some("resp_1".to_owned()),
        model: Some("m-1".to_owned()),
        created: Some(1_700_000_000),
    })];
    for step in steps {
        let StreamEvent::ToolCall(mut delta) = step else {
            out.push(step);
            continue;
        };
        let is_new = !calls.contains_key(&delta.index);
        let arguments = calls.entry(delta.index).or_default();
        if arguments.trim_start().starts_with('{')
            && serde_json::from_str::<Value>(arguments).is_ok()
        {
            continue;
        }
        if is_new {
            delta.id = format!("call_{}", delta.index);
            delta.name = format!("tool_{}", delta.index);
            delta.custom = delta.index == 3;
        }
        arguments.push_str(&delta.arguments);
        out.push(StreamEvent::ToolCall(delta));
    }
    out.push(StreamEvent::Finished(Finish::from(end)));
    let usage = Usage { input: 3, cache_read: 2, output: 5, reasoning: 1, ..Usage::default() };
    out.push(StreamEvent::Usage(usage));
    out
}

/// Returns the part of a response that is independent of its path.
fn normal(mut answer: ChatResponse) -> ChatResponse {
    if answer.choices.is_empty() {
        answer.choices.push(gateway_core::Choice::default());
    }
    answer.extra.remove("service_tier");
    for choice in &mut answer.choices {
        choice.logprobs.clear();
        let has_calls = choice.message.tool_calls().next().is_some();
        if let Some(finish) = &mut choice.finish {
            finish.native = None;
            if has_calls && finish.reason == FinishReason::Stop {
                finish.reason = FinishReason::ToolCalls;
            }
        }
        for part in &mut choice.message.parts {
            if let Content::ToolCall(call) = &mut part.content
                && call.arguments.is_empty()
                && !call.custom
            {
                call.arguments.push_str("{}");
            }
        }
    }
    answer
}

/// A response that was written and read again, with the seals in it as they were before.
fn unwrapped(mut answer: ChatResponse) -> ChatResponse {
    let parts = answer.choices.iter_mut().flat_map(|choice| &mut choice.message.parts);
    for part in parts {
        if let Content::Reasoning(Reasoning { seal: Some(seal), .. }) = &mut part.content {
            // A long name is one that the writer gave.
            let id = seal.id.clone().filter(|id| id.len() < 30);
            *seal = reasoning_seals::unwrap(seal.data.clone(), id).0;
        }
    }
    normal(answer)
}

proptest! {
    #[test]
    fn every_stream_follows_the_grammar(steps in steps()) {
        check(&write_stream(&steps));
    }

    #[test]
    fn streamed_and_whole_response_match_the_events(steps in steps()) {
        let answer = fold(steps.clone());
        let stream = read_stream(&write_stream(&steps)).unwrap();
        let whole = read_whole(&ResponsesInbound.write_whole(answer.clone(), reply())).unwrap();
        let expected = normal(answer);
        prop_assert_eq!(&unwrapped(stream), &expected);
        prop_assert_eq!(&unwrapped(whole), &expected);
    }

    #[test]
    fn events_are_independent_of_network_cuts(steps in steps(), size in 1usize..80) {
        let stream = write_stream(&steps);
        let chunks = read_cut(&super::composed_request(), &stream, size).unwrap();
        let events: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.events).collect();
        let whole = read_cut(&super::composed_request(), &stream, stream.len()).unwrap();
        prop_assert_eq!(events, whole.into_iter().flat_map(|chunk| chunk.events).collect::<Vec<_>>());
    }

    #[test]
    fn failed_stream_follows_the_grammar(steps in steps(), at in 0usize..24) {
        let mut writer = ResponsesInbound.writer(reply());
        let mut out = Vec::new();
        for step in steps.iter().take(at) {
            writer.write(gateway_core::Chunk::from_events(vec![step.clone()]), &mut out);
        }
        let error = gateway_core::GatewayError::new(gateway_core::ErrorKind::UpstreamCut, "cut");
        writer.fail(&error, &mut out);
        writer.end(&mut out);
        let response = check(&out);
        prop_assert_eq!(&response["error"]["code"], "upstream_cut");
        prop_assert_eq!(&response["error"]["retryable"], true);
        prop_assert!(read_stream(&out).is_err());
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_stream(&bytes);
        let _ = read_whole(&bytes);
        let _ = ResponsesInbound.decode()(&bytes);
    }
}
