//! The partial response of an interrupted stream.

use gateway_core::Json;
use gateway_wire::sse;
use serde_json::{Map, Value, json};

/// The cause of an interruption.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Interruption {
    /// The caller disconnected.
    Left,
    /// It was cancelled on demand.
    Cancelled,
    /// Its gateway has crashed.
    Crashed,
}

/// Returns the response object of `events`, a streamed response up to some point; `None` if there
/// is none.
///
/// Incomplete tool calls and reasoning are dropped, because they cannot be continued. Partial text
/// is retained.
pub(super) fn response<'a>(
    events: impl IntoIterator<Item = &'a [u8]>,
    broken: Interruption,
) -> Option<Json> {
    let mut response = None;
    let mut output = Vec::new();
    for event in events.into_iter().flat_map(sse::events) {
        let Ok(Value::Object(mut event)) = serde_json::from_str(&event.data) else { continue };
        if let Some(Value::Object(told)) = event.remove("response") {
            response = Some(told);
        } else {
            step(&mut output, &mut event);
        }
    }
    let mut response = response?;
    let is_whole = |item: &Value| item["status"] == "completed" || item["type"] == "message";
    let items = output.into_iter().flatten().filter(is_whole);
    let items = items.map(|mut item| {
        if item.get("status").is_some_and(|status| status == "in_progress") {
            put(&mut item, "status", json!("incomplete"));
        }
        item
    });
    response.insert("output".to_owned(), items.collect());
    let (status, details) = match broken {
        Interruption::Left => ("incomplete", json!({ "reason": "client_disconnected" })),
        Interruption::Cancelled => ("cancelled", Value::Null),
        Interruption::Crashed => {
            response.insert("error".to_owned(), crash());
            ("failed", Value::Null)
        }
    };
    response.insert("status".to_owned(), json!(status));
    response.insert("incomplete_details".to_owned(), details);
    Some(Json::of(&response))
}

/// Returns `response`, cancelled before its first output.
pub(super) fn cancelled(response: &Json) -> Option<Json> {
    let mut response: Map<String, Value> = response.read().ok()?;
    response.insert("status".to_owned(), json!("cancelled"));
    Some(Json::of(&response))
}

/// Returns `response`, failed before its first output.
pub(super) fn crashed(response: &Json) -> Option<Json> {
    let mut response: Map<String, Value> = response.read().ok()?;
    response.insert("status".to_owned(), json!("failed"));
    response.insert("error".to_owned(), crash());
    Some(Json::of(&response))
}

/// The error of a response whose gateway has crashed.
fn crash() -> Value {
    json!({ "code": "gateway_crashed", "message": "the gateway that made this response has crashed" })
}

/// Sets a member of `object`, if it is one.
pub(super) fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// Maximum index of an item, or of a part of one.
const MAX_INDEX: usize = 4096;

/// Takes in one event about an item.
fn step(output: &mut Vec<Option<Value>>, event: &mut Map<String, Value>) {
    let Some(at) = index(event, "output_index") else { return };
    if output.len() <= at {
        output.resize(at + 1, None);
    }
    let Some(place) = output.get_mut(at) else { return };
    let part = index(event, "content_index").unwrap_or_default();
    let mut take = |name: &str| event.remove(name).unwrap_or_default();
    match take("type").as_str().unwrap_or_default() {
        "response.output_item.added" => *place = Some(take("item")),
        "response.output_item.done" => {
            let mut item = take("item");
            // Some kinds have no status of their own.
            if item.get("status").is_none_or(Value::is_null) {
                put(&mut item, "status", json!("completed"));
            }
            *place = Some(item);
        }
        "response.content_part.added" => set(place, part, take("part")),
        "response.output_text.delta" => append(place, part, "text", &take("delta")),
        "response.refusal.delta" => append(place, part, "refusal", &take("delta")),
        _ => {}
    }
}

fn index(event: &Map<String, Value>, name: &str) -> Option<usize> {
    let index = event.get(name)?.as_u64()?;
    usize::try_from(index).ok().filter(|index| *index < MAX_INDEX)
}

/// The part of `item` at `at`, which may be the next one.
fn part(item: &mut Option<Value>, at: usize) -> Option<&mut Value> {
    let content = item.as_mut()?.get_mut("content")?.as_array_mut()?;
    if content.len() == at {
        content.push(Value::Null);
    }
    content.get_mut(at)
}

fn set(item: &mut Option<Value>, at: usize, value: Value) {
    if let Some(part) = part(item, at) {
        *part = value;
    }
}

fn append(item: &mut Option<Value>, at: usize, name: &str, delta: &Value) {
    let (Some(part), Some(delta)) = (part(item, at), delta.as_str()) else { return };
    if let Some(Value::String(text)) = part.get_mut(name) {
        text.push_str(delta);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Chunk, StreamEvent, ToolCallDelta};
    use gateway_wire::{
        IdGenerator, InboundDialect as _, ResponseContext, responses::ResponsesInbound,
    };
    use std::sync::Arc;

    fn call(arguments: &str, id: &str) -> StreamEvent {
        let (id, arguments) = (id.to_owned(), arguments.to_owned());
        let name = if id.is_empty() { String::new() } else { "f".to_owned() };
        StreamEvent::ToolCall(ToolCallDelta { id, name, arguments, ..ToolCallDelta::default() })
    }

    fn text(text: &str) -> StreamEvent {
        StreamEvent::Text(text.into())
    }

    /// An answer of `steps` that is broken off says `expected`.
    #[track_caller]
    fn check(steps: Vec<StreamEvent>, expected: &str) {
        let payload = gateway_core::Payload::Parsed(Arc::default());
        let reply = ResponseContext {
            payload,
            model: "m".to_owned(),
            created: 1,
            ids: IdGenerator::new(1),
        };
        let mut writer = ResponsesInbound.writer(reply);
        let mut events = Vec::new();
        writer.write(Chunk::from_events(steps), &mut events);
        let response = response([&*events], Interruption::Left).unwrap();
        let response: Value = response.read().unwrap();
        assert_eq!(response["status"], "incomplete");
        assert_eq!(response["incomplete_details"]["reason"], "client_disconnected");
        let say = |item: &Value| {
            let said = item["content"][0]["text"].as_str().or(item["arguments"].as_str());
            format!("{} {} {}", item["type"], item["status"], said.unwrap_or_default())
        };
        let said: Vec<_> = response["output"].as_array().unwrap().iter().map(say).collect();
        assert_eq!(said.join(", ").replace('"', ""), expected);
    }

    #[test]
    fn partial_text_is_stored() {
        check(vec![text("a"), text("b")], "message incomplete ab");
    }

    #[test]
    fn partial_tool_call_is_dropped() {
        check(vec![text("a"), call("{\"x", "c1")], "message completed a");
        check(
            vec![call("{}", "c1"), text("a")],
            "function_call completed {}, message incomplete a",
        );
    }

    #[test]
    fn partial_reasoning_is_dropped() {
        let think = StreamEvent::Reasoning("hm".into());
        check(vec![think.clone()], "");
        check(vec![think, text("a")], "reasoning completed , message incomplete a");
    }

    #[test]
    fn events_without_response_yield_none() {
        let cancelled = |events: &str| response([events.as_bytes()], Interruption::Cancelled);
        assert_eq!(cancelled(""), None);
        assert_eq!(cancelled("data: [DONE]\n\ndata: {\"output_index\":0}\n\n"), None);
        let absurd = "data: {\"response\":{}}\n\ndata: {\"type\":\"response.output_item.added\",\"output_index\":99999999,\"item\":{}}\n\n";
        let response: Value = cancelled(absurd).unwrap().read().unwrap();
        assert_eq!(response["output"], json!([]));
        assert_eq!(response["status"], "cancelled");
    }
}
