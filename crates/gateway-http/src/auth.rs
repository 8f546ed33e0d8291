//! The API key of a request, and its client.

use crate::names;
use gateway_core::{ErrorKind, GatewayError, Result};
use gateway_limits::{Access, Client, VirtualKeys};
use http::{HeaderMap, header::AUTHORIZATION};
use std::sync::Arc;

/// Returns the client of a request with these headers: a configured key of `access`, or a virtual
/// one.
///
/// # Errors
///
/// As [`Access::identify`] says; [`ErrorKind::InvalidRequest`] if two different keys are sent.
pub(crate) fn identify(
    access: &Access,
    headers: &HeaderMap,
    issued: &VirtualKeys,
) -> Result<Arc<Client>> {
    let key = if let Access::Keys(_) = access { key(headers)? } else { None };
    access.identify(key, issued)
}

/// The key among `headers`: a bearer token, `x-api-key` as Anthropic's clients send it, or
/// `x-goog-api-key` as Google's do.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&[u8]>> {
    let mut found: Option<&[u8]> = None;
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| token(value.as_bytes()));
    let keys = headers.get_all(names::API_KEY).iter();
    let keys = keys.chain(headers.get_all(names::GOOGLE_API_KEY));
    let keys = keys.map(|value| value.as_bytes().trim_ascii());
    for key in bearers.chain(keys).filter(|key| !key.is_empty()) {
        if found.is_some_and(|found| found != key) {
            return Err(GatewayError::new(
                ErrorKind::InvalidRequest,
                "two different API keys were sent",
            ));
        }
        found = Some(key);
    }
    Ok(found)
}

/// The token of a bearer credential; empty for other schemes.
fn token(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::state::KeyHash;
    use sha2::{Digest as _, Sha256};
    use std::collections::HashMap;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: &str) {
        let hash = KeyHash::new(Sha256::digest("sk-good").into());
        let access = Access::Keys(HashMap::from([(hash, Arc::new(Client::new("app", "t")))]));
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let told = match identify(&access, &headers, &VirtualKeys::default()) {
            Ok(client) => client.name.to_string(),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(told, expected, "{headers:?}");
    }

    #[test]
    fn key_is_read_from_either_header() {
        check(&[("authorization", "Bearer sk-good")], "app");
        check(&[("authorization", "bearer  sk-good ")], "app");
        check(&[("x-api-key", "sk-good")], "app");
        check(&[("x-goog-api-key", "sk-good")], "app");
        check(&[("authorization", "Bearer sk-good"), ("x-api-key", "sk-good")], "app");
    }

    #[test]
    fn anything_else_is_refused() {
        check(&[], "invalid_api_key");
        for value in ["", "Bearer", "Bearer ", "Bearer sk-goo", "Basic sk-good", "sk-good"] {
            check(&[("authorization", value)], "invalid_api_key");
        }
        let two = [("authorization", "Bearer sk-good"), ("x-api-key", "sk-other")];
        check(&two, "invalid_request");
        check(&[("x-api-key", "sk-good"), ("x-goog-api-key", "sk-other")], "invalid_request");
    }
}
