//! Error bodies of platform services.

use serde::Deserialize;
use serde_json::Value;

/// More than a model needs to know.
const MAX_REASON: usize = 500;

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(alias = "error", alias = "message")]
    detail: Value,
}

/// Returns the `fields` that the service reports as unknown.
///
/// Lists, as `FastAPI` writes them, name the place of each error: a place *inside* a field means
/// that the field is known and its content wrong, which is for the caller to hear.
pub(crate) fn unknown_fields<'a>(body: &[u8], fields: &'a [String]) -> Vec<&'a str> {
    let Ok(ErrorBody { detail }) = serde_json::from_slice(body) else { return Vec::new() };
    let named = |field: &&str| match detail.as_array() {
        Some(errors) => errors.iter().any(|error| {
            let place = error.get("loc").and_then(Value::as_array);
            place.and_then(|place| place.last()).and_then(Value::as_str) == Some(field)
        }),
        None => words(&detail.to_string()).any(|word| word == *field),
    };
    fields.iter().map(String::as_str).filter(named).collect()
}

/// Why the service refuses, in its own words, if it says so in JSON.
pub(crate) fn reason(body: &[u8]) -> Option<String> {
    let ErrorBody { detail } = serde_json::from_slice(body).ok()?;
    if detail.is_null() {
        return None;
    }
    let text = detail.as_str().map_or_else(|| detail.to_string(), str::to_owned);
    let text: String = text.chars().filter(|char| !char.is_control()).take(MAX_REASON).collect();
    (!text.is_empty()).then_some(text)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !(char.is_alphanumeric() || char == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[&str]) {
        let fields = ["taxonomy".to_owned(), "tier_filter".to_owned()];
        assert_eq!(unknown_fields(body.as_bytes(), &fields), expected, "{body}");
    }

    #[test]
    fn error_list_names_innermost_field() {
        check(
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","taxonomy"],"msg":"no"}]}"#,
            &["taxonomy"],
        );
        check(
            r#"{"detail":[{"loc":["body","tier_filter"]},{"loc":["body","taxonomy"]}]}"#,
            &["taxonomy", "tier_filter"],
        );
    }

    #[test]
    fn invalid_field_is_identified() {
        check(r#"{"detail":[{"loc":["body","tier_filter",0],"msg":"at most 3"}]}"#, &[]);
    }

    #[test]
    fn plain_text_errors_are_used() {
        check(r#"{"detail":"unknown field: taxonomy"}"#, &["taxonomy"]);
        check(r#"{"error":{"message":"'tier_filter' is not allowed"}}"#, &["tier_filter"]);
        check(r#"{"detail":"taxonomy_id is unknown"}"#, &[]);
        check("<html>taxonomy</html>", &[]);
    }

    #[test]
    fn error_reasons_are_truncated_and_sanitized() {
        let say = |body: &str| reason(body.as_bytes());
        assert_eq!(say(r#"{"detail":"a\u0007b"}"#).as_deref(), Some("ab"));
        assert_eq!(say(r#"{"detail":{"error":"x"}}"#).as_deref(), Some(r#"{"error":"x"}"#));
        assert_eq!(say("oops"), None);
        assert_eq!(say(r#"{"detail":null}"#), None);
        let long = format!(r#"{{"detail":"{}"}}"#, "x".repeat(5000));
        assert_eq!(say(&long).unwrap().len(), MAX_REASON);
    }
}
