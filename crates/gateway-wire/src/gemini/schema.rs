//! Schemas in Gemini's own form, whose types are in capitals and whose `nullable` is a member.

use gateway_core::Json;
use serde_json::{Map, Value};

/// Returns the JSON schema that `schema` means; one that is a JSON schema already stays the same.
pub(super) fn json_schema(schema: &Json) -> Json {
    let Ok(mut value) = schema.read::<Value>() else { return schema.clone() };
    normalize(&mut value);
    Json::of(&value)
}

/// Counts of 64 bits, which are texts in this API.
const COUNTS: [&str; 6] =
    ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];

fn normalize(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    spell_type(members);
    members.remove("propertyOrdering");
    if members.get("format").is_some_and(|format| format == "enum") {
        members.remove("format");
    }
    for name in COUNTS {
        if let Some(count) = members.get_mut(name)
            && let Some(number) = count.as_str().and_then(|it| it.parse::<u64>().ok())
        {
            *count = number.into();
        }
    }
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(normalize);
    }
    if let Some(items) = members.get_mut("items") {
        normalize(items);
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.iter_mut().for_each(normalize);
    }
}

/// Writes the type as JSON schema does: in small letters, with `null` where that is a value too.
fn spell_type(members: &mut Map<String, Value>) {
    let is_nullable = members.remove("nullable") == Some(Value::Bool(true));
    let Some(kind) = members.get_mut("type") else { return };
    let Some(word) = kind.as_str().map(str::to_ascii_lowercase) else { return };
    if word == "type_unspecified" {
        members.remove("type");
        return;
    }
    *kind = if is_nullable { Value::from(vec![word, "null".to_owned()]) } else { word.into() };
    if is_nullable && let Some(Value::Array(values)) = members.get_mut("enum") {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &str, expected: &str) {
        let read = |text: &str| Json::parse(text).unwrap().read::<Value>().unwrap();
        let written = json_schema(&Json::parse(schema).unwrap());
        assert_eq!(written.read::<Value>().unwrap(), read(expected));
    }

    #[test]
    fn types_are_spelled_as_in_json_schema() {
        check(
            r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true},
                "n":{"type":"ARRAY","items":{"type":"INTEGER"},"maxItems":"3"}},
                "propertyOrdering":["n","type"],"required":["n"]}"#,
            r#"{"type":"object","properties":{"type":{"type":["string","null"]},
                "n":{"type":"array","items":{"type":"integer"},"maxItems":3}},"required":["n"]}"#,
        );
        check(
            r#"{"anyOf":[{"type":"STRING","format":"enum","enum":["a"],"nullable":true}]}"#,
            r#"{"anyOf":[{"type":["string","null"],"enum":["a",null]}]}"#,
        );
    }

    #[test]
    fn json_schema_stays_the_same() {
        for schema in [r##"{"$ref":"#/$defs/a","type":["string","null"]}"##, "true", "5"] {
            check(schema, schema);
        }
    }
}
