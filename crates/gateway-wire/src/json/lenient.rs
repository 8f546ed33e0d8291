//! Values as upstreams and callers really write them.

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, marker::PhantomData};

/// A string.
///
/// Half of a surrogate pair, which JSON can write and Unicode cannot, is replaced instead of
/// refused: models that are cut short leave such halves behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LossyText<'a>(pub(crate) Cow<'a, str>);

impl LossyText<'_> {
    pub(crate) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LossyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(LossyTextVisitor(PhantomData))
    }
}

struct LossyTextVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for LossyTextVisitor<'a> {
    type Value = LossyText<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<LossyText<'a>, E> {
        Ok(LossyText(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LossyText<'a>, E> {
        Ok(LossyText(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<LossyText<'a>, E> {
        Ok(LossyText(replace_surrogates(bytes)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<LossyText<'a>, E> {
        Ok(LossyText(Cow::Owned(replace_surrogates(bytes).into_owned())))
    }
}

/// Decodes `bytes`, in which serde has written lone surrogates as three bytes each: they become one
/// replacement character each.
fn replace_surrogates(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if chunk.invalid().first().is_some_and(|byte| *byte >= 0xc0) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Cow::Owned(text)
}

/// An owned string in which lone surrogates are replaced.
#[derive(Clone, Debug, Default)]
pub(crate) struct LossyString(pub(crate) String);

impl<'de> Deserialize<'de> for LossyString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        LossyText::deserialize(deserializer).map(|text| Self(text.into_string()))
    }
}

/// Deserializes an optional string, replacing lone surrogates.
pub(crate) fn owned<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(Option::<LossyText<'de>>::deserialize(deserializer)?.map(LossyText::into_string))
}

/// A `T` if the value is one; otherwise nothing, instead of an error.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LenientValue<T>(pub(crate) Option<T>);

impl<T> Default for LenientValue<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for LenientValue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogate_is_replaced() {
        for literal in [r#""a\ud83d b""#, r#""\udc00""#, r#""\ud83d\ud83d\ude00\ude00""#] {
            let text: LossyText<'_> = serde_json::from_str(literal).unwrap();
            assert_eq!(text.0, crate::json::unescape(literal), "{literal}");
        }
    }

    #[test]
    fn mismatched_value_reads_as_none() {
        let maybe: LenientValue<LossyText<'_>> = serde_json::from_str("[5]").unwrap();
        assert_eq!(maybe.0, None);
    }
}
