//! Items of a conversation, in their stored form and as input.

use gateway_core::{Json, JsonObject};
use gateway_wire::IdGenerator;
use serde_json::json;

/// The items of `input`, which is text or a list, each with a type and an id.
pub(crate) fn of_input(input: &Json, ids: &mut IdGenerator) -> Vec<Json> {
    if let Ok(text) = input.read::<String>() {
        return vec![message(&text, ids)];
    }
    let items = input.read::<Vec<Json>>().unwrap_or_default();
    items.iter().map(|item| with_id(item, ids)).collect()
}

fn message(text: &str, ids: &mut IdGenerator) -> Json {
    Json::of(&json!({
        "id": ids.next("msg_"),
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{ "type": "input_text", "text": text }],
    }))
}

/// Returns `item` with the members that callers may omit.
fn with_id(item: &Json, ids: &mut IdGenerator) -> Json {
    let Ok(mut members) = item.read::<JsonObject>() else {
        return item.read::<String>().map_or_else(|_| item.clone(), |text| message(&text, ids));
    };
    let kind = members.get("type").and_then(|it| it.read::<String>().ok());
    let kind = kind.unwrap_or_else(|| "message".to_owned());
    if !members.contains_key("id") {
        members.insert("id".to_owned(), Json::of(&ids.next(prefix(&kind))));
    }
    if kind == "message" {
        complete_message(&mut members);
    }
    members.insert("type".to_owned(), Json::of(&kind));
    Json::of(&members)
}

fn complete_message(members: &mut JsonObject) {
    members.entry("status".to_owned()).or_insert_with(|| Json::of(&"completed"));
    let text = members.get("content").and_then(|content| content.read::<String>().ok());
    if let Some(text) = text {
        let role = members.get("role").and_then(|role| role.read::<String>().ok());
        let part = if role.as_deref() == Some("assistant") {
            json!([{ "type": "output_text", "text": text, "annotations": [] }])
        } else {
            json!([{ "type": "input_text", "text": text }])
        };
        members.insert("content".to_owned(), Json::of(&part));
    }
}

/// Returns the id prefix of items of this kind.
fn prefix(kind: &str) -> &'static str {
    match kind {
        "message" => "msg_",
        "reasoning" => "rs_",
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "custom_tool_call" => "ctc_",
        "custom_tool_call_output" => "cto_",
        _ => "item_",
    }
}

/// Returns an output item as an input item; `None` if it has no content for a model.
///
/// Reasoning that has only an id is known only to the provider that created it.
pub(crate) fn of_output(item: &Json) -> Option<Json> {
    let mut members = item.read::<JsonObject>().ok()?;
    let is = |name: &str, value: &str| {
        members.get(name).and_then(|it| it.read::<String>().ok()).is_some_and(|it| it == value)
    };
    if is("type", "message") {
        let content = members.get("content")?.read::<Vec<Json>>().ok()?;
        return (!content.is_empty()).then(|| item.clone());
    }
    let sealed =
        members.get("encrypted_content").is_some_and(|it| it.get() != "null" && it.get() != "\"\"");
    if is("type", "reasoning") && !sealed {
        members.remove("id");
        return Some(Json::of(&members));
    }
    Some(item.clone())
}

/// The id that `item` has.
pub(crate) fn id_of(item: &Json) -> Option<String> {
    item.read::<JsonObject>().ok()?.get("id")?.read().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// `input` is kept as `expected`, ids aside.
    #[track_caller]
    fn check(input: &Value, expected: &Value) {
        let items = of_input(&Json::of(input), &mut IdGenerator::new(1));
        assert!(items.iter().all(|item| id_of(item).is_some()), "{items:?}");
        let mut items: Value = serde_json::to_value(&items).unwrap();
        for item in items.as_array_mut().unwrap() {
            item.as_object_mut().unwrap().remove("id");
        }
        assert_eq!(&items, expected);
    }

    #[test]
    fn text_is_a_message() {
        let content = json!([{ "type": "input_text", "text": "hi" }]);
        let message = |role: &str| json!({ "type": "message", "status": "completed", "role": role, "content": content });
        check(&json!("hi"), &json!([message("user")]));
        check(&json!(["hi"]), &json!([message("user")]));
        check(&json!([{ "role": "developer", "content": "hi" }]), &json!([message("developer")]));
    }

    #[test]
    fn assistant_message_becomes_output_item() {
        check(
            &json!([{ "role": "assistant", "content": "hi" }]),
            &json!([{ "type": "message", "status": "completed", "role": "assistant",
                "content": [{ "type": "output_text", "text": "hi", "annotations": [] }] }]),
        );
    }

    #[test]
    fn other_items_stay_as_they_are() {
        let call = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "" });
        check(&json!([call]), &json!([call]));
        check(&json!([{ "type": "new", "x": 1.0 }]), &json!([{ "type": "new", "x": 1.0 }]));
    }

    #[test]
    fn existing_item_id_is_preserved() {
        let items = of_input(
            &Json::of(&json!([{ "id": "x", "role": "user", "content": "" }])),
            &mut IdGenerator::new(1),
        );
        assert_eq!(id_of(&items[0]).unwrap(), "x");
    }

    #[track_caller]
    fn check_output(item: &Value, expected: Option<&Value>) {
        let asked = of_output(&Json::of(item)).map(|it| serde_json::to_value(it).unwrap());
        assert_eq!(asked.as_ref(), expected);
    }

    #[test]
    fn thinking_without_a_seal_has_no_name_elsewhere() {
        let open = json!({ "type": "reasoning", "summary": [] });
        check_output(&json!({ "id": "rs_1", "type": "reasoning", "summary": [] }), Some(&open));
        let sealed = json!({ "id": "rs_1", "type": "reasoning", "encrypted_content": "x" });
        check_output(&sealed, Some(&sealed));
    }

    #[test]
    fn empty_message_is_not_replayed() {
        check_output(&json!({ "type": "message", "content": [] }), None);
        let said =
            json!({ "type": "message", "content": [{ "type": "output_text", "text": "a" }] });
        check_output(&said, Some(&said));
    }
}
