//! The ids of sessions.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{ErrorKind, GatewayError, Result};
use std::fmt;

/// The length of generated ids, in characters.
const OWN_LENGTH: usize = 22;

/// The name of a session: not to be guessed, and harmless wherever it is written.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SessionId(String);

impl SessionId {
    /// A new name: 128 random bits, in 22 characters.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            GatewayError::new(ErrorKind::Internal, "no random numbers")
                .with_source(error.to_string())
        })?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads a name: 22 to 64 letters, digits, `-` or `_`. Any other names no session.
    pub fn parse(text: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (22..=64).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(not_found(text))
    }

    /// Whether `text` has the form of the names that [`random`](Self::random) gives out:
    /// applications and agents have session names of their own, which mean nothing here.
    pub fn has_own_form(text: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        text.len() == OWN_LENGTH && text.bytes().all(plain)
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the error for a session that does not exist, or belongs to another tenant.
pub(crate) fn not_found(id: &str) -> GatewayError {
    // What is repeated to the caller must not be longer than a name.
    let id: String = id.chars().take(64).filter(|c| !c.is_control()).collect();
    GatewayError::new(ErrorKind::NotFound, format!("Session not found: {id}"))
        .with_code("session_not_found")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn session_ids_are_random_and_parse() {
        let names: HashSet<_> = (0..1_000).map(|_| SessionId::random().unwrap()).collect();
        assert_eq!(names.len(), 1_000);
        for name in names {
            assert!(SessionId::has_own_form(name.as_str()));
            assert_eq!((name.as_str().len(), SessionId::parse(name.as_str()).unwrap()), (22, name));
        }
    }

    #[track_caller]
    fn check(text: &str, accepted: bool) {
        let parsed = SessionId::parse(text);
        assert_eq!(parsed.is_ok(), accepted, "{text}");
        if let Err(error) = parsed {
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
    }

    #[test]
    fn invalid_session_id_is_rejected() {
        check("0123456789012345678901", true);
        check("2f1b8f3e-7c0a-4b7e-9a51-0d9a4c1e2b3d", true);
        check(&"_".repeat(64), true);
        check(&"_".repeat(65), false);
        check("012345678901234567890", false);
        check("", false);
        check("0123456789012345678901/", false);
        check("012345678901234567890\n", false);
        check("éééééééééééééééééééééé", false);
    }
}
