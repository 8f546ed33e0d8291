//! A JSON object whose members are read on demand.

use super::lenient::LossyText;
use crate::json::path::read_param;
use gateway_core::Result;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The members of an object in their order, each value as it is written.
///
/// An absent member and `null` are the same to every method; of a repeated key the last counts.
#[derive(Debug, Default)]
pub(crate) struct LazyObject<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> LazyObject<'a> {
    /// Returns the member `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| *value).filter(|value| !is_null(value))
    }

    /// Returns whether the member `name` is the string `expected`.
    pub(crate) fn is(&self, name: &str, expected: &str) -> bool {
        self.text(name).is_some_and(|text| text == expected)
    }

    /// Returns the member `name`, if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let raw = self.get(name)?;
        serde_json::from_str::<LossyText<'_>>(raw.get()).ok().map(|text| text.0)
    }

    /// Removes and returns the member `name`.
    pub(crate) fn remove(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().rposition(|(key, _)| key == name)?;
        Some(self.0.remove(at).1).filter(|value| !is_null(value))
    }

    /// Removes the member `name` and deserializes it.
    ///
    /// # Errors
    ///
    /// If its value is not a `T`; the error names the member.
    pub(crate) fn take<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>> {
        self.remove(name).map(|raw| read_param(raw, || name.to_owned())).transpose()
    }
}

impl<'a> IntoIterator for LazyObject<'a> {
    type Item = (Cow<'a, str>, &'a RawValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for LazyObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LazyObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = LazyObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LazyObject<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<LossyText<'de>>()? {
                    members.push((name.0, map.next_value()?));
                }
                Ok(LazyObject(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Returns the first byte of a value, which identifies its type.
pub(crate) fn first_byte(raw: &RawValue) -> u8 {
    raw.get().as_bytes().first().copied().unwrap_or_default()
}

/// Returns whether `raw` is `null`.
pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}
