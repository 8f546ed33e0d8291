//! The last response of a connection that is not stored elsewhere.
//!
//! With `store: false`, `previous_response_id` names a response of the same connection. Upstreams
//! over HTTP have no connections, so the conversation is added to the request here.

use gateway_core::{Json, JsonObject};

/// Maximum size of a remembered conversation, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// The last response, and the conversation that it ended.
#[derive(Debug, Default)]
pub(super) struct ConnectionMemory {
    last: Option<(String, Vec<Json>)>,
}

/// The items of a request, and whether its response is stored elsewhere.
#[derive(Clone, Debug)]
pub(super) struct TurnInput {
    pub(super) items: Vec<Json>,
    pub(super) is_stored: bool,
}

impl ConnectionMemory {
    /// Puts the conversation into `body`, if it continues the last response; returns its input.
    pub(super) fn resolve(&self, body: &mut JsonObject) -> TurnInput {
        let is_stored = body.get("store").is_none_or(|store| store.get() != "false");
        let input = body.get("input").map(items).unwrap_or_default();
        let previous = body.get("previous_response_id").and_then(|id| id.read::<String>().ok());
        let known = self.last.as_ref().filter(|(id, _)| Some(id) == previous.as_ref());
        let Some((_, earlier)) = known else { return TurnInput { items: input, is_stored } };
        let items: Vec<Json> = earlier.iter().cloned().chain(input).collect();
        body.remove("previous_response_id");
        body.insert("input".to_owned(), Json::of(&items));
        TurnInput { items, is_stored }
    }

    /// Records the response `id` to `input`, with its `output`.
    pub(super) fn keep(&mut self, id: String, input: TurnInput, output: Vec<Json>) {
        let mut items = input.items;
        items.extend(output);
        let bytes: usize = items.iter().map(|item| item.get().len()).sum();
        self.last = (bytes <= MAX_BYTES).then_some((id, items));
    }
}

/// The items of `input`, which is text or a list.
fn items(input: &Json) -> Vec<Json> {
    let message = |text: String| {
        Json::of(&serde_json::json!({ "type": "message", "role": "user", "content": text }))
    };
    input
        .read::<String>()
        .map_or_else(|_| input.read::<Vec<Json>>().unwrap_or_default(), |text| vec![message(text)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> JsonObject {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn continued_response_is_put_into_the_request() {
        let mut memory = ConnectionMemory::default();
        let mut first = body(r#"{"input":"a","store":false}"#);
        let input = memory.resolve(&mut first);
        assert!(!input.is_stored);
        memory.keep("resp_1".to_owned(), input, vec![Json::of(&1)]);
        let mut second = body(r#"{"input":[2],"previous_response_id":"resp_1","store":false}"#);
        memory.resolve(&mut second);
        let expected =
            r#"{"input":[{"content":"a","role":"user","type":"message"},1,2],"store":false}"#;
        assert_eq!(Json::of(&second).get(), expected);
    }

    #[test]
    fn unknown_response_is_left_to_the_service() {
        let memory = ConnectionMemory::default();
        let mut other = body(r#"{"input":[2],"previous_response_id":"resp_9"}"#);
        assert!(memory.resolve(&mut other).is_stored);
        assert!(other.contains_key("previous_response_id"));
    }
}
