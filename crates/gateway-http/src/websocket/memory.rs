//! The last response of a connection that is not stored elsewhere.
//!
//! With `store: false`, `previous_response_id` names a response of the same connection. Upstreams
//! over HTTP have no connections, so the conversation is added to the request here.

use super::ConnectionBudget;
use gateway_core::{Json, JsonObject, MemoryLease};

/// Maximum size of a remembered conversation, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// The last response, and the conversation that it ended.
#[derive(Debug)]
pub(super) struct ConnectionMemory {
    budget: ConnectionBudget,
    last: Option<RememberedResponse>,
}

#[derive(Debug)]
struct RememberedResponse {
    id: String,
    items: Vec<Json>,
    _lease: MemoryLease,
}

/// The items of a request, unless its response is stored elsewhere, and the memory that they take.
#[derive(Debug)]
pub(super) struct TurnInput {
    pub(super) items: Vec<Json>,
    pub(super) is_stored: bool,
    lease: Option<MemoryLease>,
}

impl ConnectionMemory {
    /// Creates a memory that is charged to `budget`.
    pub(super) const fn new(budget: ConnectionBudget) -> Self {
        Self { budget, last: None }
    }

    /// Puts the conversation into `body`, if it continues the last response; returns its input.
    /// `lease` is the memory of the body.
    pub(super) fn resolve(&self, body: &mut JsonObject, lease: Option<MemoryLease>) -> TurnInput {
        let is_stored = body.get("store").is_none_or(|store| store.get() != "false");
        let previous = body.get("previous_response_id").and_then(|id| id.read::<String>().ok());
        let known = self.last.as_ref().filter(|last| Some(&last.id) == previous.as_ref());
        if is_stored && known.is_none() {
            // The request takes memory of its own from now on.
            return TurnInput { items: Vec::new(), is_stored, lease: None };
        }
        let input = body.get("input").map(items).unwrap_or_default();
        let Some(last) = known else { return TurnInput { items: input, is_stored, lease } };
        let items: Vec<Json> = last.items.iter().cloned().chain(input).collect();
        body.remove("previous_response_id");
        body.insert("input".to_owned(), Json::of(&items));
        let mut lease = lease.unwrap_or_else(|| self.budget.lease());
        lease.charge(size(&last.items));
        TurnInput { items, is_stored, lease: Some(lease) }
    }

    /// Records the response `id` to `input`, with its `output`, if there is memory for it.
    pub(super) fn keep(&mut self, id: String, input: TurnInput, output: Vec<Json>) {
        self.last = None;
        let TurnInput { mut items, lease, .. } = input;
        items.extend(output);
        let bytes = size(&items);
        let mut lease = lease.unwrap_or_else(|| self.budget.lease());
        let missing = bytes.saturating_sub(lease.bytes());
        if bytes <= MAX_BYTES && (missing == 0 || lease.try_grow(missing)) {
            self.last = Some(RememberedResponse { id, items, _lease: lease });
        }
    }
}

/// The size of a conversation, in bytes.
fn size(items: &[Json]) -> usize {
    items.iter().map(|item| item.get().len()).sum()
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
    use gateway_core::MemoryBudget;
    use std::sync::Arc;

    fn memory(limit: usize) -> ConnectionMemory {
        let budget = Arc::new(MemoryBudget::new(limit));
        ConnectionMemory::new(ConnectionBudget { budget, tenant: "t".into(), is_anonymous: false })
    }

    fn body(text: &str) -> JsonObject {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn continued_response_is_put_into_the_request() {
        let mut memory = memory(1 << 20);
        let mut first = body(r#"{"input":"a","store":false}"#);
        let input = memory.resolve(&mut first, None);
        assert!(!input.is_stored);
        memory.keep("resp_1".to_owned(), input, vec![Json::of(&1)]);
        let mut second = body(r#"{"input":[2],"previous_response_id":"resp_1","store":false}"#);
        memory.resolve(&mut second, None);
        let expected =
            r#"{"input":[{"content":"a","role":"user","type":"message"},1,2],"store":false}"#;
        assert_eq!(Json::of(&second).get(), expected);
    }

    #[test]
    fn unknown_response_is_left_to_the_service() {
        let memory = memory(1 << 20);
        let mut other = body(r#"{"input":[2],"previous_response_id":"resp_9"}"#);
        assert!(memory.resolve(&mut other, None).is_stored);
        assert!(other.contains_key("previous_response_id"));
    }

    #[test]
    fn conversation_takes_memory_while_it_is_remembered() {
        let mut memory = memory(100);
        let held = |memory: &ConnectionMemory| memory.budget.budget.held();
        let input = memory.resolve(&mut body(r#"{"input":[1],"store":false}"#), None);
        memory.keep("resp_1".to_owned(), input, vec![Json::of(&"a".repeat(40))]);
        assert_eq!(held(&memory), 43);
        let mut next = body(r#"{"input":[2],"previous_response_id":"resp_1","store":false}"#);
        let input = memory.resolve(&mut next, None);
        assert_eq!(held(&memory), 86);
        memory.keep("resp_2".to_owned(), input, vec![Json::of(&"b".repeat(70))]);
        assert!(memory.last.is_none() && held(&memory) == 0, "it does not fit");
    }
}
