//! The responses to callers.

use super::{fold, reply, reply_to, sse, stream_grammar, write_stream};
use crate::{
    InboundDialect as _, StreamWriter,
    responses::{
        ResponseStage, ResponseStateFields, ResponsesInbound, events_after, final_response,
        input_tokens, response_object,
    },
};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, Chunk, ErrorKind, FinishReason, GatewayError, Json, StreamEvent, ToolCallDelta,
    Usage,
};
use serde_json::{Value, json};

fn text(text: &str) -> StreamEvent {
    StreamEvent::Text(text.to_owned())
}

fn call(index: u32, arguments: &str) -> StreamEvent {
    StreamEvent::ToolCall(ToolCallDelta {
        index,
        id: format!("c{index}"),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCallDelta::default()
    })
}

fn more(index: u32, arguments: &str) -> StreamEvent {
    let arguments = arguments.to_owned();
    StreamEvent::ToolCall(ToolCallDelta { index, arguments, ..ToolCallDelta::default() })
}

fn end(reason: FinishReason) -> StreamEvent {
    StreamEvent::Finished(reason.into())
}

/// Checks the events for `steps`, by name and item.
#[track_caller]
fn tells(steps: &[StreamEvent], expected: &[&str]) {
    let stream = write_stream(steps);
    stream_grammar::check(&stream);
    let told: Vec<_> = crate::sse::events(&stream)
        .map(|event| {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            let name = event.name.strip_prefix("response.").unwrap();
            let index = data["output_index"].as_u64();
            index.map_or(name.to_owned(), |index| format!("{index} {name}"))
        })
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn text_is_written_as_deltas() {
    tells(
        &[StreamEvent::Reasoning("r".to_owned()), text("a"), text(""), text("b")],
        &[
            "created",
            "in_progress",
            "0 output_item.added",
            "0 reasoning_summary_part.added",
            "0 reasoning_summary_text.delta",
            "0 reasoning_summary_text.done",
            "0 reasoning_summary_part.done",
            "0 output_item.done",
            "1 output_item.added",
            "1 content_part.added",
            "1 output_text.delta",
            "1 output_text.delta",
            "1 output_text.done",
            "1 content_part.done",
            "1 output_item.done",
            "completed",
        ],
    );
}

#[test]
fn completed_call_is_done_when_next_begins() {
    tells(
        &[call(0, "{}"), call(1, ""), end(FinishReason::ToolCalls)],
        &[
            "created",
            "in_progress",
            "0 output_item.added",
            "0 function_call_arguments.delta",
            "0 function_call_arguments.done",
            "0 output_item.done",
            "1 output_item.added",
            "1 function_call_arguments.delta",
            "1 function_call_arguments.done",
            "1 output_item.done",
            "completed",
        ],
    );
}

#[test]
fn parallel_calls_stay_open() {
    tells(
        &[call(0, "{"), call(1, "{"), more(0, "}"), more(1, "}")],
        &[
            "created",
            "in_progress",
            "0 output_item.added",
            "0 function_call_arguments.delta",
            "1 output_item.added",
            "1 function_call_arguments.delta",
            "0 function_call_arguments.delta",
            "1 function_call_arguments.delta",
            "0 function_call_arguments.done",
            "0 output_item.done",
            "1 function_call_arguments.done",
            "1 output_item.done",
            "completed",
        ],
    );
}

#[test]
fn empty_response_is_accepted() {
    tells(&[], &["created", "in_progress", "completed"]);
}

#[test]
fn truncated_response_is_incomplete() {
    let steps = [text("a"), call(0, "{\"a"), end(FinishReason::Length)];
    let response = stream_grammar::check(&write_stream(&steps));
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(response["completed_at"], Value::Null);
    let status = |at: usize| response["output"][at]["status"].as_str().unwrap();
    assert_eq!((status(0), status(1)), ("completed", "incomplete"));
    let filtered =
        stream_grammar::check(&write_stream(&[text("a"), end(FinishReason::ContentFilter)]));
    assert_eq!(filtered["incomplete_details"]["reason"], "content_filter");
}

#[test]
fn extra_choices_are_omitted() {
    let steps = [text("a"), StreamEvent::Choice(1), text("b"), StreamEvent::Choice(0), text("c")];
    let response = stream_grammar::check(&write_stream(&steps));
    assert_eq!(response["output"][0]["content"][0]["text"], "ac");
}

fn whole(request: ChatRequest, steps: Vec<StreamEvent>) -> Value {
    let body = ResponsesInbound.write_whole(fold(steps), reply_to(request));
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn response_object_has_every_member() {
    let usage = Usage { input: 3, cache_read: 1, output: 4, reasoning: 2, ..Usage::default() };
    let steps = vec![text("a"), end(FinishReason::Stop), StreamEvent::Usage(usage)];
    let mut response = whole(ChatRequest::user("m", "x"), steps);
    let take = |response: &mut Value, name: &str| response[name].take().as_str().unwrap().len();
    assert_eq!(take(&mut response, "id"), 37);
    assert_eq!(take(&mut response["output"][0], "id"), 36);
    assert_eq!(
        response,
        json!({
            "id": null, "object": "response", "created_at": 1_700_000_000, "status": "completed",
            "completed_at": 1_700_000_000, "error": null, "incomplete_details": null, "model": "m",
            "output": [{"type": "message", "id": null, "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]}],
            "usage": {"input_tokens": 4, "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
                "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 10},
            "service_tier": "default", "background": false, "frequency_penalty": 0.0,
            "instructions": null, "max_output_tokens": null, "max_tool_calls": null, "metadata": {},
            "parallel_tool_calls": true, "presence_penalty": 0.0, "previous_response_id": null,
            "prompt_cache_key": null, "reasoning": {"effort": null, "summary": null},
            "safety_identifier": null, "store": true, "temperature": 1.0,
            "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
            "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": null,
        })
    );
}

#[test]
fn response_echoes_the_request() {
    let request = json!({
        "model": "m", "input": "x", "instructions": "i", "max_output_tokens": 20, "metadata": {"a": "b"},
        "temperature": 0.5, "top_p": 0.25, "store": false, "previous_response_id": "resp_0", "user": "u",
        "conversation": "conv_1", "truncation": "auto", "parallel_tool_calls": false,
        "reasoning": {"effort": "low"}, "service_tier": "flex", "prompt_cache_key": "k",
        "text": {"format": {"type": "json_object"}, "verbosity": "high"},
        "tools": [{"type": "function", "name": "f"}, {"type": "web_search", "x": 1}],
        "tool_choice": {"type": "web_search"},
    });
    let decoded = ResponsesInbound.decode()(request.to_string().as_bytes()).unwrap();
    let response = whole(decoded, Vec::new());
    for name in [
        "instructions",
        "max_output_tokens",
        "metadata",
        "temperature",
        "top_p",
        "store",
        "previous_response_id",
        "user",
        "truncation",
        "parallel_tool_calls",
        "service_tier",
        "prompt_cache_key",
        "text",
        "tool_choice",
    ] {
        assert_eq!(response[name], request[name], "{name}");
    }
    assert_eq!(response["conversation"], json!({"id": "conv_1"}));
    assert_eq!(response["reasoning"], json!({"effort": "low", "summary": null}));
    let function = json!({"type": "function", "name": "f", "description": null, "parameters": null, "strict": true});
    assert_eq!(response["tools"], json!([function, {"type": "web_search", "x": 1}]));
}

#[test]
fn logprobs_accompany_their_text() {
    let logprobs = Json::parse(r#"{"content":[{"token":"a","logprob":-1}]}"#).unwrap();
    let steps = vec![text("a"), StreamEvent::Logprobs(logprobs)];
    let mut writer = ResponsesInbound.writer(reply());
    let mut out = Vec::new();
    writer.write(Chunk::from_events(steps.clone()), &mut out);
    writer.end(&mut out);
    let expected = json!([{"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}]);
    let delta = crate::sse::events(&out).find(|it| it.name.ends_with("text.delta")).unwrap();
    let delta: Value = serde_json::from_str(&delta.data).unwrap();
    assert_eq!(delta["logprobs"], expected);
    let response = stream_grammar::check(&out);
    assert_eq!(response["output"][0]["content"][0]["logprobs"], expected);
    let response = whole(ChatRequest::user("m", "x"), steps);
    assert_eq!(response["output"][0]["content"][0]["logprobs"], expected);
}

const BEGAN: &str = r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_up","model":"m-1","status":"in_progress","error":null,"extra":1.0}}"#;
const WENT_ON: &str = r#"{"type":"response.output_text.delta","sequence_number":41,"delta":"a"}"#;

fn passed(writer: &mut dyn StreamWriter, data: &str, out: &mut Vec<u8>) {
    let verbatim = Some(Bytes::from(sse(&[data])));
    writer.write(Chunk { verbatim, output: true, ..Chunk::default() }, out);
}

#[test]
fn passthrough_stream_ends_unchanged() {
    let mut writer = ResponsesInbound.writer(reply());
    let mut out = Vec::new();
    passed(&mut *writer, BEGAN, &mut out);
    let mut chunk = Chunk { verbatim: Some(Bytes::from(sse(&[WENT_ON]))), ..Chunk::default() };
    out.extend(writer.pass(&mut chunk).unwrap());
    writer.end(&mut out);
    assert_eq!(out, sse(&[BEGAN, WENT_ON]).as_bytes());
}

#[test]
fn passthrough_failure_keeps_response_id() {
    let mut writer = ResponsesInbound.writer(reply());
    let mut out = Vec::new();
    passed(&mut *writer, BEGAN, &mut out);
    passed(&mut *writer, WENT_ON, &mut out);
    writer.fail(&GatewayError::new(ErrorKind::RateLimited, "slow down"), &mut out);
    let last = crate::sse::events(&out).last().unwrap();
    let data: Value = serde_json::from_str(&last.data).unwrap();
    let error = json!({"code": "rate_limit_exceeded", "message": "slow down", "retryable": true});
    assert_eq!(
        data,
        json!({"type": "response.failed", "sequence_number": 42, "response": {
            "id": "resp_up", "model": "m-1", "extra": 1.0, "status": "failed", "error": error}})
    );
}

#[test]
fn failure_before_output_starts_the_response() {
    let mut writer = ResponsesInbound.writer(reply());
    let mut out = Vec::new();
    writer.fail(&GatewayError::new(ErrorKind::UpstreamStalled, "silence"), &mut out);
    let response = stream_grammar::check(&out);
    assert_eq!(response["error"]["code"], "upstream_stalled");
    assert_eq!(response["output"], json!([]));
}

#[test]
fn recorded_stream_replays_after_sequence_number() {
    let stream = write_stream(&[text("a"), end(FinishReason::Stop)]);
    let rest = events_after(&stream, 3);
    let first = crate::sse::events(&rest).next().unwrap();
    assert!(first.data.contains("\"sequence_number\":4,"), "{}", first.data);
    assert!(stream.ends_with(&rest));
    let kept: Value = final_response(&stream).unwrap().read().unwrap();
    assert_eq!(kept, stream_grammar::check(&stream));
    assert_eq!(final_response(sse(&[BEGAN]).as_bytes()), None);
    assert_eq!(final_response(b""), None);
}

#[test]
fn queued_response_has_an_object() {
    let status = |stage: ResponseStage<'_>| -> Value {
        serde_json::from_slice(&response_object("resp_9", reply(), stage)).unwrap()
    };
    let queued = status(ResponseStage::Queued);
    assert_eq!((&queued["id"], &queued["status"]), (&json!("resp_9"), &json!("queued")));
    assert_eq!((&queued["completed_at"], &queued["usage"]), (&Value::Null, &Value::Null));
    assert_eq!(status(ResponseStage::Cancelled)["status"], "cancelled");
    let error = GatewayError::new(ErrorKind::Upstream, "no");
    assert_eq!(status(ResponseStage::Failed(&error))["error"]["message"], "no");
}

#[test]
fn token_count_is_an_object() {
    let count: Value = serde_json::from_slice(&input_tokens(7)).unwrap();
    assert_eq!(count, json!({"object": "response.input_tokens", "input_tokens": 7}));
}

#[test]
fn state_fields_are_read() {
    let read = |body: &str| ResponseStateFields::read(body.as_bytes());
    let fields = read(r#"{"model":"m","input":"x"}"#).unwrap();
    assert!(fields.store && !fields.has_references && !fields.background);
    let body = r#"{"store":false,"previous_response_id":"r","conversation":{"id":"c"},"background":true,
        "input":[{"type":"item_reference","id":"i"}]}"#;
    let fields = read(body).unwrap();
    assert_eq!(
        fields,
        ResponseStateFields {
            store: false,
            previous_response_id: Some("r".to_owned()),
            conversation: Some("c".to_owned()),
            background: true,
            has_references: true,
            has_compactions: false,
        }
    );
    assert_eq!(read(r#"{"store":1}"#).unwrap_err().param(), Some("store"));
    let mut request = ChatRequest::default();
    request.extra.push("previous_response_id", Json::of(&"r"));
    ResponseStateFields::untie(&mut request);
    assert!(request.extra.is_empty());
}
