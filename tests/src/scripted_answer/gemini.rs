//! The format of Gemini `generateContent`.

use super::{EncodedEvents, ScriptedAnswer};
use serde_json::{Value, json};

pub(super) fn whole(speech: &ScriptedAnswer) -> Value {
    let parts: Vec<_> = parts(speech);
    answer(&parts, Some("STOP"))
}

pub(super) fn stream(speech: &ScriptedAnswer) -> EncodedEvents {
    let mut events: Vec<_> =
        parts(speech).iter().map(|part| answer(std::slice::from_ref(part), None)).collect();
    events.push(answer(&[json!({ "text": "" })], Some("STOP")));
    EncodedEvents::of(events)
}

pub(super) fn too_many() -> Value {
    json!({ "error": { "code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED" } })
}

fn parts(speech: &ScriptedAnswer) -> Vec<Value> {
    let mut parts = Vec::new();
    if !speech.thought.is_empty() {
        parts.push(json!({ "text": speech.thought, "thought": true }));
    }
    parts.extend(speech.text.iter().map(|text| json!({ "text": text })));
    let call =
        |(name, args): &(&str, Value)| json!({ "functionCall": { "name": name, "args": args } });
    parts.extend(speech.calls.iter().map(call));
    parts
}

fn answer(parts: &[Value], finish: Option<&str>) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({
        "candidates": [candidate], "modelVersion": "m", "responseId": "r1",
        "usageMetadata": {
            "promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10,
        },
    })
}
