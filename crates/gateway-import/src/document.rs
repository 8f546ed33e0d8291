//! The imported file as a tree of values.

use serde_json::{Map, Number, Value};
use std::{error::Error, fmt};
use yaml_rust2::{Yaml, YamlLoader};

/// The deepest nesting that is read.
const DEPTH: usize = 64;

/// Why a file cannot be imported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ImportError {
    /// It is neither YAML nor JSON; the text says where it is not.
    Malformed(String),
    /// It is of none of the programs whose configurations are known.
    Unknown,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "the file is neither YAML nor JSON: {error}"),
            Self::Unknown => f.write_str(
                "the file is no configuration of LiteLLM (`model_list`), Bifrost (`providers`) or \
                 Portkey (`targets`), and no list of LiteLLM's keys (`keys`)",
            ),
        }
    }
}

impl Error for ImportError {}

/// Parses YAML, of which JSON is a part.
pub(crate) fn parse(text: &str) -> Result<Value, ImportError> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut documents = YamlLoader::load_from_str(text)
        .map_err(|error| ImportError::Malformed(error.to_string()))?;
    if documents.is_empty() {
        return Err(ImportError::Unknown);
    }
    Ok(value(documents.swap_remove(0), DEPTH))
}

fn value(yaml: Yaml, depth: usize) -> Value {
    let Some(below) = depth.checked_sub(1) else { return Value::Null };
    match yaml {
        Yaml::String(text) => Value::String(text),
        Yaml::Integer(number) => Value::from(number),
        Yaml::Real(text) => {
            let number = text.parse().ok().and_then(Number::from_f64);
            number.map_or(Value::String(text), Value::Number)
        }
        Yaml::Boolean(flag) => Value::Bool(flag),
        Yaml::Array(items) => items.into_iter().map(|item| value(item, below)).collect(),
        Yaml::Hash(members) => {
            let mut merged = Map::new();
            let mut own = Map::new();
            for (key, member) in members {
                let key = value(key, below);
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let member = value(member, below);
                // A merge key: the members of another mapping, unless there are own ones.
                if key == "<<" {
                    merge(member, &mut merged);
                } else {
                    own.insert(key, member);
                }
            }
            merged.extend(own);
            Value::Object(merged)
        }
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => Value::Null,
    }
}

fn merge(value: Value, merged: &mut Map<String, Value>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                merged.entry(key).or_insert(member);
            }
        }
        Value::Array(items) => items.into_iter().for_each(|item| merge(item, merged)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The text of a string or a number.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text of the member `name`.
pub(crate) fn member(value: &Value, name: &str) -> Option<String> {
    text(value.get(name)?)
}

/// A number, also if it is written as text.
pub(crate) fn number(value: &Value, name: &str) -> Option<f64> {
    let value = value.get(name)?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|it| it.is_finite())
}

/// A positive whole number.
pub(crate) fn count(value: &Value, name: &str) -> Option<u64> {
    number(value, name).and_then(whole)
}

/// A number of at least 1 as a whole one.
pub(crate) fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    (1.0..=1e12).contains(&number).then_some(number as u64)
}

/// The members of an object.
pub(crate) fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

/// The items of a list; a single value is a list of one.
pub(crate) fn items(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(single) => vec![single],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let yaml = "base: &base {rpm: 5, key: a}\nused: {<<: *base, key: b}\nlist: [1, 2.5, x]";
        let parsed = parse(yaml).unwrap();
        assert_eq!(parsed["used"], json!({ "rpm": 5, "key": "b" }));
        assert_eq!(parsed["list"], json!([1, 2.5, "x"]));
    }

    #[test]
    fn malformed_text_is_refused() {
        assert!(matches!(parse("a: [1, "), Err(ImportError::Malformed(_))));
        assert_eq!(parse(""), Err(ImportError::Unknown));
    }
}
