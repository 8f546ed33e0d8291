//! The path of a request to a provider: only such as name a place below its base URL, to every program
//! that reads them.

use gateway_core::{ErrorKind, GatewayError, Result};
use percent_encoding::percent_decode_str;

/// Parameters of a query that hold a credential: the caller's is not for the provider.
const CREDENTIALS: [&str; 6] = ["key", "api_key", "api-key", "access_token", "token", "sig"];

/// Divides the part of a path behind the endpoint into the provider, and the path below its base URL
/// with the `query`.
///
/// # Errors
///
/// If the path could lead elsewhere.
pub(super) fn parse(rest: &str, query: Option<&str>) -> Result<(String, String)> {
    let (provider, path) = rest.split_once('/').unwrap_or((rest, ""));
    if provider.is_empty() || !provider.bytes().all(is_name) {
        return Err(malformed("the path must name a provider"));
    }
    if !path.split('/').all(is_segment) {
        return Err(malformed("the path below the provider is malformed"));
    }
    let query = without_credentials(query.unwrap_or_default())?;
    let mark = if query.is_empty() { "" } else { "?" };
    Ok((provider.to_owned(), format!("/{path}{mark}{query}")))
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// The `query` without the parameters that hold a credential.
fn without_credentials(query: &str) -> Result<String> {
    let mut kept = Vec::new();
    for parameter in query.split('&') {
        let name = parameter.split('=').next().unwrap_or_default();
        let decoded = percent_decode_str(name).decode_utf8_lossy();
        // A plain name in an encoding would get past whatever compares names.
        if *decoded != *name && decoded.bytes().all(is_name) {
            return Err(malformed("the name of a parameter in the query is encoded needlessly"));
        }
        if !CREDENTIALS.iter().any(|it| it.eq_ignore_ascii_case(name)) {
            kept.push(parameter);
        }
    }
    Ok(kept.join("&"))
}

/// Whether `segment` is one to every reader: no dots alone, no slash in an encoding, nothing empty, and
/// nothing encoded twice.
fn is_segment(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}#?".contains(&byte);
    if segment.is_empty() || !segment.bytes().all(is_plain) {
        return false;
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else { return false };
        let Ok(byte) = u8::try_from(high * 16 + low) else { return false };
        if byte < b' ' || byte == 0x7f || b"/\\%;".contains(&byte) {
            return false;
        }
        decoded.push(byte);
    }
    !matches!(decoded.as_slice(), b"." | b"..")
}

fn malformed(message: &'static str) -> GatewayError {
    GatewayError::new(ErrorKind::InvalidRequest, message).with_code("invalid_path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rest: &str, query: Option<&str>, expected: Option<(&str, &str)>) {
        let parsed = parse(rest, query).ok();
        let parsed = parsed.as_ref().map(|(provider, path)| (&**provider, &**path));
        assert_eq!(parsed, expected, "{rest}");
    }

    #[test]
    fn path_is_divided_into_provider_and_path() {
        check("openai/files", None, Some(("openai", "/files")));
        check("lab/v1/a%20b/c:d", Some("limit=2"), Some(("lab", "/v1/a%20b/c:d?limit=2")));
        check("lab/a", Some("key=secret&x=1&API_KEY=y"), Some(("lab", "/a?x=1")));
        check("lab/a", Some("key=secret"), Some(("lab", "/a")));
        check("lab/a", Some("a%5B%5D=1&b=%6b"), Some(("lab", "/a?a%5B%5D=1&b=%6b")));
        check("lab/a", Some("%6bey=secret"), None);
        check("lab/a", Some("x=1&api%2Dversion=2"), None);
    }

    #[test]
    fn path_that_could_lead_elsewhere_is_refused() {
        for rest in [
            "",
            "/files",
            "open%61i/files",
            "o@h/files",
            "openai",
            "openai/",
            "openai//files",
            "openai/../admin",
            "openai/a/..",
            "openai/./a",
            "openai/%2e%2e/a",
            "openai/.%2E/a",
            "openai/a%2fb",
            "openai/a%2Fb",
            "openai/a%5cb",
            "openai/a\\b",
            "openai/%252e%252e/a",
            "openai/a%00",
            "openai/a%0d%0ab",
            "openai/a%2",
            "openai/a%zz",
            "openai/a%3bb",
            "openai/a\tb",
            "openai/a#b",
            "openai/files/",
        ] {
            check(rest, None, None);
        }
    }
}
