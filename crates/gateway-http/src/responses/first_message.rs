//! Compatibility with consumers that take the first item of a response for its message.
//!
//! A response may begin with reasoning, calls or searches. With `x-gateway-compat: first-message`
//! its first message comes first, in whole responses and in the last event of streams.

use crate::names;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gateway_core::{Json, JsonObject};
use gateway_engine::ResponseBody;
use gateway_wire::sse;
use http::HeaderMap;
use serde_json::value::RawValue;

/// Returns whether the caller wants the first message first.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(names::COMPAT);
    let mut words = values.iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case("first-message"))
}

/// `body` with the first message of its response first.
pub(crate) fn reorder(body: ResponseBody) -> ResponseBody {
    match body {
        ResponseBody::Whole(bytes) => ResponseBody::Whole(reordered(&bytes).unwrap_or(bytes)),
        // Only chat completions pass on so: they have no items.
        passing @ (ResponseBody::Passing { .. } | ResponseBody::Relayed { .. }) => passing,
        ResponseBody::Events(events) => {
            let events = events.map(|block| reordered_event(&block).unwrap_or(block));
            ResponseBody::Events(events.boxed())
        }
    }
}

fn reordered(object: &[u8]) -> Option<Bytes> {
    let mut members: JsonObject = serde_json::from_slice(object).ok()?;
    let output = members.get("output")?.read::<Vec<Json>>().ok()?;
    let at = output.iter().position(is_message).filter(|at| *at > 0)?;
    let mut output = output;
    let message = output.remove(at);
    output.insert(0, message);
    members.insert("output".to_owned(), Json::of(&output));
    Some(Json::of(&members).get().to_owned().into())
}

fn is_message(item: &Json) -> bool {
    let kind = item.read::<JsonObject>().ok().and_then(|it| it.get("type")?.read().ok());
    kind == Some("message".to_owned())
}

fn reordered_event(block: &[u8]) -> Option<Bytes> {
    memchr::memmem::find(block, b"\"response.completed\"")?;
    let mut out = Vec::with_capacity(block.len());
    for event in sse::events(block) {
        let data = reordered_data(&event.data);
        let name = Some(event.name).filter(|name| !name.is_empty());
        sse::write(&mut out, name, data.as_deref().unwrap_or(&event.data));
    }
    Some(out.into())
}

fn reordered_data(data: &str) -> Option<String> {
    let mut members: JsonObject = serde_json::from_str(data).ok()?;
    let response = reordered(members.get("response")?.get().as_bytes())?;
    let response: Box<RawValue> = serde_json::from_slice(&response).ok()?;
    members.insert("response".to_owned(), Json::from(&*response));
    Some(Json::of(&members).get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_message_comes_first_and_the_rest_stays() {
        let body = br#"{"id":"r","output":[{"type":"reasoning"},{"type":"message","n":1.0},{"type":"message"}]}"#;
        let expected = r#"{"id":"r","output":[{"n":1.0,"type":"message"},{"type":"reasoning"},{"type":"message"}]}"#;
        let moved = reordered(body).unwrap();
        let moved: serde_json::Value = serde_json::from_slice(&moved).unwrap();
        assert_eq!(moved, serde_json::from_str::<serde_json::Value>(expected).unwrap());
        assert!(reordered(br#"{"output":[{"type":"message"}]}"#).is_none());
        assert!(reordered(br#"{"output":[{"type":"function_call"}]}"#).is_none());
    }

    #[test]
    fn last_event_of_a_stream_is_reordered() {
        let block = b"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"reasoning\"},{\"type\":\"message\"}]}}\n\n";
        let moved = reordered_event(block).unwrap();
        let text = std::str::from_utf8(&moved).unwrap();
        assert!(text.find("\"message\"").unwrap() < text.find("\"reasoning\"").unwrap(), "{text}");
        assert!(reordered_event(b"data: {\"type\":\"response.created\"}\n\n").is_none());
    }
}
