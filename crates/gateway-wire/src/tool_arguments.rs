//! Tool arguments, results and messages that pass through as their author wrote them.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::{borrow::Cow, collections::BTreeMap};

/// `text` as it stands, if it is a JSON object.
pub(crate) fn as_object(text: &str) -> Option<&RawValue> {
    as_json(text, "{")
}

/// `text` as it stands, if it is a JSON array.
pub(crate) fn as_array(text: &str) -> Option<&RawValue> {
    as_json(text, "[")
}

fn as_json<'a>(text: &'a str, opening: &str) -> Option<&'a RawValue> {
    text.trim_start().starts_with(opening).then(|| serde_json::from_str(text).ok()).flatten()
}

/// An object whose only member is `name`.
pub(crate) fn wrapped(name: &str, value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(&BTreeMap::from([(name, value)])).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The arguments of a call, for dialects in which they are an object and not text.
///
/// Text that is no object, which a model may have written or a limit may have cut, becomes the
/// only member of one, called [`INVALID_JSON_KEY`].
pub(crate) fn arguments(text: &str, is_custom: bool) -> Cow<'_, RawValue> {
    if is_custom {
        return Cow::Owned(wrapped("input", &text));
    }
    let text = if matches!(text.trim(), "" | "null") { "{}" } else { text };
    as_object(text).map_or_else(|| Cow::Owned(wrapped(INVALID_JSON_KEY, &text)), Cow::Borrowed)
}

/// The name under which arguments stand that are no JSON object.
pub(crate) const INVALID_JSON_KEY: &str = "__invalid_json__";

/// The arguments as the model wrote them, from an object made by [`arguments`].
pub(crate) fn original_arguments(object: &str) -> Cow<'_, str> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct InvalidArgumentsWire {
        #[serde(rename = "__invalid_json__")]
        text: String,
    }
    match object
        .contains(INVALID_JSON_KEY)
        .then(|| serde_json::from_str::<InvalidArgumentsWire>(object))
    {
        Some(Ok(cut)) => Cow::Owned(cut.text),
        Some(Err(_)) | None => Cow::Borrowed(object),
    }
}

/// A sentence that is not JSON; pages for browsers are not for callers.
pub(crate) fn sentence(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    (!text.is_empty() && !text.starts_with('<')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_arguments(text: &str, is_custom: bool, expected: &str) {
        assert_eq!(arguments(text, is_custom).get(), expected);
    }

    #[test]
    fn valid_object_is_unchanged() {
        check_arguments(r#"{"b": 5.0, "a": 5}"#, false, r#"{"b": 5.0, "a": 5}"#);
        check_arguments(r#"{"a":18446744073709551616}"#, false, r#"{"a":18446744073709551616}"#);
        check_arguments(r#"{"a":"\ud83d"}"#, false, r#"{"a":"\ud83d"}"#);
    }

    #[test]
    fn non_object_is_wrapped() {
        check_arguments(" ", false, "{}");
        check_arguments("null", false, "{}");
        check_arguments(r#"{"a":"#, false, r#"{"__invalid_json__":"{\"a\":"}"#);
        check_arguments("[1]", false, r#"{"__invalid_json__":"[1]"}"#);
        check_arguments("SELECT 1", true, r#"{"input":"SELECT 1"}"#);
        check_arguments("{}", true, r#"{"input":"{}"}"#);
    }

    #[test]
    fn truncated_arguments_round_trip() {
        for text in [r#"{"a":"#, "[1]", r#"{"a":1.0}"#, "{}"] {
            assert_eq!(original_arguments(arguments(text, false).get()), text);
        }
    }
}
