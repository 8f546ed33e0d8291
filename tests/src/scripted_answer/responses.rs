//! The format of OpenAI Responses.

use super::{EncodedEvents, ScriptedAnswer};
use serde_json::{Value, json};

pub(super) fn whole(speech: &ScriptedAnswer) -> Value {
    response("completed", &items(speech))
}

pub(super) fn stream(speech: &ScriptedAnswer) -> EncodedEvents {
    let mut events = EventList::default();
    events.push("response.created", json!({ "response": response("in_progress", &[]) }));
    events.push("response.in_progress", json!({ "response": response("in_progress", &[]) }));
    for (at, item) in items(speech).iter().enumerate() {
        events.item(at, item, speech);
    }
    events.push("response.completed", json!({ "response": whole(speech) }));
    EncodedEvents::named(events.0)
}

#[derive(Default)]
struct EventList(Vec<Value>);

impl EventList {
    fn push(&mut self, kind: &str, mut event: Value) {
        event["type"] = json!(kind);
        event["sequence_number"] = json!(self.0.len());
        self.0.push(event);
    }

    fn item(&mut self, at: usize, item: &Value, speech: &ScriptedAnswer) {
        let mut opening = item.clone();
        opening["status"] = json!("in_progress");
        for (name, empty) in
            [("content", json!([])), ("summary", json!([])), ("arguments", json!(""))]
        {
            if opening.get(name).is_some() {
                opening[name] = empty;
            }
        }
        self.push("response.output_item.added", json!({ "output_index": at, "item": opening }));
        let mut place = json!({ "item_id": item["id"], "output_index": at });
        match item["type"].as_str() {
            Some("reasoning") => {
                place["summary_index"] = json!(0);
                self.thought(&place, speech.thought);
            }
            Some("message") => {
                place["content_index"] = json!(0);
                self.text(&place, &speech.text);
            }
            _ => self.call(&place, item),
        }
        self.push("response.output_item.done", json!({ "output_index": at, "item": item }));
    }

    fn thought(&mut self, place: &Value, thought: &str) {
        let part = |text: &str| json!({ "part": { "type": "summary_text", "text": text } });
        let kind = |of: &str| format!("response.reasoning_summary_{of}");
        self.push(&kind("part.added"), at(place, &part("")));
        self.push(&kind("text.delta"), at(place, &json!({ "delta": thought })));
        self.push(&kind("text.done"), at(place, &json!({ "text": thought })));
        self.push(&kind("part.done"), at(place, &part(thought)));
    }

    fn text(&mut self, place: &Value, pieces: &[&str]) {
        let part = |text: &str| json!({ "part": text_part(text) });
        self.push("response.content_part.added", at(place, &part("")));
        for piece in pieces {
            let delta = json!({ "delta": piece, "logprobs": [] });
            self.push("response.output_text.delta", at(place, &delta));
        }
        let text = pieces.concat();
        let done = json!({ "text": text, "logprobs": [] });
        self.push("response.output_text.done", at(place, &done));
        self.push("response.content_part.done", at(place, &part(&text)));
    }

    fn call(&mut self, place: &Value, item: &Value) {
        let delta = json!({ "delta": item["arguments"] });
        self.push("response.function_call_arguments.delta", at(place, &delta));
        let done = json!({ "arguments": item["arguments"], "name": item["name"] });
        self.push("response.function_call_arguments.done", at(place, &done));
    }
}

/// An event at `place` that says `more`.
fn at(place: &Value, more: &Value) -> Value {
    let mut event = place.clone();
    for (name, value) in more.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    event
}

fn items(speech: &ScriptedAnswer) -> Vec<Value> {
    let mut items = Vec::new();
    if !speech.thought.is_empty() {
        let summary = json!([{ "type": "summary_text", "text": speech.thought }]);
        items.push(json!({ "id": "rs_1", "type": "reasoning", "summary": summary }));
    }
    if !speech.text.is_empty() {
        items.push(json!({
            "id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
            "content": [text_part(&speech.text.concat())],
        }));
    }
    for (at, (name, arguments)) in speech.calls.iter().enumerate() {
        items.push(json!({
            "id": format!("fc_{at}"), "type": "function_call", "status": "completed",
            "call_id": format!("call_{at}"), "name": name, "arguments": arguments.to_string(),
        }));
    }
    items
}

fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn response(status: &str, output: &[Value]) -> Value {
    let usage = json!({
        "input_tokens": 7, "output_tokens": 3, "total_tokens": 10,
        "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens_details": { "reasoning_tokens": 0 },
    });
    let usage = if status == "completed" { usage } else { Value::Null };
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": status,
        "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
        "model": "m", "output": output, "parallel_tool_calls": true, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage,
    })
}
