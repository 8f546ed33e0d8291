//! JSON schemas: as the arguments of a tool, and as a grammar for what the model writes.
//!
//! The order of members is kept throughout, because the model writes them in that order.

use gateway_core::{Extra, Json};

/// Schema keywords that structured output does not support; they are moved to the description.
const IN_WORDS: [&str; 18] = [
    "contains",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "uniqueItems",
];

/// The formats of strings that a grammar can hold.
const FORMATS: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];

/// `schema` as the provider can compile it: every object is closed, and what a grammar cannot hold
/// stands in the descriptions. A schema that is fine already stays as it was written.
pub(super) fn compilable(schema: &Json) -> Json {
    amended(schema).unwrap_or_else(|| schema.clone())
}

/// The amended schema; `None` if there is nothing to amend.
fn amended(schema: &Json) -> Option<Json> {
    if schema.get().starts_with('{') {
        return object(&schema.read().ok()?);
    }
    let schemas: Vec<Json> = schema.read().ok()?;
    let changed: Vec<_> = schemas.iter().map(amended).collect();
    if changed.iter().all(Option::is_none) {
        return None;
    }
    let all = changed.into_iter().zip(schemas).map(|(new, old)| new.unwrap_or(old));
    Some(Json::of(&all.collect::<Vec<_>>()))
}

fn object(members: &Extra) -> Option<Json> {
    let (mut out, mut told, mut is_changed) = (Extra::default(), Vec::new(), false);
    for (name, value) in members.iter() {
        if is_unknown(name, value) {
            told.push(format!("{name}: {}", value.get()));
            continue;
        }
        let new = match name {
            "properties" | "$defs" | "definitions" => named_schemas(value),
            "items" | "prefixItems" | "anyOf" | "oneOf" | "allOf" | "not" => amended(value),
            _ => None,
        };
        is_changed |= new.is_some() || name == "oneOf";
        // At least one is nearer to exactly one than nothing.
        let name = if name == "oneOf" && members.get("anyOf").is_none() { "anyOf" } else { name };
        out.push(name, new.unwrap_or_else(|| value.clone()));
    }
    let is_open = wants_closing(members);
    if is_open {
        out.remove("additionalProperties");
        out.push("additionalProperties", Json::of(&false));
    }
    if !told.is_empty() {
        describe(&mut out, &told.join(", "));
    }
    (is_changed || is_open || !told.is_empty()).then(|| Json::of(&out))
}

/// An object whose members are schemas.
fn named_schemas(schemas: &Json) -> Option<Json> {
    let (schemas, mut out): (Extra, _) = (schemas.read().ok()?, Extra::default());
    let mut is_changed = false;
    for (name, schema) in schemas.iter() {
        let new = amended(schema);
        is_changed |= new.is_some();
        out.push(name, new.unwrap_or_else(|| schema.clone()));
    }
    is_changed.then(|| Json::of(&out))
}

fn is_unknown(name: &str, value: &Json) -> bool {
    match name {
        "format" => value.read::<String>().is_ok_and(|format| !FORMATS.contains(&&*format)),
        // That a list may be empty, or not, is all that a grammar can say of its length.
        "minItems" => !matches!(value.get(), "0" | "1"),
        _ => IN_WORDS.contains(&name),
    }
}

/// Returns whether this is the schema of an object, and of one that takes members which it does not
/// name.
fn wants_closing(members: &Extra) -> bool {
    let is_object = members
        .get("type")
        .map_or_else(|| members.get("properties").is_some(), |it| it.get().contains("\"object\""));
    is_object && members.get("additionalProperties").is_none_or(|it| it.get() != "false")
}

/// Appends a sentence to the description of a schema.
fn describe(members: &mut Extra, told: &str) {
    let known = members.get("description").and_then(|it| it.read::<String>().ok());
    let text = known.map_or_else(|| told.to_owned(), |text| format!("{text} ({told})"));
    members.remove("description");
    members.push("description", Json::of(&text));
}

/// `schema` such that its root says that it is an object, as the arguments of a tool must be.
///
/// Text that says so already is not touched.
pub(super) fn of_arguments(schema: Option<&Json>) -> Json {
    let empty = || Json::of(&serde_json::json!({"type": "object", "properties": {}}));
    let Some(schema) = schema else { return empty() };
    let Ok(members) = schema.read::<Extra>() else { return empty() };
    if members.is_empty() {
        return empty();
    }
    if members.get("type").map(Json::get) == Some("\"object\"") {
        return schema.clone();
    }
    let mut rooted = Extra::default();
    rooted.push("type", Json::of(&"object"));
    let rest = members.iter().filter(|(name, _)| *name != "type");
    rest.for_each(|(name, value)| rooted.push(name, value.clone()));
    Json::of(&rooted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &str, expected: &str) {
        assert_eq!(compilable(&Json::parse(schema).unwrap()).get(), expected);
    }

    #[test]
    fn supported_schema_is_unchanged() {
        let fine = r#"{"type": "object", "properties": {"pattern": {"type": "string"}}, "additionalProperties": false}"#;
        check(fine, fine);
    }

    #[test]
    fn objects_are_closed_at_every_level() {
        check(
            r#"{"$defs":{"A":{"type":"object"}},"items":{"oneOf":[{"properties":{},"x":1}]}}"#,
            r#"{"$defs":{"A":{"type":"object","additionalProperties":false}},"items":{"anyOf":[{"properties":{},"x":1,"additionalProperties":false}]}}"#,
        );
    }

    #[test]
    fn unsupported_keywords_move_to_description() {
        check(
            r#"{"type":"integer","minimum":1,"maximum":9}"#,
            r#"{"type":"integer","description":"minimum: 1, maximum: 9"}"#,
        );
        check(
            r#"{"type":"string","description":"A name","pattern":"^a"}"#,
            r#"{"type":"string","description":"A name (pattern: \"^a\")"}"#,
        );
    }

    #[test]
    fn larger_min_items_is_described() {
        check(r#"{"type":"array","minItems":1}"#, r#"{"type":"array","minItems":1}"#);
        check(
            r#"{"type":"array","minItems":2}"#,
            r#"{"type":"array","description":"minItems: 2"}"#,
        );
    }

    #[test]
    fn member_order_is_preserved() {
        check(
            r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"format":"uri"}}}"#,
            r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"format":"uri"}},"additionalProperties":false}"#,
        );
    }

    #[track_caller]
    fn check_arguments(schema: Option<&str>, expected: &str) {
        let schema = schema.map(|schema| Json::parse(schema).unwrap());
        assert_eq!(of_arguments(schema.as_ref()).get(), expected);
    }

    #[test]
    fn arguments_schema_is_an_object() {
        let fine = r#"{"type": "object", "x": 1.0}"#;
        check_arguments(Some(fine), fine);
        check_arguments(Some(r#"{"x": 1.0}"#), r#"{"type":"object","x":1.0}"#);
        check_arguments(Some(r#"{"x":1,"type":["object","null"]}"#), r#"{"type":"object","x":1}"#);
        for nothing in [None, Some("null"), Some("{}"), Some("true")] {
            check_arguments(nothing, r#"{"properties":{},"type":"object"}"#);
        }
    }
}
