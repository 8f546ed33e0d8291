//! The subset of JSON Schema that tool arguments need.
//!
//! Supported: `type`, `enum`, `const`, ranges of numbers, lengths, `items`, `properties`,
//! `required`, `additionalProperties`, `anyOf`, `oneOf`, `allOf`. Unsupported keywords are ignored:
//! a call is never rejected because of one.

use crate::argument_mismatch::ArgumentMismatch;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// The schema of a value.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ArgumentSchema {
    /// Accepts anything (`true`) or nothing (`false`).
    Always(bool),
    /// A schema with constraints.
    ObjectSchema(Box<ObjectSchema>),
}

/// The words of a schema that is not just `true` or `false`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectSchema {
    #[serde(rename = "type")]
    types: TypeSet,
    #[serde(rename = "enum")]
    values: Option<Vec<Value>>,
    #[serde(rename = "const")]
    value: Option<Value>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    exclusive_minimum: Option<f64>,
    exclusive_maximum: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    min_items: Option<usize>,
    max_items: Option<usize>,
    items: Option<ArgumentSchema>,
    properties: BTreeMap<String, ArgumentSchema>,
    required: Vec<String>,
    additional_properties: Option<ArgumentSchema>,
    any_of: Option<Vec<ArgumentSchema>>,
    one_of: Option<Vec<ArgumentSchema>>,
    all_of: Vec<ArgumentSchema>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
enum TypeSet {
    #[default]
    Any,
    One(JsonType),
    Several(Vec<JsonType>),
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum JsonType {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl ArgumentSchema {
    /// Reads a schema.
    ///
    /// # Errors
    ///
    /// If a word that is known is used in a way that is not.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Whether `arguments` fit; `strict` refuses those that the schema does not name.
    ///
    /// # Errors
    ///
    /// Says which one does not, and what it should be.
    pub fn check_arguments(
        &self,
        arguments: &Map<String, Value>,
        strict: bool,
    ) -> Result<(), ArgumentMismatch> {
        let Self::ObjectSchema(shape) = self else { return Ok(()) };
        if strict && shape.additional_properties.is_none() {
            for name in arguments.keys() {
                if !shape.properties.contains_key(name) {
                    return Err(ArgumentMismatch::Unknown(short(name)));
                }
            }
        }
        shape.check_members(arguments, "")
    }

    /// Whether an object of this schema may have a member of this name.
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::Always(all) => *all,
            Self::ObjectSchema(shape) => {
                let others =
                    !matches!(&shape.additional_properties, None | Some(Self::Always(false)));
                others || shape.properties.contains_key(name)
            }
        }
    }

    /// Whether an object of this schema must have a member of this name.
    pub fn requires(&self, name: &str) -> bool {
        if let Self::ObjectSchema(shape) = self {
            shape.required.iter().any(|it| it == name)
        } else {
            false
        }
    }

    fn check(&self, value: &Value, path: &str) -> Result<(), ArgumentMismatch> {
        match self {
            Self::Always(true) => Ok(()),
            Self::Always(false) => Err(ArgumentMismatch::NotAllowed(path.to_owned())),
            Self::ObjectSchema(shape) => shape.check(value, path),
        }
    }
}

impl ObjectSchema {
    fn check(&self, value: &Value, path: &str) -> Result<(), ArgumentMismatch> {
        if !self.types.allow(value) {
            let expected = self.types.to_string();
            return Err(ArgumentMismatch::WrongType { argument: path.to_owned(), expected });
        }
        let listed =
            self.values.as_ref().is_none_or(|values| values.iter().any(|it| same(it, value)));
        if !listed || self.value.as_ref().is_some_and(|only| !same(only, value)) {
            let values = Value::Array(
                self.values.clone().or(self.value.clone().map(|it| vec![it])).unwrap_or_default(),
            );
            let values = values.to_string();
            return Err(ArgumentMismatch::NotListed { argument: path.to_owned(), values });
        }
        self.check_size(value, path)?;
        if let Value::Array(items) = value
            && let Some(schema) = &self.items
        {
            for (at, item) in items.iter().enumerate() {
                schema.check(item, &format!("{path}[{at}]"))?;
            }
        }
        if let Value::Object(members) = value {
            self.check_members(members, path)?;
        }
        self.check_alternatives(value, path)
    }

    fn check_members(
        &self,
        members: &Map<String, Value>,
        path: &str,
    ) -> Result<(), ArgumentMismatch> {
        let full = |name: &str| {
            if path.is_empty() { short(name) } else { format!("{path}.{}", short(name)) }
        };
        if let Some(missing) = self.required.iter().find(|name| !members.contains_key(*name)) {
            return Err(ArgumentMismatch::Missing(full(missing)));
        }
        for (name, value) in members {
            let schema = self.properties.get(name).or(self.additional_properties.as_ref());
            match schema {
                Some(ArgumentSchema::Always(false)) => {
                    return Err(ArgumentMismatch::Unknown(full(name)));
                }
                Some(schema) => schema.check(value, &full(name))?,
                None => {}
            }
        }
        Ok(())
    }

    fn check_size(&self, value: &Value, path: &str) -> Result<(), ArgumentMismatch> {
        let argument = || path.to_owned();
        if let Some(number) = value.as_f64() {
            if let Some(bound) = broken_bound(number, self.minimum, self.maximum) {
                return Err(ArgumentMismatch::Bound { argument: argument(), bound });
            }
            let above = self.exclusive_minimum.is_none_or(|bound| number > bound);
            let below = self.exclusive_maximum.is_none_or(|bound| number < bound);
            if !(above && below) {
                return Err(ArgumentMismatch::OutOfRange(argument()));
            }
        }
        let limits = if let Value::String(text) = value {
            Some((text.chars().count(), self.min_length, self.max_length))
        } else if let Value::Array(items) = value {
            Some((items.len(), self.min_items, self.max_items))
        } else {
            None
        };
        let Some((length, least, most)) = limits else { return Ok(()) };
        match broken_bound(float(length), least.map(float), most.map(float)) {
            Some(bound) => Err(ArgumentMismatch::Length { argument: argument(), bound }),
            None => Ok(()),
        }
    }

    fn check_alternatives(&self, value: &Value, path: &str) -> Result<(), ArgumentMismatch> {
        for schema in &self.all_of {
            schema.check(value, path)?;
        }
        let fits = |schema: &&ArgumentSchema| schema.check(value, path).is_ok();
        let any = self.any_of.as_ref().is_none_or(|any| any.iter().any(|it| fits(&it)));
        let one = self.one_of.as_ref().is_none_or(|one| one.iter().filter(fits).count() == 1);
        if any && one { Ok(()) } else { Err(ArgumentMismatch::NoAlternative(path.to_owned())) }
    }
}

impl TypeSet {
    fn allow(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::One(it) => it.allows(value),
            Self::Several(types) => types.iter().any(|it| it.allows(value)),
        }
    }
}

impl JsonType {
    /// A whole number is an integer however it is written; a boolean is no number.
    fn allows(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

impl fmt::Display for TypeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = match self {
            Self::Any => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(types) => types.as_slice(),
        };
        for (at, it) in types.iter().enumerate() {
            f.write_str(if at > 0 { " or " } else { "" })?;
            f.write_str(match it {
                JsonType::Null => "null",
                JsonType::Boolean => "a boolean",
                JsonType::Integer => "an integer",
                JsonType::Number => "a number",
                JsonType::String => "a string",
                JsonType::Array => "an array",
                JsonType::Object => "an object",
            })?;
        }
        Ok(())
    }
}

/// Returns the bound that `size` breaks, in words.
fn broken_bound(size: f64, least: Option<f64>, most: Option<f64>) -> Option<String> {
    let too_small = least.filter(|least| size < *least).map(|it| format!("at least {it}"));
    too_small.or_else(|| most.filter(|most| size > *most).map(|it| format!("at most {it}")))
}

/// 1 and 1.0 are one number.
fn same(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right).is_eq(),
        _ => left == right,
    }
}

#[expect(clippy::cast_precision_loss, reason = "no length is that long")]
const fn float(length: usize) -> f64 {
    length as f64
}

/// Shortens a foreign name so that it can be repeated in an error.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Whether `value` as the argument `x` of a schema passes, else why not.
    fn verdict(schema: Value, value: Value) -> String {
        let properties = Map::from_iter([("x".to_owned(), schema)]);
        let schema = json!({ "properties": properties, "required": ["x"] });
        let schema = ArgumentSchema::parse(&schema.to_string()).unwrap();
        let arguments = Map::from_iter([("x".to_owned(), value)]);
        let mismatch = schema.check_arguments(&arguments, true).err();
        mismatch.map(|it| it.to_string()).unwrap_or_default()
    }

    #[track_caller]
    fn fits(schema: Value, values: &[Value]) {
        for (value, schema) in values.iter().zip(std::iter::repeat(schema)) {
            assert_eq!(verdict(schema, value.clone()), "", "{value}");
        }
    }

    #[track_caller]
    fn refuses(schema: Value, value: Value, why: &str) {
        assert_eq!(verdict(schema, value), why);
    }

    #[test]
    fn value_types_are_checked() {
        fits(json!({ "type": "string" }), &[json!("")]);
        fits(json!({ "type": "integer" }), &[json!(1), json!(-2.0), json!(u64::MAX)]);
        fits(json!({ "type": "number" }), &[json!(1), json!(0.5)]);
        fits(json!({ "type": ["string", "null"] }), &[json!("a"), json!(null)]);
        refuses(json!({ "type": "string" }), json!(1), "the argument 'x' must be a string");
        refuses(json!({ "type": "integer" }), json!(1.5), "the argument 'x' must be an integer");
        refuses(
            json!({ "type": ["string", "null"] }),
            json!([]),
            "the argument 'x' must be a string or null",
        );
    }

    #[test]
    fn boolean_is_not_a_number() {
        refuses(json!({ "type": "number" }), json!(true), "the argument 'x' must be a number");
        refuses(json!({ "type": "integer" }), json!(false), "the argument 'x' must be an integer");
        refuses(json!({ "type": "boolean" }), json!(1), "the argument 'x' must be a boolean");
    }

    #[test]
    fn numeric_ranges_are_checked() {
        let range = json!({ "minimum": 1, "maximum": 3 });
        fits(range.clone(), &[json!(1), json!(3), json!("not a number")]);
        refuses(range.clone(), json!(0), "the argument 'x' must be at least 1");
        refuses(range, json!(3.5), "the argument 'x' must be at most 3");
        let open = json!({ "exclusiveMinimum": 0, "exclusiveMaximum": 1 });
        fits(open.clone(), &[json!(0.5)]);
        refuses(open, json!(0), "the argument 'x' is out of range");
    }

    #[test]
    fn enum_values_are_checked() {
        fits(json!({ "enum": [1, "a"] }), &[json!(1.0), json!("a")]);
        refuses(json!({ "enum": [1, 2] }), json!(3), "the argument 'x' must be one of [1,2]");
        refuses(json!({ "const": "a" }), json!("b"), r#"the argument 'x' must be one of ["a"]"#);
    }

    #[test]
    fn string_length_is_counted_in_characters() {
        let text = json!({ "minLength": 1, "maxLength": 2 });
        fits(text.clone(), &[json!("é"), json!("éé")]);
        refuses(text, json!(""), "the length of the argument 'x' must be at least 1");
        refuses(
            json!({ "maxItems": 1 }),
            json!([1, 2]),
            "the length of the argument 'x' must be at most 1",
        );
    }

    #[test]
    fn nested_values_are_checked() {
        let tiers = json!({ "type": "array", "items": { "type": "integer", "maximum": 6 } });
        fits(tiers.clone(), &[json!([]), json!([0, 6])]);
        refuses(tiers, json!([1, 99]), "the argument 'x[1]' must be at most 6");
        let book =
            json!({ "items": { "properties": { "n": { "type": "integer" } }, "required": ["n"] } });
        refuses(book.clone(), json!([{}]), "the argument 'x[0].n' is required");
        refuses(book, json!([{ "n": "1" }]), "the argument 'x[0].n' must be an integer");
    }

    #[test]
    fn schema_alternatives_are_checked() {
        let either = json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] });
        fits(either.clone(), &[json!("a"), json!(null)]);
        refuses(either, json!(1), "the argument 'x' fits none of its alternatives");
    }

    #[test]
    fn additional_properties_are_rejected_when_forbidden() {
        let check = |schema: Value, strict| {
            let schema = ArgumentSchema::parse(&schema.to_string()).unwrap();
            let arguments = Map::from_iter([("y".to_owned(), json!(1))]);
            schema.check_arguments(&arguments, strict).err().map(|it| it.to_string())
        };
        assert_eq!(check(json!({}), true).unwrap(), "unknown argument 'y'");
        assert_eq!(check(json!({}), false), None);
        assert_eq!(check(json!({ "additionalProperties": true }), true), None);
        assert!(check(json!({ "additionalProperties": false }), false).is_some());
        assert!(check(json!({ "required": ["x"] }), false).unwrap().contains("'x' is required"));
    }

    #[test]
    fn invalid_schema_is_reported() {
        assert!(ArgumentSchema::parse(r#"{"type":"strnig"}"#).is_err());
        assert!(ArgumentSchema::parse(r#"{"minimum":"1"}"#).is_err());
    }
}
