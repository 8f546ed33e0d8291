//! Generated events of a response that was not streamed.

use super::partial::put;
use bytes::Bytes;
use gateway_core::{Json, JsonObject};
use gateway_wire::sse;
use serde_json::{Value, json};

/// Events that add up to `response`, each by itself.
pub(super) fn events(response: &Json) -> Vec<Bytes> {
    let Ok(whole) = response.read::<Value>() else { return Vec::new() };
    let mut events = EventWriter::default();
    let mut opening = whole.clone();
    put(&mut opening, "status", json!("in_progress"));
    put(&mut opening, "output", json!([]));
    put(&mut opening, "usage", Value::Null);
    events.write("response.created", json!({ "response": opening }));
    events.write("response.in_progress", json!({ "response": opening }));
    for (at, item) in items(&whole, "output").enumerate() {
        events.item(at, item);
    }
    let end = match whole.get("status").and_then(Value::as_str) {
        Some("failed") => "response.failed",
        Some("incomplete" | "cancelled") => "response.incomplete",
        _ => "response.completed",
    };
    // As it was kept, to the letter.
    events.write(end, JsonObject::from([("response".to_owned(), response.clone())]));
    events.0
}

/// The elements of the list that is the member `name` of `object`.
fn items<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[derive(Default)]
struct EventWriter(Vec<Bytes>);

impl EventWriter {
    fn write(&mut self, kind: &str, fields: impl serde::Serialize) {
        #[derive(serde::Serialize)]
        struct Event<'a, T> {
            r#type: &'a str,
            sequence_number: usize,
            #[serde(flatten)]
            fields: T,
        }
        let event = Event { r#type: kind, sequence_number: self.0.len(), fields };
        let mut out = Vec::new();
        sse::write(&mut out, Some(kind), Json::of(&event).get());
        self.0.push(out.into());
    }

    fn item(&mut self, at: usize, item: &Value) {
        let mut opening = item.clone();
        let is_call = opening.get("arguments").is_some();
        for (name, empty) in
            [("content", json!([])), ("summary", json!([])), ("arguments", json!(""))]
        {
            if opening.get(name).is_some() {
                put(&mut opening, name, empty);
            }
        }
        if opening.get("status").is_some() {
            put(&mut opening, "status", json!("in_progress"));
        }
        self.write("response.output_item.added", json!({ "output_index": at, "item": opening }));
        if is_call {
            self.arguments(at, item);
        } else if item["type"] == "message" {
            for (part, content) in items(item, "content").enumerate() {
                self.part(at, part, &item["id"], content);
            }
        }
        self.write("response.output_item.done", json!({ "output_index": at, "item": item }));
    }

    fn arguments(&mut self, at: usize, item: &Value) {
        let (id, arguments) = (&item["id"], &item["arguments"]);
        let delta = json!({ "output_index": at, "item_id": id, "delta": arguments });
        self.write("response.function_call_arguments.delta", delta);
        let (name, index) = (&item["name"], at);
        let done =
            json!({ "output_index": index, "item_id": id, "name": name, "arguments": arguments });
        self.write("response.function_call_arguments.done", done);
    }

    fn part(&mut self, at: usize, part: usize, id: &Value, content: &Value) {
        let place = |more: Value| {
            let mut place = json!({ "output_index": at, "content_index": part, "item_id": id });
            if let (Some(place), Value::Object(more)) = (place.as_object_mut(), more) {
                place.extend(more);
            }
            place
        };
        let is_refusal = content["type"] == "refusal";
        let (kind, name) =
            if is_refusal { ("refusal", "refusal") } else { ("output_text", "text") };
        let text = &content[name];
        let mut opening = content.clone();
        put(&mut opening, name, json!(""));
        let logprobs = if is_refusal { json!({}) } else { json!({ "logprobs": [] }) };
        let spelt = |name: &str| {
            let mut spelt = logprobs.clone();
            put(&mut spelt, name, text.clone());
            place(spelt)
        };
        self.write("response.content_part.added", place(json!({ "part": opening })));
        self.write(&format!("response.{kind}.delta"), spelt("delta"));
        self.write(&format!("response.{kind}.done"), spelt(name));
        self.write("response.content_part.done", place(json!({ "part": content })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::partial::{self, Interruption};

    /// The events of `output` are of these kinds, in short, and spell it again.
    #[track_caller]
    fn check(status: &str, output: &Value, expected: &str) {
        let response = json!({ "id": "resp_1", "status": status, "output": output, "usage": {} });
        let events = events(&Json::of(&response));
        let mut kinds = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let event = sse::events(event).next().unwrap();
            let data: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!((&data["sequence_number"], &data["type"]), (&json!(at), &json!(event.name)));
            kinds.push(event.name.rsplit("response.").next().unwrap().to_owned());
        }
        assert_eq!(kinds.join(" "), format!("created in_progress {expected}"));
        let but_last = events.split_last().unwrap().1.iter().map(|event| &**event);
        let spelt: Value = partial::response(but_last, Interruption::Left).unwrap().read().unwrap();
        assert_eq!(&spelt["output"], output);
    }

    #[test]
    fn text_is_spelt() {
        let content = json!([{ "type": "output_text", "text": "hi", "annotations": [] }]);
        let message =
            json!({ "id": "m", "type": "message", "status": "completed", "content": content });
        check(
            "completed",
            &json!([message]),
            "output_item.added content_part.added output_text.delta output_text.done \
             content_part.done output_item.done completed",
        );
    }

    #[test]
    fn calls_are_spelt() {
        let call = json!({ "id": "f", "type": "function_call", "status": "completed",
            "call_id": "c", "name": "f", "arguments": "{}" });
        check(
            "incomplete",
            &json!([call]),
            "output_item.added function_call_arguments.delta function_call_arguments.done \
             output_item.done incomplete",
        );
    }

    #[test]
    fn empty_response_has_final_event() {
        check("failed", &json!([]), "failed");
        for odd in [
            "null",
            "{}",
            r#"{"output":["x",1]}"#,
            r#"{"output":[{"type":"message","content":["x"]}]}"#,
        ] {
            assert!(events(&Json::parse(odd).unwrap()).len() >= 3, "{odd}");
        }
    }
}
