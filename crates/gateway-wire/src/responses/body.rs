//! The members of a JSON object, borrowed from its text.

use crate::json;
use gateway_core::{GatewayError, Json, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The members of an object, in order, their values unread.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The member called `name`.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// Takes the member called `name` out. An absent one and `null` are the same.
    pub(super) fn remove(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1).filter(|value| !is_null(value))
    }

    /// The member called `name`, if it is a string.
    pub(super) fn string(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Takes the member called `name` out and reads it.
    ///
    /// # Errors
    ///
    /// If it is something else than a `T`.
    pub(super) fn take<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>> {
        self.remove(name).map(|raw| read(raw, || name.to_owned())).transpose()
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = (Cow<'a, str>, &'a RawValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads `raw` as a `T`; an error names the parameter.
pub(super) fn read<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    param: impl FnOnce() -> String,
) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|error| {
        let param = param();
        GatewayError::invalid(param.clone(), format!("{param} has the wrong shape"))
            .with_source(error)
    })
}

/// A string of which not every character need be one: streams cut pairs of escapes in two.
#[derive(Debug, Default)]
pub(super) struct Lossy(pub(super) String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        if sort(raw) == b'"' {
            Ok(Self(json::unescape(raw.get()).into_owned()))
        } else {
            Err(de::Error::custom("expected a string"))
        }
    }
}

/// The elements of a list.
pub(super) fn items<'a>(raw: &'a RawValue, param: &str) -> Result<Vec<&'a RawValue>> {
    read(raw, || param.to_owned())
}

/// The first byte of a value, which tells what sort it is.
pub(super) fn sort(raw: &RawValue) -> u8 {
    raw.get().as_bytes().first().copied().unwrap_or_default()
}

pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// `value` as it is written, unless it is `null`.
pub(super) fn some(value: &Json) -> Option<&Json> {
    Some(value).filter(|value| value.get() != "null")
}
