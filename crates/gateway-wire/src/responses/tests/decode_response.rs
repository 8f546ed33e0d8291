//! The responses of upstreams.

use super::{composed_request, fold, original, read_cut, read_stream, read_whole, reader, sse};
use crate::{IdGenerator, OutboundDialect as _, responses::ResponsesOutbound};
use bytes::Bytes;
use gateway_core::{
    Chunk, Content, ErrorKind, FinishReason, Inspection, Part, Reasoning, StreamEvent, Usage,
};

const CREATED: &str = r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":5,"model":"m-1","status":"in_progress","error":null,"output":[]}}"#;
const ADDED: &str = r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","content":[]}}"#;
const HELLO: &str = r#"{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"hello","obfuscation":"xx"}"#;
const COMPLETED: &str = r#"{"type":"response.completed","sequence_number":9,"response":{"id":"resp_1","status":"completed","error":null,"output":[{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"hello"}]}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}"#;

/// The parts of the first response in one line, and how it ended.
fn sketch(answer: &gateway_core::ChatResponse) -> String {
    let choice = &answer.choices[0];
    let parts = choice.message.parts.iter().map(|Part { content, .. }| match content {
        Content::Text(text) => format!("'{text}'"),
        Content::Refusal(text) => format!("refusal '{text}'"),
        Content::Reasoning(Reasoning { text, seal }) => {
            format!("thought '{text}' {:?}", seal.as_ref().map(|seal| seal.data.as_str()))
        }
        Content::ToolCall(call) => {
            let custom = if call.custom { "custom " } else { "" };
            format!("{custom}call {} {}({})", call.id, call.name, call.arguments)
        }
        Content::Opaque(opaque) => format!("opaque {}", opaque.kind),
        Content::Image(_) | Content::Audio(_) | Content::File(_) | Content::ToolResult(_) => {
            panic!("{content:?}")
        }
    });
    let parts = parts.collect::<Vec<_>>().join(" ");
    let finish = choice.finish.as_ref().unwrap();
    let native = finish.native.as_ref().map(|native| format!(" ({native})")).unwrap_or_default();
    format!("{parts} -> {}{native}", finish.reason.as_str())
}

/// Checks that a response of these items reads as `expected`: complete, as a stream of complete
/// items, and as one that has them at its end.
#[track_caller]
fn items(output: &str, expected: &str) {
    answer(&format!(r#""status":"completed","output":[{output}]"#), expected);
}

#[track_caller]
fn answer(members: &str, expected: &str) {
    let response = format!(r#"{{"object":"response","id":"resp_1","created_at":5.0,{members}}}"#);
    assert_eq!(sketch(&read_whole(response.as_bytes()).unwrap()), expected, "whole");
    let end = format!(r#"{{"type":"response.completed","response":{response}}}"#);
    let read = read_stream(sse(&[CREATED, &end]).as_bytes()).unwrap();
    assert_eq!(sketch(&read), expected, "told at the end");
}

#[test]
fn items_become_parts() {
    items(
        r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],"encrypted_content":"E"},
           {"type":"message","id":"msg_1","content":[{"type":"output_text","text":"c"},{"type":"refusal","refusal":"d"}]},
           {"type":"web_search_call","id":"ws_1"},
           {"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}"},
           {"type":"custom_tool_call","id":"ctc_1","call_id":"c2","name":"g","input":"x"},
           {"type":"function_call","namespace":"n","call_id":"c3","name":"f","arguments":"{}"}"#,
        "thought 'a\n\nb' Some(\"E\") 'c' refusal 'd' opaque web_search_call call c1 f({}) \
         custom call c2 g(x) opaque function_call -> tool_calls",
    );
    items(
        r#"{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"a"}]}"#,
        "thought 'a' None -> stop",
    );
    items(r#"{"type":"unheard_of","arguments":{}},{"nothing":1}"#, "opaque unheard_of -> stop");
}

#[test]
fn malformed_items_are_preserved() {
    items(
        r#"{"type":"message","content":[{"type":"output_text","text":"a\ud83d!"}]},
           {"type":"message","content":"strange"},{"type":"function_call","name":3}"#,
        "'a\u{fffd}!' opaque message opaque function_call -> tool_calls",
    );
}

#[test]
fn finish_reason_is_derived_from_status() {
    let cut = |why: &str| {
        format!(r#""status":"incomplete","incomplete_details":{{"reason":"{why}"}},"output":[]"#)
    };
    answer(&cut("max_output_tokens"), " -> length (max_output_tokens)");
    answer(&cut("content_filter"), " -> content_filter (content_filter)");
    answer(r#""status":"incomplete","output":[]"#, " -> length");
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a"}"#;
    answer(
        &format!(r#""status":"incomplete","incomplete_details":null,"output":[{call}]"#),
        "call c f({\"a) -> length",
    );
    answer(
        &format!(r#""status":"strange","output":[{call}]"#),
        "call c f({\"a) -> tool_calls (strange)",
    );
}

#[track_caller]
fn streams(events: &[&str], expected: &str) {
    let mut all = vec![CREATED];
    all.extend(events);
    all.push(r#"{"type":"response.completed","response":{"status":"completed"}}"#);
    let stream = sse(&all);
    assert_eq!(sketch(&read_stream(stream.as_bytes()).unwrap()), expected);
    for size in 1..stream.len() {
        let chunks = read_cut(&composed_request(), stream.as_bytes(), size).unwrap();
        let read = fold(chunks.into_iter().flat_map(|chunk| chunk.events));
        assert_eq!(sketch(&read), expected, "in pieces of {size}");
    }
}

#[test]
fn deltas_and_final_items_are_not_duplicated() {
    streams(
        &[
            ADDED,
            HELLO,
            r#"{"type":"response.output_text.done","output_index":0,"text":"hello"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"hello world"}]}}"#,
            r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"c","name":"f","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\":"}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"\"\\ud83d"}"#,
            r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":\"\\ud83d\"}"}}"#,
        ],
        r#"'hello world' call c f({"a":"\ud83d"}) -> tool_calls"#,
    );
}

#[test]
fn parallel_calls_are_decoded() {
    let added = |index: u8| {
        format!(
            r#"{{"type":"response.output_item.added","output_index":{index},"item":{{"type":"function_call","call_id":"c{index}","name":"f"}}}}"#
        )
    };
    let delta = |index: u8, more: &str| {
        format!(
            r#"{{"type":"response.function_call_arguments.delta","output_index":{index},"delta":"{more}"}}"#
        )
    };
    let events = [added(0), added(1), delta(1, "{"), delta(0, "["), delta(1, "}"), delta(0, "]")];
    streams(&events.each_ref().map(String::as_str), "call c0 f([]) call c1 f({}) -> tool_calls");
}

#[test]
fn summary_parts_are_separated() {
    let summary = |index: u8, delta: &str| {
        format!(
            r#"{{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":{index},"delta":"{delta}"}}"#
        )
    };
    let (a, b, c) = (summary(0, "a"), summary(0, "b"), summary(1, "c"));
    let done = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs","summary":[{"text":"ab"},{"text":"c"}],"encrypted_content":"E"}}"#;
    streams(&[&a, &b, &c, done], "thought 'ab\n\nc' Some(\"E\") -> stop");
    let thought = r#"{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"t"}"#;
    streams(&[thought], "thought 't' None -> stop");
}

#[test]
fn lone_surrogate_is_replaced_and_unknown_events_pass() {
    streams(
        &[
            ADDED,
            r#"{"type":"response.output_text.delta","output_index":0,"delta":"a\ud83d"}"#,
            r#"{"type":"response.unheard_of.delta","delta":{}}"#,
            r#"{"type":"response.output_text.delta","delta":"b"}"#,
        ],
        "'a\u{fffd}b' -> stop",
    );
}

#[test]
fn usage_and_metadata_are_decoded() {
    let end = COMPLETED.replace("\"error\":null", r#""service_tier":"flex""#);
    let read = read_stream(sse(&[CREATED, ADDED, HELLO, &end]).as_bytes()).unwrap();
    assert_eq!((read.id.as_str(), read.model.as_str(), read.created), ("resp_1", "m-1", Some(5)));
    let tier = Some(gateway_core::ServiceTier::Flex);
    assert_eq!(read.usage, Some(Usage { input: 3, output: 2, tier, ..Usage::default() }));
    assert_eq!(read.extra.get("service_tier").unwrap().get(), "\"flex\"");
}

#[track_caller]
fn fails(events: &[&str], kind: ErrorKind) {
    let stream = sse(events);
    assert_eq!(read_stream(stream.as_bytes()).unwrap_err().kind(), kind);
}

#[test]
fn failure_is_decoded_from_every_spelling() {
    let failed = r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"x"}}}"#;
    fails(&[CREATED, failed], ErrorKind::RateLimited);
    fails(
        &[CREATED, r#"{"type":"error","code":"server_error","message":"x"}"#],
        ErrorKind::Upstream,
    );
    fails(&[r#"{"error":{"message":"x","code":400}}"#], ErrorKind::InvalidRequest);
    fails(&[CREATED, ADDED, HELLO], ErrorKind::UpstreamTruncated);
    fails(&[], ErrorKind::UpstreamTruncated);
    fails(&[CREATED, "{nonsense"], ErrorKind::UpstreamInvalid);
}

#[test]
fn whole_response_may_be_a_failure() {
    let kind = |body: &str| read_whole(body.as_bytes()).unwrap_err().kind();
    assert_eq!(kind("<html>"), ErrorKind::UpstreamInvalid);
    assert_eq!(kind("{}"), ErrorKind::UpstreamInvalid);
    assert_eq!(kind(r#"{"error":{"message":"x","code":"server_error"}}"#), ErrorKind::Upstream);
    let failed = r#"{"object":"response","status":"failed","error":{"code":"invalid_prompt","message":"x"},"output":[]}"#;
    assert_eq!(kind(failed), ErrorKind::InvalidRequest);
}

const REQUEST: &str = r#"{"model":"m","input":"x","stream":true}"#;

fn feed(inspection: Inspection, events: &[&str]) -> Vec<Chunk> {
    let mut call = original(REQUEST);
    call.inspection = inspection;
    let mut reader = reader(&call);
    let chunks = events.iter().map(|event| {
        let mut chunk = Chunk::default();
        reader.read(sse(&[event]).into(), &mut chunk).unwrap();
        chunk
    });
    chunks.collect()
}

#[test]
fn same_dialect_stream_is_passed_through_and_metered() {
    let chunks = feed(Inspection::UsageOnly, &[CREATED, ADDED, HELLO, HELLO, COMPLETED, HELLO]);
    let output: Vec<_> = chunks.iter().map(|chunk| chunk.output).collect();
    assert_eq!(output, [false, true, true, true, true, false]);
    let written = |at: usize| chunks[at].verbatim.clone().unwrap();
    assert_eq!(written(3), sse(&[HELLO]));
    assert_eq!(written(4), sse(&[COMPLETED]));
    assert_eq!(chunks[5], Chunk::default(), "nothing follows the end");
    let events: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.events).collect();
    let usage = Usage { input: 3, output: 2, ..Usage::default() };
    assert_eq!(
        events,
        [&StreamEvent::Finished(FinishReason::Stop.into()), &StreamEvent::Usage(usage)]
    );
}

#[test]
fn full_inspection_sees_every_event_with_bytes() {
    let chunks = feed(Inspection::Full, &[CREATED, ADDED, HELLO, COMPLETED]);
    assert!(chunks.iter().all(|chunk| chunk.verbatim.is_some()));
    let read = fold(chunks.into_iter().flat_map(|chunk| chunk.events));
    assert_eq!(sketch(&read), "'hello' -> stop");
}

#[test]
fn response_text_cannot_end_the_response() {
    let said = HELLO.replace("hello", r#"{\"type\":\"response.completed\"} event: error"#);
    let chunks = feed(Inspection::UsageOnly, &[CREATED, HELLO, &said, COMPLETED]);
    assert_eq!(chunks[2].verbatim.as_ref().unwrap(), &sse(&[&said]));
    assert!(chunks[2].events.is_empty() && chunks[3].events.len() == 2);
}

#[test]
fn failure_after_output_keeps_the_output() {
    let mut reader = reader(&original(REQUEST));
    let failed =
        r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"x"}}}"#;
    let mut chunk = Chunk::default();
    let block = sse(&[CREATED, HELLO, failed, HELLO]);
    let error = reader.read(block.into(), &mut chunk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Upstream);
    assert_eq!(chunk.verbatim.unwrap(), sse(&[CREATED, HELLO]));
}

#[test]
fn passthrough_events_are_well_ordered() {
    let mut reader = reader(&original(REQUEST));
    let mut chunk = Chunk::default();
    let block = format!(
        ": ping\r\n\r\nevent: response.created\r\ndata:{CREATED}\r\n\r\ndata: [DONE]\r\n\r\n"
    );
    reader.read(block.into(), &mut chunk).unwrap();
    assert_eq!(chunk.verbatim.unwrap(), sse(&[CREATED]));
}

#[test]
fn whole_response_is_passed_through() {
    let body = r#"{"object":"response", "status":"failed","error":{"code":"x"},"usage":{"input_tokens":1}}"#;
    let sent = Bytes::from(format!("\n\n{body}"));
    let call = original(r#"{"model":"m","input":"x"}"#);
    let chunk = ResponsesOutbound.read_whole(&call, sent, IdGenerator::new(1)).unwrap();
    assert_eq!(chunk.verbatim.unwrap(), body);
    let StreamEvent::Finished(finish) = &chunk.events[0] else { panic!("{:?}", chunk.events) };
    assert_eq!(finish.native.as_deref(), Some("failed"));
    assert_eq!(chunk.events.len(), 2);
}

#[test]
fn unnamed_call_gets_an_id() {
    let body = r#"{"object":"response","status":"completed","output":[{"type":"function_call","name":"f","arguments":"{}"}]}"#;
    let answer = read_whole(body.as_bytes()).unwrap();
    assert!(answer.tool_calls().all(|call| call.id.starts_with("call_")));
}
