//! JSON as the database takes it.

use gateway_core::state::StoreError;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// The escape of the one character that text in Postgres cannot hold.
const ESCAPED_NUL: &str = "\\u0000";

/// Writes `record` as JSON.
pub(super) fn write(record: &impl Serialize) -> Result<String, StoreError> {
    let invalid = StoreError::Invalid("the record cannot be written as JSON");
    let Ok(json) = serde_json::to_string(record) else { return Err(invalid) };
    Ok(without_nul(&json).into_owned())
}

/// Replaces the character NUL by the replacement character.
pub(super) fn without_nul(json: &str) -> Cow<'_, str> {
    if !json.contains(ESCAPED_NUL) {
        return Cow::Borrowed(json);
    }
    // The same letters behind an escaped backslash are no escape: only a parser can tell.
    match serde_json::from_str::<Value>(json) {
        Ok(mut value) => {
            replace(&mut value);
            Cow::Owned(value.to_string())
        }
        Err(_) => Cow::Borrowed(json),
    }
}

/// Returns a name as a column holds it.
pub(super) fn name(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text.into() }
}

fn replace(value: &mut Value) {
    match value {
        Value::String(text) => *text = name(text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(replace),
        Value::Object(members) => {
            let renamed = std::mem::take(members).into_iter();
            *members = renamed.map(|(key, value)| (name(&key).into_owned(), value)).collect();
            members.values_mut().for_each(replace);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_replaced_and_its_letters_are_not() {
        assert_eq!(without_nul(r#"{"a":"b"}"#), r#"{"a":"b"}"#);
        assert_eq!(without_nul(r#"{"a":"\u0000"}"#), "{\"a\":\"\u{fffd}\"}");
        assert_eq!(without_nul(r#"["\\u0000"]"#), r#"["\\u0000"]"#);
        assert_eq!(write(&"x\0").unwrap(), "\"x\u{fffd}\"");
        assert_eq!(name("a\0b"), "a\u{fffd}b");
    }
}
