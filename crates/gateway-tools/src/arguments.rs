//! Tool arguments as models write them: parsing and validation.

use gateway_core::ToolError;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// More than a tool can use.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Reads the arguments of a call; none at all are an empty object.
///
/// # Errors
///
/// If they are not one JSON object of bearable depth and size in which every name stands once: two
/// readers would not agree on what was meant.
pub(crate) fn parse(text: &str) -> Result<Map<String, Value>, ToolError> {
    if text.len() > MAX_BYTES {
        return Err(ToolError::invalid("the arguments are too large"));
    }
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(UniqueKeyValue(Value::Object(arguments))) => Ok(arguments),
        // Some models say it when they have nothing to say.
        Ok(UniqueKeyValue(Value::Null)) => Ok(Map::new()),
        Ok(_) => Err(ToolError::invalid("the arguments are not a JSON object")),
        Err(error) => Err(ToolError::invalid(format!("the arguments are not valid JSON: {error}"))),
    }
}

/// A value in which no object names a member twice.
struct UniqueKeyValue(Value);

impl<'de> Deserialize<'de> for UniqueKeyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeyVisitor).map(Self)
    }
}

struct UniqueKeyVisitor;

impl<'de> Visitor<'de> for UniqueKeyVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(UniqueKeyValue(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, UniqueKeyValue(value))) = members.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a name stands twice in one object"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let parsed = parse(text).ok().map(|arguments| Value::Object(arguments).to_string());
        assert_eq!(parsed.as_deref(), expected);
    }

    #[test]
    fn arguments_object_is_parsed() {
        check(
            r#" {"b":[1,-2.5,null],"a":{"c":true,"d":"é"}} "#,
            Some(r#"{"a":{"c":true,"d":"é"},"b":[1,-2.5,null]}"#),
        );
    }

    proptest::proptest! {
        #[test]
        fn malformed_arguments_are_repaired_or_rejected(text in r#"[\{\}\[\]":,0-9a-c \\-]{0,40}"#) {
            if let Ok(arguments) = parse(&text) && !text.trim().is_empty() {
                let read: Value = serde_json::from_str(&text).unwrap();
                let empty = Value::Object(Map::new());
                let read = if read.is_null() { empty } else { read };
                proptest::prop_assert_eq!(Value::Object(arguments), read);
            }
        }
    }

    #[test]
    fn empty_arguments_are_an_empty_object() {
        check("", Some("{}"));
        check("null", Some("{}"));
    }

    #[test]
    fn ambiguous_arguments_are_rejected() {
        check("{", None);
        check("[]", None);
        check(r#"{"a":1,"a":2}"#, None);
        check(r#"{"a":[{"b":1,"b":1}]}"#, None);
        check(&format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000)), None);
        check(&format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES)), None);
    }
}
