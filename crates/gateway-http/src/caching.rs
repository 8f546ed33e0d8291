//! Whether the answer to a request may be remembered, as far as its headers say.

use crate::names;
use gateway_core::Caching;
use http::{HeaderMap, header::CACHE_CONTROL};

/// What `headers` say of it. `x-gateway-cache: true` says that the request can be repeated,
/// `x-gateway-cache: false` that its answer is not to be remembered.
pub(crate) fn of(headers: &HeaderMap, has_session: bool) -> Caching {
    let mut anew = false;
    for value in headers.get_all(CACHE_CONTROL) {
        let words = value.to_str().unwrap_or_default().split(',').map(str::trim);
        for word in words {
            if word.eq_ignore_ascii_case("no-store") {
                return Caching::Bypass("no_store");
            }
            anew |= word.eq_ignore_ascii_case("no-cache");
        }
    }
    let said = headers.get(names::CACHE).map(|value| value.as_bytes().to_ascii_lowercase());
    match said.as_deref() {
        Some(b"false" | b"off") => Caching::Bypass("refused"),
        _ if has_session || headers.contains_key(names::SESSION_ID) => Caching::Bypass("session"),
        said => Caching::Allowed { wanted: matches!(said, Some(b"true" | b"on")), anew },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], session: bool, expected: Caching) {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
        });
        assert_eq!(of(&headers.collect(), session), expected);
    }

    #[test]
    fn the_caller_decides() {
        let allowed = |wanted, anew| Caching::Allowed { wanted, anew };
        check(&[], false, allowed(false, false));
        check(&[("x-gateway-cache", "True")], false, allowed(true, false));
        check(&[("cache-control", "max-age=0, No-Cache")], false, allowed(false, true));
        check(&[("x-gateway-cache", "off")], false, Caching::Bypass("refused"));
        check(&[("cache-control", "no-store")], false, Caching::Bypass("no_store"));
        let both = [("x-gateway-cache", "true"), ("cache-control", "no-store")];
        check(&both, false, Caching::Bypass("no_store"));
    }

    #[test]
    fn a_session_is_never_remembered() {
        check(&[("x-gateway-cache", "true")], true, Caching::Bypass("session"));
        check(&[("x-session-id", "a")], false, Caching::Bypass("session"));
    }
}
