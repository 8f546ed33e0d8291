//! The declaration of unstored records in a response object.

use crate::commit::{NotStored, StoredItem};
use bytes::Bytes;
use gateway_core::{Json, JsonObject};
use gateway_wire::sse;

/// Returns the response object `body` with `store` false or `conversation` null for each record of
/// `not_stored`; unchanged if there are none, or if it is not an object.
pub(super) fn in_object(body: Bytes, not_stored: &[NotStored]) -> Bytes {
    if not_stored.is_empty() {
        return body;
    }
    match serde_json::from_slice::<JsonObject>(&body) {
        Ok(members) => Bytes::from(Json::of(&edited(members, not_stored)).get().to_owned()),
        Err(_) => body,
    }
}

/// Returns the events of `block`, with the unstored records declared in their response objects.
pub(super) fn in_events(block: &Bytes, not_stored: &[NotStored]) -> Bytes {
    if not_stored.is_empty() {
        return block.clone();
    }
    let mut out = Vec::new();
    for event in sse::events(block) {
        let data = in_event(&event.data, not_stored);
        let data = data.as_ref().map_or(&*event.data, Json::get);
        sse::write(&mut out, Some(event.name).filter(|name| !name.is_empty()), data);
    }
    out.into()
}

fn in_event(data: &str, not_stored: &[NotStored]) -> Option<Json> {
    let mut event: JsonObject = serde_json::from_str(data).ok()?;
    let response = event.get("response")?.read::<JsonObject>().ok()?;
    event.insert("response".to_owned(), Json::of(&edited(response, not_stored)));
    Some(Json::of(&event))
}

fn edited(mut response: JsonObject, not_stored: &[NotStored]) -> JsonObject {
    for record in not_stored {
        let (name, value) = match record.item {
            StoredItem::Response => ("store", Json::of(&false)),
            StoredItem::Conversation => ("conversation", Json::null()),
            StoredItem::Session | StoredItem::Thread => continue,
        };
        response.insert(name.to_owned(), value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::state::StoreError;
    use serde_json::{Value, json};

    fn not_stored(items: &[StoredItem]) -> Vec<NotStored> {
        items.iter().map(|item| NotStored::by_store(*item, &StoreError::Full)).collect()
    }

    #[test]
    fn object_that_was_not_stored_says_so() {
        let body = Bytes::from_static(br#"{"id":"resp_1","store":true,"n":1e2}"#);
        assert_eq!(in_object(body.clone(), &[]), body, "an answer that is stored is not touched");
        let told = in_object(body, &not_stored(&[StoredItem::Response]));
        assert_eq!(told, r#"{"id":"resp_1","n":1e2,"store":false}"#);
        let body = Bytes::from_static(br#"{"conversation":{"id":"conv_1"}}"#);
        let told = in_object(body, &not_stored(&[StoredItem::Conversation]));
        assert_eq!(told, r#"{"conversation":null}"#);
        let odd = Bytes::from_static(b"[]");
        assert_eq!(in_object(odd.clone(), &not_stored(&[StoredItem::Response])), odd);
    }

    #[test]
    fn event_with_an_answer_that_was_not_stored_says_so() {
        let block = Bytes::from_static(
            b"event: a\ndata: {\"type\":\"a\"}\n\nevent: b\ndata: {\"type\":\"b\",\"response\":{\"store\":true}}\n\ndata: [DONE]\n\n",
        );
        let told = in_events(&block, &not_stored(&[StoredItem::Response]));
        let events: Vec<_> = sse::events(&told).map(|it| it.data.to_string()).collect();
        assert_eq!(events.len(), 3);
        assert_eq!(events[0], r#"{"type":"a"}"#);
        let last: Value = serde_json::from_str(&events[1]).unwrap();
        assert_eq!(last["response"], json!({ "store": false }));
        assert_eq!(events[2], "[DONE]");
    }
}
