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
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(super) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(TextVisitor(PhantomData))
    }
}

struct TextVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
    type Value = Text<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Text<'a>, E> {
        Ok(Text(String::from_utf8_lossy(bytes)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
    }
}

/// A string, kept.
pub(super) fn owned<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(Option::<Text<'de>>::deserialize(deserializer)?.map(Text::into_string))
}

/// A `T` if the value is one; otherwise nothing, instead of an error.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Maybe<T>(pub(super) Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// A number of things, at least none and not absurdly many; 0 for whatever is no such number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Count(pub(super) u64);

/// More tokens than any answer takes: a count beyond it is a mistake.
const MAX_COUNT: u64 = 1 << 40;

impl<'de> Deserialize<'de> for Count {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get().trim_matches('"');
        let rounded = || text.parse::<f64>().ok().map(|number| number.round() as u64);
        let number = text.parse().ok().or_else(rounded);
        Ok(Self(number.filter(|number| *number <= MAX_COUNT).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: u64) {
        assert_eq!(serde_json::from_str::<Count>(json).unwrap(), Count(expected), "{json}");
    }

    #[test]
    fn counts_are_made_sane() {
        check("7", 7);
        check("-7", 0);
        check("7.0", 7);
        check("1e400", 0);
        check("\"12\"", 12);
        check("\"many\"", 0);
        check("null", 0);
        check("[1]", 0);
        check("{\"a\":1}", 0);
        check("true", 0);
        check("18446744073709551615", 0);
        check("99999999999999999999999", 0);
    }

    #[test]
    fn half_a_pair_is_replaced() {
        let text: Text<'_> = serde_json::from_str(r#""a\ud83d b""#).unwrap();
        assert!(text.0.starts_with('a') && text.0.ends_with(" b"), "{text:?}");
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let maybe: Maybe<Text<'_>> = serde_json::from_str("[5]").unwrap();
        assert_eq!(maybe.0, None);
    }
}
