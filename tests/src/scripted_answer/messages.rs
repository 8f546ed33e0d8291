//! The format of Anthropic Messages.

use super::{EncodedEvents, ScriptedAnswer};
use serde_json::{Value, json};

pub(super) fn whole(speech: &ScriptedAnswer) -> Value {
    message(&blocks(speech), Some(finish(speech)), 3)
}

pub(super) fn stream(speech: &ScriptedAnswer) -> EncodedEvents {
    let begun = json!({ "type": "message_start", "message": message(&[], None, 1) });
    let mut events = vec![begun, json!({ "type": "ping" })];
    for (at, block) in blocks(speech).iter().enumerate() {
        let (opening, deltas) = block_events(block, speech);
        events
            .push(json!({ "type": "content_block_start", "index": at, "content_block": opening }));
        for delta in deltas {
            events.push(json!({ "type": "content_block_delta", "index": at, "delta": delta }));
        }
        events.push(json!({ "type": "content_block_stop", "index": at }));
    }
    events.push(json!({
        "type": "message_delta", "delta": { "stop_reason": finish(speech), "stop_sequence": null },
        "usage": { "output_tokens": 3 },
    }));
    events.push(json!({ "type": "message_stop" }));
    EncodedEvents::named(events)
}

pub(super) fn too_many() -> Value {
    json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "slow down" } })
}

/// Returns the start of a block, and its deltas.
fn block_events(block: &Value, speech: &ScriptedAnswer) -> (Value, Vec<Value>) {
    match block["type"].as_str() {
        Some("thinking") => {
            let deltas = vec![
                json!({ "type": "thinking_delta", "thinking": block["thinking"] }),
                json!({ "type": "signature_delta", "signature": block["signature"] }),
            ];
            (json!({ "type": "thinking", "thinking": "", "signature": "" }), deltas)
        }
        Some("text") => {
            let delta = |text: &&str| json!({ "type": "text_delta", "text": text });
            (json!({ "type": "text", "text": "" }), speech.text.iter().map(delta).collect())
        }
        _ => {
            let arguments = block["input"].to_string();
            let (head, tail) = arguments.split_at(arguments.len() / 2);
            let delta = |json: &str| json!({ "type": "input_json_delta", "partial_json": json });
            let mut opening = block.clone();
            opening["input"] = json!({});
            (opening, vec![delta(head), delta(tail)])
        }
    }
}

fn blocks(speech: &ScriptedAnswer) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !speech.thought.is_empty() {
        let thinking = speech.thought;
        blocks.push(json!({ "type": "thinking", "thinking": thinking, "signature": "c2ln" }));
    }
    if !speech.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": speech.text.concat() }));
    }
    for (at, (name, input)) in speech.calls.iter().enumerate() {
        let id = format!("toolu_{at}");
        blocks.push(json!({ "type": "tool_use", "id": id, "name": name, "input": input }));
    }
    blocks
}

fn message(content: &[Value], finish: Option<&str>, output: u64) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": finish, "stop_sequence": null,
        "usage": { "input_tokens": 7, "output_tokens": output },
    })
}

fn finish(speech: &ScriptedAnswer) -> &'static str {
    if speech.calls.is_empty() { "end_turn" } else { "tool_use" }
}
