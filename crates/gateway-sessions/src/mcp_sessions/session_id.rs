//! The id of a session, which carries what its client has declared.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gateway_core::{Json, JsonObject};
use uuid::Uuid;

/// The beginning of every id.
const PREFIX: &str = "mcp-";
/// The capabilities that servers use by requests to the client.
const CAPABILITIES: [&str; 3] = ["sampling", "elicitation", "roots"];
/// The longest capabilities that are carried in full, in bytes.
const MAX_CAPABILITIES: usize = 512;
/// The longest id, in bytes.
const MAX_ID: usize = 1024;

/// The id of a session.
#[derive(Clone, Debug)]
pub struct McpSessionId {
    /// The id.
    pub text: String,
    /// The capabilities of the client, as far as servers use them by requests to it.
    pub capabilities: JsonObject,
}

impl McpSessionId {
    /// Creates the id of a new session of a client with `capabilities`.
    pub fn create(mut capabilities: JsonObject) -> Self {
        capabilities
            .retain(|name, value| CAPABILITIES.contains(&&**name) && value.get().starts_with('{'));
        if Json::of(&capabilities).get().len() > MAX_CAPABILITIES {
            let none = Json::of(&serde_json::Map::new());
            for value in capabilities.values_mut() {
                *value = none.clone();
            }
        }
        let declared = BASE64_URL_SAFE_NO_PAD.encode(Json::of(&capabilities).get());
        Self { text: format!("{PREFIX}{}.{declared}", Uuid::new_v4().simple()), capabilities }
    }

    /// Reads an id; `None` if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let text = Some(text).filter(|text| text.len() <= MAX_ID)?;
        let (unique, declared) = text.strip_prefix(PREFIX)?.split_once('.')?;
        Uuid::try_parse(unique).ok()?;
        let declared = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(declared).ok()?).ok()?;
        let mut capabilities: JsonObject = serde_json::from_str(&declared).ok()?;
        capabilities
            .retain(|name, value| CAPABILITIES.contains(&&**name) && value.get().starts_with('{'));
        Some(Self { text: text.to_owned(), capabilities })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(declared: &str, expected: &str) {
        let created = McpSessionId::create(serde_json::from_str(declared).unwrap());
        let read = McpSessionId::parse(&created.text).unwrap();
        assert_eq!(Json::of(&read.capabilities).get(), expected);
        assert_eq!(created.capabilities, read.capabilities);
        assert!(created.text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", created.text);
    }

    #[test]
    fn session_id_carries_capabilities() {
        check("{}", "{}");
        check(
            r#"{"elicitation":{"form":{}},"experimental":{"x":1},"roots":1,"sampling":{"tools":{}}}"#,
            r#"{"elicitation":{"form":{}},"sampling":{"tools":{}}}"#,
        );
        let long = format!(r#"{{"sampling":{{"x":"{}"}}}}"#, "x".repeat(1000));
        check(&long, r#"{"sampling":{}}"#);
    }

    #[test]
    fn ids_of_other_forms_are_not_read() {
        for text in ["", "abc", "mcp-abc.e30", "mcp-", &"x".repeat(2000)] {
            assert!(McpSessionId::parse(text).is_none(), "{text}");
        }
    }
}
