//! As OpenAI's Responses.

use super::{Speech, Stream};
use serde_json::{Value, json};

pub(super) fn whole(speech: &Speech) -> Value {
    response("completed", &items(speech))
}

pub(super) fn stream(speech: &Speech) -> Stream {
    let mut told = Told::default();
    told.tell("response.created", json!({ "response": response("in_progress", &[]) }));
    told.tell("response.in_progress", json!({ "response": response("in_progress", &[]) }));
    for (at, item) in items(speech).iter().enumerate() {
        told.item(at, item, speech);
    }
    told.tell("response.completed", json!({ "response": whole(speech) }));
    Stream::named(told.0)
}

#[derive(Default)]
struct Told(Vec<Value>);

impl Told {
    fn tell(&mut self, kind: &str, mut event: Value) {
        event["type"] = json!(kind);
        event["sequence_number"] = json!(self.0.len());
        self.0.push(event);
    }

    fn item(&mut self, at: usize, item: &Value, speech: &Speech) {
        let place = |more: Value| {
            let mut event = json!({ "item_id": item["id"], "output_index": at });
            event
                .as_object_mut()
                .expect("an object")
                .extend(more.as_object().cloned().expect("one"));
            event
        };
        let mut opening = item.clone();
        opening["status"] = json!("in_progress");
        for (name, empty) in
            [("content", json!([])), ("summary", json!([])), ("arguments", json!(""))]
        {
            if opening.get(name).is_some() {
                opening[name] = empty;
            }
        }
        self.tell("response.output_item.added", json!({ "output_index": at, "item": opening }));
        match item["type"].as_str() {
            Some("reasoning") => {
                let part = |text: &str| json!({ "type": "summary_text", "text": text });
                let event = |more: Value| {
                    let mut event = place(more);
                    event["summary_index"] = json!(0);
                    event
                };
                let added = event(json!({ "part": part("") }));
                self.tell("response.reasoning_summary_part.added", added);
                let delta = event(json!({ "delta": speech.thought }));
                self.tell("response.reasoning_summary_text.delta", delta);
                let done = event(json!({ "text": speech.thought }));
                self.tell("response.reasoning_summary_text.done", done);
                let done = event(json!({ "part": part(speech.thought) }));
                self.tell("response.reasoning_summary_part.done", done);
            }
            Some("message") => {
                let event = |more: Value| {
                    let mut event = place(more);
                    event["content_index"] = json!(0);
                    event
                };
                let added = event(json!({ "part": text_part("") }));
                self.tell("response.content_part.added", added);
                for piece in &speech.text {
                    let delta = event(json!({ "delta": piece, "logprobs": [] }));
                    self.tell("response.output_text.delta", delta);
                }
                let text = speech.text.concat();
                let done = event(json!({ "text": text, "logprobs": [] }));
                self.tell("response.output_text.done", done);
                self.tell("response.content_part.done", event(json!({ "part": text_part(&text) })));
            }
            _ => {
                let delta = place(json!({ "delta": item["arguments"] }));
                self.tell("response.function_call_arguments.delta", delta);
                let done = place(json!({ "arguments": item["arguments"], "name": item["name"] }));
                self.tell("response.function_call_arguments.done", done);
            }
        }
        self.tell("response.output_item.done", json!({ "output_index": at, "item": item }));
    }
}

fn items(speech: &Speech) -> Vec<Value> {
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
