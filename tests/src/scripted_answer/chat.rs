//! The format of OpenAI Chat Completions.

use super::{EncodedEvents, ScriptedAnswer};
use serde_json::{Value, json};

pub(super) fn whole(speech: &ScriptedAnswer) -> Value {
    let mut message = json!({ "role": "assistant", "content": null, "refusal": null });
    if !speech.text.is_empty() {
        message["content"] = json!(speech.text.concat());
    }
    if !speech.thought.is_empty() {
        message["reasoning_content"] = json!(speech.thought);
    }
    if !speech.calls.is_empty() {
        let call = |(at, (name, arguments)): (usize, &(&str, Value))| {
            let function = json!({ "name": name, "arguments": arguments.to_string() });
            json!({ "id": format!("call_{at}"), "type": "function", "function": function })
        };
        message["tool_calls"] = speech.calls.iter().enumerate().map(call).collect();
    }
    let choice = json!({
        "index": 0, "message": message, "logprobs": null, "finish_reason": finish(speech),
    });
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
        "choices": [choice], "usage": usage(),
    })
}

pub(super) fn stream(speech: &ScriptedAnswer) -> EncodedEvents {
    let mut events = vec![chunk(&json!({ "role": "assistant", "content": "" }), None)];
    if !speech.thought.is_empty() {
        events.push(chunk(&json!({ "reasoning_content": speech.thought }), None));
    }
    events.extend(speech.text.iter().map(|text| chunk(&json!({ "content": text }), None)));
    for (at, (name, arguments)) in speech.calls.iter().enumerate() {
        let call = |more: &Value| {
            let mut call = json!({ "index": at });
            call.as_object_mut()
                .expect("an object")
                .extend(more.as_object().cloned().expect("one"));
            chunk(&json!({ "tool_calls": [call] }), None)
        };
        let function = json!({ "name": name, "arguments": "" });
        events.push(call(
            &json!({ "id": format!("call_{at}"), "type": "function", "function": function }),
        ));
        let arguments = arguments.to_string();
        let (head, tail) = arguments.split_at(arguments.len() / 2);
        for piece in [head, tail] {
            events.push(call(&json!({ "function": { "arguments": piece } })));
        }
    }
    events.push(chunk(&json!({}), Some(finish(speech))));
    let mut last = chunk(&json!({}), None);
    last["choices"] = json!([]);
    last["usage"] = usage();
    events.push(last);
    match EncodedEvents::of(events) {
        EncodedEvents::Events(mut events) => {
            events.push((None, "[DONE]".to_owned()));
            EncodedEvents::Events(events)
        }
        lines @ EncodedEvents::Lines(_) => lines,
    }
}

pub(super) fn too_many() -> Value {
    json!({ "error": {
        "message": "slow down", "type": "rate_limit_error", "param": null,
        "code": "rate_limit_exceeded",
    } })
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000,
        "model": "m",
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
    })
}

fn finish(speech: &ScriptedAnswer) -> &'static str {
    if speech.calls.is_empty() { "stop" } else { "tool_calls" }
}

fn usage() -> Value {
    json!({ "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 })
}
