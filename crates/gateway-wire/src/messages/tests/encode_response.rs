//! The responses to callers.

use super::{fold, read_all, reply};
use crate::{InboundDialect as _, messages::MessagesInbound, sse};
use bytes::Bytes;
use gateway_core::{
    Chunk, Content, Dialect, ErrorKind, Finish, FinishReason, GatewayError, Json, Opaque, Seal,
    SealKind, Started, StreamEvent, ToolCallDelta, Usage,
};
use serde_json::{Value, json};

fn text(text: &str) -> StreamEvent {
    StreamEvent::Text(text.to_owned())
}

fn call(index: u32, id: &str, arguments: &str) -> StreamEvent {
    let name = if id.is_empty() { String::new() } else { "f".to_owned() };
    let (id, arguments) = (id.to_owned(), arguments.to_owned());
    StreamEvent::ToolCall(ToolCallDelta { index, id, name, arguments, ..ToolCallDelta::default() })
}

fn seal(dialect: Dialect, kind: SealKind, data: &str) -> StreamEvent {
    StreamEvent::Seal(Seal { dialect, kind, id: None, data: data.to_owned() })
}

fn finished(reason: FinishReason) -> StreamEvent {
    StreamEvent::Finished(reason.into())
}

/// Returns the stream that `events`, one chunk each, are written as.
fn write(events: &[StreamEvent]) -> String {
    let mut writer = MessagesInbound.writer(reply());
    let mut out = Vec::new();
    for event in events {
        writer.write(Chunk::from_events(vec![event.clone()]), &mut out);
    }
    writer.end(&mut out);
    String::from_utf8(out).unwrap()
}

fn whole(events: &[StreamEvent]) -> Value {
    let answer = fold(events.iter().cloned());
    serde_json::from_slice(&MessagesInbound.write_whole(answer, reply())).unwrap()
}

/// The events of a stream in short, such as `+text 'a' -` for a block that opens, grows and closes.
///
/// Fails unless each block is closed before the next opens, and the indexes have no gaps.
fn spell(stream: &str) -> String {
    let (mut said, mut open, mut next) = (Vec::new(), None, 0);
    for event in sse::events(stream.as_bytes()) {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(event.name, data["type"], "the name of an event is its type");
        let index = data["index"].as_u64();
        match event.name {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)), "one block at a time, and no gaps");
                (open, next) = (index, next + 1);
                said.push(format!("+{}", data["content_block"]["type"].as_str().unwrap()));
            }
            "content_block_delta" => {
                assert_eq!(open, index, "only the open block grows");
                let delta = data["delta"].as_object().unwrap();
                said.extend(
                    delta
                        .iter()
                        .filter(|(name, _)| *name != "type")
                        .map(|(_, it)| format!("'{}'", it.as_str().unwrap())),
                );
            }
            "content_block_stop" => {
                assert_eq!(open, index, "only the open block closes");
                open = None;
                said.push("-".to_owned());
            }
            "message_start" => said.push("start".to_owned()),
            "message_delta" => said.push(data["delta"]["stop_reason"].as_str().unwrap().to_owned()),
            "message_stop" => said.push("stop".to_owned()),
            other => panic!("{other}"),
        }
    }
    said.join(" ")
}

/// Checks what events are written as, and that it means what the whole response means.
#[track_caller]
fn check(events: &[StreamEvent], expected: &str) {
    let stream = write(events);
    assert_eq!(spell(&stream), format!("start {expected} stop"));
    let again = MessagesInbound.write_whole(read_all(&stream), reply());
    let again: Value = serde_json::from_slice(&again).unwrap();
    let whole = whole(events);
    for member in ["content", "stop_reason", "stop_sequence", "usage"] {
        assert_eq!(again[member], whole[member], "whole and streamed are one");
    }
}

#[test]
fn blocks_are_opened_and_closed() {
    check(
        &[
            StreamEvent::Reasoning("t".into()),
            StreamEvent::Reasoning("u".into()),
            text("a"),
            text(""),
            text("b"),
            call(0, "c1", ""),
            call(0, "", "{\"x\":"),
            call(0, "", "1}"),
            finished(FinishReason::ToolCalls),
        ],
        "+thinking 't' 'u' - +text 'a' 'b' - +tool_use '{\"x\":' '1}' - tool_use",
    );
}

#[test]
fn empty_response_is_accepted() {
    check(&[], "end_turn");
    check(&[text(""), finished(FinishReason::Length)], "max_tokens");
}

#[test]
fn interleaved_calls_are_written_in_sequence() {
    check(
        &[
            call(0, "a", "{"),
            call(1, "b", "{\"y\""),
            call(0, "", "}"),
            call(1, "", ":2}"),
            finished(FinishReason::ToolCalls),
        ],
        "+tool_use '{' '}' - +tool_use '{\"y\"' ':2}' - tool_use",
    );
    check(
        &[
            call(0, "a", ""),
            call(1, "b", "{}"),
            text("c"),
            call(0, "", "{}"),
            finished(FinishReason::ToolCalls),
        ],
        "+tool_use '{}' - +tool_use '{}' - +text 'c' - tool_use",
    );
}

#[test]
fn completed_call_is_flushed_immediately() {
    let mut writer = MessagesInbound.writer(reply());
    let mut out = Vec::new();
    writer.write(Chunk::from_events(vec![call(0, "a", "{}"), call(1, "b", "{\"x\"")]), &mut out);
    let said = String::from_utf8(out).unwrap();
    assert_eq!(spell(&said), "start +tool_use '{}' - +tool_use '{\"x\"'");
}

#[test]
fn call_without_arguments_is_complete() {
    check(&[call(0, "a", ""), finished(FinishReason::ToolCalls)], "+tool_use - tool_use");
    assert_eq!(
        whole(&[call(0, "a.b", "")])["content"][0],
        json!({"type": "tool_use", "id": "a_b", "name": "f", "input": {}})
    );
}

#[test]
fn only_own_signatures_are_written() {
    use SealKind::{Encrypted, Signature};
    check(
        &[
            StreamEvent::Reasoning("t".into()),
            seal(Dialect::Messages, Signature, "s"),
            StreamEvent::Reasoning("u".into()),
            seal(Dialect::Messages, Encrypted, "d"),
            text("a"),
            seal(Dialect::Responses, Encrypted, "y"),
            seal(Dialect::Messages, Signature, "z"),
        ],
        "+thinking 't' 's' - +thinking 'u' - +redacted_thinking - +text 'a' - +thinking 'z' - \
         end_turn",
    );
}

#[test]
fn foreign_signature_separates_thinking_blocks() {
    let events = [
        StreamEvent::Reasoning("t".into()),
        seal(Dialect::Gemini, SealKind::Signature, "x"),
        StreamEvent::Reasoning("u".into()),
    ];
    assert_eq!(spell(&write(&events)), "start +thinking 't' - +thinking 'u' - end_turn stop");
    assert_eq!(whole(&events)["content"][1]["thinking"], "u");
}

#[test]
fn only_known_content_is_written() {
    let opaque = |dialect| {
        let json = Json::parse("{\"type\":\"server_tool_use\",\n\"n\":1.0}").unwrap();
        StreamEvent::Opaque(Opaque { dialect, kind: "server_tool_use".to_owned(), json })
    };
    check(
        &[
            text("a"),
            opaque(Dialect::Messages),
            opaque(Dialect::Responses),
            StreamEvent::Annotation(Json::null()),
            StreamEvent::Extra("x".into(), Json::null()),
            StreamEvent::Choice(1),
            text("elsewhere"),
            finished(FinishReason::Length),
            StreamEvent::Choice(0),
            text("b"),
        ],
        "+text 'a' - +server_tool_use - +text 'b' - end_turn",
    );
}

#[test]
fn refusal_is_written_and_named() {
    let events = [StreamEvent::Refusal("no".into()), finished(FinishReason::Stop)];
    let stream = write(&events);
    assert_eq!(spell(&stream), "start +text 'no' - refusal stop");
    let whole = whole(&events);
    assert_eq!(
        (&whole["stop_reason"], &whole["content"][0]["text"]),
        (&json!("refusal"), &json!("no"))
    );
}

fn usage() -> Usage {
    Usage { input: 5, cache_read: 2, cache_write: 3, output: 7, reasoning: 4, ..Usage::default() }
}

#[test]
fn message_delta_reports_final_usage() {
    let stream = write(&[
        StreamEvent::Started(Started::default()),
        text("a"),
        finished(FinishReason::Stop),
        StreamEvent::Usage(usage()),
    ]);
    let events: Vec<Value> =
        sse::events(stream.as_bytes()).map(|it| serde_json::from_str(&it.data).unwrap()).collect();
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 0, "not known yet");
    let counts = &events[events.len() - 2]["usage"];
    assert_eq!(counts["input_tokens"], 5, "what the cache gave is counted apart");
    assert_eq!(counts["cache_read_input_tokens"], 2);
    assert_eq!(counts["cache_creation_input_tokens"], 3);
    assert_eq!(counts["output_tokens"], 11);
}

#[test]
fn message_start_reports_known_usage() {
    let mut writer = MessagesInbound.writer(reply());
    let mut out = Vec::new();
    let started = Started { id: Some("msg_9".into()), model: Some("real".into()), created: None };
    let events = vec![StreamEvent::Started(started), StreamEvent::Usage(usage())];
    writer.write(Chunk::from_events(events), &mut out);
    let start = sse::events(&out).next().unwrap();
    let start: Value = serde_json::from_str(&start.data).unwrap();
    let message = &start["message"];
    assert_eq!((&message["id"], &message["model"]), (&json!("msg_9"), &json!("real")));
    assert_eq!(
        (&message["usage"]["input_tokens"], &message["stop_reason"]),
        (&json!(5), &Value::Null)
    );
}

#[test]
fn whole_response_has_every_member() {
    let finish = Finish { stop_sequence: Some("END".to_owned()), ..Finish::default() };
    let events = [text("a"), StreamEvent::Finished(finish), StreamEvent::Usage(usage())];
    let mut answer = whole(&events);
    let id = answer.as_object_mut().unwrap().remove("id").unwrap();
    assert!(id.as_str().unwrap().starts_with("msg_"));
    assert_eq!(
        answer,
        json!({
            "type": "message", "role": "assistant", "model": "asked",
            "content": [{"type": "text", "text": "a"}],
            "stop_reason": "stop_sequence", "stop_sequence": "END",
            "usage": {
                "input_tokens": 5, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2,
                "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 11, "output_tokens_details": {"thinking_tokens": 4},
            },
        })
    );
}

#[test]
fn verbatim_bytes_are_written_unchanged() {
    let bytes = Bytes::from_static(b"event: message_stop\ndata: {}\n\n");
    let mut chunk = Chunk { verbatim: Some(bytes.clone()), ..Chunk::from_events(vec![text("a")]) };
    let mut writer = MessagesInbound.writer(reply());
    let mut out = Vec::new();
    writer.write(chunk.clone(), &mut out);
    writer.end(&mut out);
    assert_eq!(out, bytes);
    let mut writer = MessagesInbound.writer(reply());
    assert_eq!(writer.pass(&mut chunk), Some(bytes));
    assert_eq!(writer.pass(&mut chunk), None);
    out.clear();
    writer.end(&mut out);
    assert_eq!(out, b"");
}

#[test]
fn error_is_the_last_event() {
    let mut writer = MessagesInbound.writer(reply());
    let mut out = Vec::new();
    writer.write(Chunk::from_events(vec![text("a")]), &mut out);
    writer.fail(&GatewayError::new(ErrorKind::UpstreamCut, "cut"), &mut out);
    let last = sse::events(&out).last().unwrap();
    assert_eq!(last.name, "error");
    assert_eq!(
        serde_json::from_str::<Value>(&last.data).unwrap(),
        json!({"type": "error", "error":
            {"type": "api_error", "message": "cut", "code": "upstream_cut", "retryable": true}})
    );
}

#[track_caller]
fn check_error(kind: ErrorKind, word: &str) {
    let written = MessagesInbound.write_error(&GatewayError::new(kind, "m"), "r");
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        json!({"type": "error", "error": {"type": word, "message": "m"}, "request_id": "r"})
    );
}

#[test]
fn every_error_kind_has_a_type() {
    check_error(ErrorKind::InvalidRequest, "invalid_request_error");
    check_error(ErrorKind::Unauthenticated, "authentication_error");
    check_error(ErrorKind::Forbidden, "permission_error");
    check_error(ErrorKind::ModelNotFound, "not_found_error");
    check_error(ErrorKind::TooLarge, "request_too_large");
    check_error(ErrorKind::RateLimited, "rate_limit_error");
    check_error(ErrorKind::Internal, "api_error");
    check_error(ErrorKind::UpstreamTimeout, "timeout_error");
    check_error(ErrorKind::UpstreamOverloaded, "overloaded_error");
}

proptest::proptest! {
    /// Whatever the order of the pieces: blocks do not mix, and the response is that of its fold.
    #[test]
    fn any_event_order_yields_sequential_blocks(
        pieces in proptest::collection::vec((0..7_u8, 0..3_u32), 0..24)
    ) {
        let mut begun = [false; 3];
        let mut events = Vec::new();
        for (piece, which) in pieces {
            events.push(match piece {
                0 => text("a"),
                1 => StreamEvent::Reasoning("t".into()),
                2 => seal(Dialect::Messages, SealKind::Signature, "s"),
                3 => seal(Dialect::Gemini, SealKind::Signature, "s"),
                4 => StreamEvent::Refusal("r".into()),
                _ => {
                    let is_begun = std::mem::replace(&mut begun[which as usize], true);
                    let id = if is_begun { String::new() } else { format!("c{which}") };
                    call(which, &id, if is_begun { "," } else { "[" })
                }
            });
        }
        spell(&write(&events));
        let answer = fold(events.iter().cloned());
        let texts: String = read_all(&write(&events)).text();
        let parts = answer.choices.iter().flat_map(|choice| &choice.message.parts);
        let expected: String = parts.filter_map(|part| {
            let (Content::Text(text) | Content::Refusal(text)) = &part.content else { return None };
            Some(text.as_str())
        }).collect();
        proptest::prop_assert_eq!(texts, expected);
        let calls = |answer: &gateway_core::ChatResponse| {
            answer.tool_calls().map(|call| call.arguments.clone()).collect::<Vec<_>>()
        };
        proptest::prop_assert_eq!(calls(&read_all(&write(&events))), calls(&answer));
    }
}
