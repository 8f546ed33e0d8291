//! JSON objects of which only some members are understood.

use gateway_core::{GatewayError, Result};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The members of an object, in their order, each value as it is written.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The member called `name`, unless it is `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// Whether the member called `name` is the string `expected`.
    pub(super) fn is(&self, name: &str, expected: &str) -> bool {
        self.text(name).is_some_and(|text| text == expected)
    }

    /// The member called `name`, if it is a string.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let raw = self.get(name)?;
        serde_json::from_str::<super::lenient::Text<'_>>(raw.get()).ok().map(|text| text.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<super::lenient::Text<'de>>()? {
                    members.push((name.0, map.next_value()?));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Where in a request something stands, to be spelled out only if it is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    pub(super) fn member<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path::Member(self, name)
    }

    pub(super) fn item(&self, index: usize) -> Path<'_> {
        Path::Item(self, index)
    }

    /// The error of what stands here.
    pub(super) fn invalid(&self, because: impl fmt::Display) -> GatewayError {
        let param = self.to_string();
        let message = format!("{param}: {because}");
        GatewayError::invalid(param, message)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Member(Path::Root, name) => f.write_str(name),
            Path::Member(parent, name) => write!(f, "{parent}.{name}"),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads what stands at `at` as a `T`.
pub(super) fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue, at: &Path<'_>) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|error| at.invalid(reason(&error)))
}

/// What serde says, without its position in a text that the caller never saw.
pub(super) fn reason(error: &serde_json::Error) -> String {
    const MAX: usize = 160;
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    said.chars().take(MAX).collect()
}
