//! The arguments of tool calls: text elsewhere, an object here.

use serde_json::{json, value::RawValue};
use std::borrow::Cow;

/// `arguments` as a JSON object, in its author's own writing where it is one.
///
/// What is no object is wrapped in one, so that nothing is lost: `{"value": ..}` around other
/// JSON, `{"text": ".."}` around what is no JSON at all.
pub(super) fn object(arguments: &str) -> Cow<'_, RawValue> {
    let trimmed = arguments.trim();
    if trimmed.is_empty() {
        return Cow::Owned(raw(&json!({})));
    }
    match serde_json::from_str::<&RawValue>(trimmed) {
        Ok(object) if trimmed.starts_with('{') => Cow::Borrowed(object),
        Ok(value) => Cow::Owned(raw(&std::collections::BTreeMap::from([("value", value)]))),
        Err(_) => Cow::Owned(raw(&json!({ "text": arguments }))),
    }
}

/// The free text for a custom tool, as an object.
pub(super) fn free_text(text: &str) -> Cow<'static, RawValue> {
    Cow::Owned(raw(&json!({ "input": text })))
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// `id` in the alphabet that this dialect allows; the same for a call and for its result.
pub(super) fn tool_id(id: &str) -> Cow<'_, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() {
        Cow::Borrowed("_")
    } else if id.chars().all(is_fine) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(id.chars().map(|c| if is_fine(c) { c } else { '_' }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &str, expected: &str) {
        assert_eq!(object(arguments).get(), expected);
    }

    #[test]
    fn an_object_stays_as_it_was_written() {
        check(r#"{"b": 1.0, "a":12345678901234567890}"#, r#"{"b": 1.0, "a":12345678901234567890}"#);
        check(" {} ", "{}");
    }

    #[test]
    fn nothing_is_an_empty_object() {
        check("", "{}");
        check(" ", "{}");
    }

    #[test]
    fn what_is_no_object_is_wrapped() {
        check("[1, 2.0]", r#"{"value":[1, 2.0]}"#);
        check("\"a\"", r#"{"value":"a"}"#);
        check("null", r#"{"value":null}"#);
        check("{\"a\": \"cut sh", r#"{"text":"{\"a\": \"cut sh"}"#);
    }

    #[test]
    fn ids_keep_to_the_alphabet() {
        for (id, expected) in [("call_1-A", "call_1-A"), ("f.x:0", "f_x_0"), ("é", "_"), ("", "_")]
        {
            assert_eq!(tool_id(id), expected);
        }
    }
}
