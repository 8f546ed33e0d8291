//! The idempotency key of a request, and the fingerprint of its content.

use crate::{Endpoint, endpoint::Kind, names};
use gateway_core::{ErrorKind, GatewayError, Result, state::Fingerprint};
use gateway_sessions::idempotency::IdempotencyToken;
use http::{HeaderMap, Method, request::Parts};
use sha2::{Digest as _, Sha256};

/// Maximum length of an idempotency key, in characters.
const MAX_NAME: usize = 255;

/// Prefixes of the headers that are part of a request's fingerprint.
const MATTERS: [&str; 3] = [names::ANTHROPIC_PREFIX, names::GATEWAY_PREFIX, names::SESSION_PREFIX];

/// Whether a request has an idempotency key, and is of a kind that uses it.
pub(crate) fn is_asked(endpoint: Endpoint<'_>, method: &Method, headers: &HeaderMap) -> bool {
    headers.contains_key(names::IDEMPOTENCY_KEY) && *method == Method::POST && has_effects(endpoint)
}

/// Whether a second `POST` would cost, or leave something behind.
fn has_effects(endpoint: Endpoint<'_>) -> bool {
    endpoint.kind() == Kind::Model
        || matches!(
            endpoint,
            Endpoint::Embeddings
                | Endpoint::Sessions
                | Endpoint::SessionFork(_)
                | Endpoint::Conversations
                | Endpoint::ConversationItems(_)
        )
}

/// Returns the idempotency key of a request.
///
/// # Errors
///
/// If the key is invalid, or if there are two.
pub(super) fn name(headers: &HeaderMap) -> Result<&str> {
    let mut names = headers.get_all(names::IDEMPOTENCY_KEY).iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err(invalid("Idempotency-Key must be sent once"));
    };
    // `to_str` takes visible ASCII, spaces and tabs.
    match name.to_str() {
        Ok(name)
            if (1..=MAX_NAME).contains(&name.len())
                && name.bytes().all(|it| it.is_ascii_graphic()) =>
        {
            Ok(name)
        }
        _ => Err(invalid("Idempotency-Key must be 1 to 255 visible ASCII characters")),
    }
}

/// The mark that came with a request, if it is to be done once.
pub(crate) fn mark(head: &Parts) -> Option<&IdempotencyToken> {
    head.extensions.get()
}

/// Returns the fingerprint of a request: path, content, and relevant headers.
pub(super) fn fingerprint(head: &Parts, body: &[u8]) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    add(head.uri.path_and_query().map_or("", |it| it.as_str()).as_bytes());
    let mut headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| MATTERS.iter().any(|start| name.starts_with(start)))
        .collect();
    headers.sort_unstable();
    for (name, value) in headers {
        add(name.as_bytes());
        add(value);
    }
    add(body);
    hash.finalize().into()
}

fn invalid(message: &'static str) -> GatewayError {
    GatewayError::new(ErrorKind::InvalidRequest, message).with_code("invalid_idempotency_key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(path: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::post(path);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[track_caller]
    fn check_name(names: &[&str], is_one: bool) {
        let headers: Vec<_> = names.iter().map(|name| ("idempotency-key", *name)).collect();
        let head = head("/", &headers);
        let name = name(&head.headers);
        assert_eq!(name.ok(), names.first().copied().filter(|_| is_one), "{names:?}");
    }

    #[test]
    fn idempotency_key_is_short_and_visible() {
        check_name(&["a"], true);
        check_name(&["\"6c7f-1\""], true);
        check_name(&[&"x".repeat(255)], true);
        check_name(&[&"x".repeat(256)], false);
        check_name(&[""], false);
        check_name(&["a b"], false);
        check_name(&["a", "a"], false);
    }

    /// Whether two requests, each a path, headers and a body, are the same one.
    #[track_caller]
    fn check(one: (&str, &[(&str, &str)], &str), other: (&str, &[(&str, &str)], &str), same: bool) {
        let print = |(path, headers, body): (&str, &[(&str, &str)], &str)| {
            fingerprint(&head(path, headers), body.as_bytes())
        };
        assert_eq!(print(one) == print(other), same);
    }

    #[test]
    fn equivalent_requests_have_equal_fingerprints() {
        let (a, b) = (("x-gateway-tools", "a"), ("x-session-id", "b"));
        check(("/p", &[a, b], "{}"), ("/p", &[b, a], "{}"), true);
        check(("/p", &[], "{}"), ("/p", &[("user-agent", "other")], "{}"), true);
    }

    #[test]
    fn different_requests_have_different_fingerprints() {
        check(("/p", &[], "{}"), ("/p", &[], "{ }"), false);
        check(("/p", &[], "{}"), ("/q", &[], "{}"), false);
        check(("/p", &[], "{}"), ("/p?x=1", &[], "{}"), false);
        check(("/p", &[], "{}"), ("/p", &[("x-session-id", "s")], "{}"), false);
        check(("/p", &[("x-session-id", "s")], "t"), ("/p", &[("x-session-id", "")], "st"), false);
    }
}
