//! Responses that are passed on as they are.

use super::{fold, original, read, stream};
use crate::{IdGenerator, OutboundDialect as _, messages::MessagesOutbound};
use bytes::Bytes;
use gateway_core::{
    Chunk, ErrorKind, FinishReason, Inspection, ProviderRequest, StreamEvent, Usage,
};

const ASKED: &str =
    r#"{"model":"asked","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;

const LINES: [&str; 6] = [
    r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":5,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a message_ \"error\""}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
    r#"{"type":"message_stop"}"#,
];

fn call(inspection: Inspection) -> ProviderRequest {
    original(ASKED, true, inspection)
}

/// Each line as a block of its own.
fn blocks() -> Vec<String> {
    LINES.iter().map(|line| stream(line)).collect()
}

fn passed(chunks: &[Chunk]) -> String {
    let bytes: Vec<u8> =
        chunks.iter().filter_map(|it| it.verbatim.as_deref()).flatten().copied().collect();
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn check(inspection: Inspection, blocks: &[&[u8]], expected: &str) -> Vec<Chunk> {
    let (chunks, outcome) = read(&call(inspection), blocks);
    outcome.unwrap();
    assert_eq!(passed(&chunks), expected);
    chunks
}

#[test]
fn bytes_are_passed_through_and_metered() {
    let blocks = blocks();
    let bytes: Vec<_> = blocks.iter().map(String::as_bytes).collect();
    let chunks = check(Inspection::UsageOnly, &bytes, &blocks.concat());
    let events: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.events).collect();
    assert!(events.iter().all(|it| matches!(it, StreamEvent::Usage(_) | StreamEvent::Finished(_))));
    let answer = fold(events);
    assert_eq!(answer.usage, Some(Usage { input: 5, output: 9, ..Usage::default() }));
    assert_eq!(answer.choices[0].finish.as_ref().unwrap().reason, FinishReason::ToolCalls);
}

#[test]
fn preamble_is_not_output() {
    let blocks = blocks();
    let bytes: Vec<_> = blocks.iter().map(String::as_bytes).collect();
    let chunks = check(Inspection::UsageOnly, &bytes, &blocks.concat());
    let output: Vec<_> = chunks.iter().map(|chunk| chunk.output).collect();
    assert_eq!(output[..3], [false, false, true]);
}

#[test]
fn full_inspection_sees_every_event() {
    let all = blocks().concat();
    let chunks = check(Inspection::Full, &[all.as_bytes()], &all);
    assert_eq!(
        fold(chunks.into_iter().flat_map(|chunk| chunk.events)).text(),
        "a message_ \"error\""
    );
}

#[test]
fn unreadable_events_are_rewritten() {
    let all = blocks().concat();
    let nameless = format!("data:{}  \r\n\r\n", LINES.join("  \r\n\r\ndata:"));
    check(Inspection::UsageOnly, &[nameless.as_bytes()], &all);
    let commented = format!(": hello\n\n{all}");
    check(Inspection::UsageOnly, &[commented.as_bytes()], &all);
    check(Inspection::UsageOnly, &[b": hello\n\n", all.as_bytes()], &all);
}

#[test]
fn missing_last_event_is_added() {
    let blocks = blocks();
    check(Inspection::UsageOnly, &[blocks[..5].concat().as_bytes()], &blocks.concat());
}

#[test]
fn output_before_error_is_passed_and_error_is_not() {
    let blocks = blocks();
    let error = stream(r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#);
    let bad = format!("{}{error}{}", blocks[3], blocks[5]);
    let begun = blocks[..3].concat();
    let (chunks, outcome) = read(&call(Inspection::UsageOnly), &[begun.as_bytes(), bad.as_bytes()]);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::UpstreamOverloaded);
    assert_eq!(passed(&chunks), blocks[..4].concat());
}

#[test]
fn whole_response_is_passed_through_and_metered() {
    let body = r#"{ "type":"message","content":[{"type":"text","text":5}],"stop_reason":"max_tokens","usage":{"input_tokens":3,"output_tokens":4} }"#;
    let call = original(&ASKED.replace("true", "false"), false, Inspection::UsageOnly);
    let body = Bytes::from_static(body.as_bytes());
    let chunk = MessagesOutbound.read_whole(&call, body.clone(), IdGenerator::new(1)).unwrap();
    assert_eq!(chunk.verbatim, Some(body));
    let answer = fold(chunk.events);
    assert_eq!(answer.usage, Some(Usage { input: 3, output: 4, ..Usage::default() }));
    assert_eq!(answer.choices[0].finish.as_ref().unwrap().reason, FinishReason::Length);
}
