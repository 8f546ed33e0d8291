//! The format of Ollama's `/api/chat`.

use super::{EncodedEvents, ScriptedAnswer};
use serde_json::{Value, json};

pub(super) fn whole(speech: &ScriptedAnswer) -> Value {
    let mut message = json!({ "role": "assistant", "content": speech.text.concat() });
    if !speech.thought.is_empty() {
        message["thinking"] = json!(speech.thought);
    }
    if !speech.calls.is_empty() {
        message["tool_calls"] = calls(speech);
    }
    last(&message)
}

pub(super) fn stream(speech: &ScriptedAnswer) -> EncodedEvents {
    let line = |message: Value| {
        json!({
            "model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false,
        })
    };
    let mut lines = Vec::new();
    if !speech.thought.is_empty() {
        let thinking = speech.thought;
        lines.push(line(json!({ "role": "assistant", "content": "", "thinking": thinking })));
    }
    let text = |text: &&str| line(json!({ "role": "assistant", "content": text }));
    lines.extend(speech.text.iter().map(text));
    if !speech.calls.is_empty() {
        let calls = calls(speech);
        lines.push(line(json!({ "role": "assistant", "content": "", "tool_calls": calls })));
    }
    lines.push(last(&json!({ "role": "assistant", "content": "" })));
    EncodedEvents::Lines(lines.iter().map(Value::to_string).collect())
}

pub(super) fn too_many() -> Value {
    json!({ "error": "slow down" })
}

fn calls(speech: &ScriptedAnswer) -> Value {
    let call = |(name, arguments): &(&str, Value)| json!({ "function": { "name": name, "arguments": arguments } });
    speech.calls.iter().map(call).collect()
}

fn last(message: &Value) -> Value {
    json!({
        "model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": true,
        "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3,
    })
}
