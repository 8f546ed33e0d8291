//! The validation of request heads: ambiguous framing (request smuggling), and sizes.
//!
//! hyper has rejected what cannot be parsed at all; this module checks the rest.

use gateway_core::{ErrorKind, GatewayError, Result};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};

/// Maximum number of headers of a request.
pub const MAX_HEADERS: usize = 100;
/// Maximum size of the headers' names and values together, in bytes.
pub const MAX_HEADER_BYTES: usize = 32 << 10;
/// Maximum size of one header's value, in bytes.
pub const MAX_VALUE_BYTES: usize = 8 << 10;
/// Maximum size of the request URI, in bytes.
pub const MAX_TARGET_BYTES: usize = 8 << 10;

/// Validates a request by its head alone.
///
/// # Errors
///
/// The first violation.
pub fn check<B>(request: &Request<B>) -> Result<()> {
    method(request.method())?;
    target(request.uri())?;
    sizes(request.headers())?;
    host(request)?;
    framing(request.headers())?;
    expectation(request.headers())
}

fn method(method: &Method) -> Result<()> {
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        let message = "CONNECT and TRACE are not supported";
        return Err(GatewayError::new(ErrorKind::MethodNotAllowed, message));
    }
    Ok(())
}

fn target(uri: &Uri) -> Result<()> {
    let length = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    if length + authority > MAX_TARGET_BYTES {
        return Err(GatewayError::new(ErrorKind::UriTooLong, "request URI too long"));
    }
    Ok(())
}

fn sizes(headers: &HeaderMap) -> Result<()> {
    let mut total = 0;
    for (name, value) in headers {
        if value.len() > MAX_VALUE_BYTES {
            let message = format!("the header `{name}` is too large");
            return Err(GatewayError::new(ErrorKind::HeadersTooLarge, message));
        }
        total += name.as_str().len() + value.len();
    }
    if headers.len() > MAX_HEADERS || total > MAX_HEADER_BYTES {
        let message = "too many request headers, or too large";
        return Err(GatewayError::new(ErrorKind::HeadersTooLarge, message));
    }
    Ok(())
}

/// Checks that a request has one host. Routing and access never depend on it, but a proxy on the
/// way may have used a different one.
fn host<B>(request: &Request<B>) -> Result<()> {
    let wrong = |message: &'static str| {
        Err(GatewayError::new(ErrorKind::InvalidRequest, message).with_code("invalid_host"))
    };
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (named, another) = (hosts.next(), hosts.next());
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    match (named, target) {
        _ if another.is_some() => wrong("conflicting hosts in the request"),
        (None, None) if request.version() == Version::HTTP_11 => {
            wrong("the Host header is missing")
        }
        (Some(host), _) if !is_host(host) => wrong("the host is malformed"),
        (Some(host), Some(target)) if !host.as_bytes().eq_ignore_ascii_case(target.as_bytes()) => {
            wrong("conflicting hosts in URI and Host header")
        }
        _ => Ok(()),
    }
}

/// A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port.
fn is_host(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port_fits =
        port.is_none_or(|port| port.is_empty() || (digits(port) && port.parse::<u16>().is_ok()));
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
    let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    };
    host_fits && port_fits
}

/// hyper takes every list that ends in `chunked`, and the header twice.
fn framing(headers: &HeaderMap) -> Result<()> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if plain {
        return Ok(());
    }
    let message = "unsupported transfer encoding: only `chunked` is supported";
    Err(GatewayError::new(ErrorKind::NotImplemented, message))
}

fn expectation(headers: &HeaderMap) -> Result<()> {
    let mut expectations = headers.get_all(header::EXPECT).iter();
    let known = match (expectations.next(), expectations.next()) {
        (None, _) => true,
        (Some(value), None) => value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
        (Some(_), Some(_)) => false,
    };
    if known {
        return Ok(());
    }
    let message = "unsupported expectation: only `100-continue` is supported";
    Err(GatewayError::new(ErrorKind::ExpectationFailed, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `GET /v1/models HTTP/1.1|Host: h`, lines separated by `|`.
    #[track_caller]
    fn check(request: &str, expected: &str) {
        let mut lines = request.split('|');
        let mut words = lines.next().unwrap().split(' ');
        let mut builder =
            Request::builder().method(words.next().unwrap()).uri(words.next().unwrap());
        builder = builder.version(match words.next() {
            Some("HTTP/2") => Version::HTTP_2,
            Some("HTTP/1.0") => Version::HTTP_10,
            _ => Version::HTTP_11,
        });
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            builder = builder.header(name, value);
        }
        let code = super::check(&builder.body(()).unwrap());
        let code = code.map_err(|error| error.code().to_owned());
        let code = code.err().unwrap_or_else(|| "ok".to_owned());
        assert_eq!(code, expected, "{request:.200}");
    }

    #[test]
    fn well_formed_request_passes_hygiene() {
        check("GET /v1/models|Host: h", "ok");
        check("POST /|Host: h:8080|Transfer-Encoding: Chunked|Expect: 100-Continue", "ok");
        check("GET /|Host: [::1]:8080", "ok");
        check("GET /|Host: [::1]", "ok");
        check("GET /|Host: gateway_1.local:", "ok");
        check("GET / HTTP/1.0", "ok");
        check("GET http://h/x|Host: H", "ok");
        check("GET http://h/x HTTP/2", "ok");
        check("GET / HTTP/2", "ok");
    }

    #[test]
    fn request_with_conflicting_hosts_is_refused() {
        check("GET /", "invalid_host");
        check("GET /|Host: a|Host: a", "invalid_host");
        check("GET /|Host: a|Host: b", "invalid_host");
        check("GET http://a/|Host: b", "invalid_host");
        check("GET http://a:1/ HTTP/2|Host: a:2", "invalid_host");
        for host in [
            "", ":80", "a?b", "a#b", "u@a", "a/b", "a\\b", "a b", "a:123456", "a:+1", "a:80:80",
            "[::1", "::1", "[x]", "a]:1", "[::1]x", "é",
        ] {
            check(&format!("GET /|Host: {host}"), "invalid_host");
        }
    }

    #[test]
    fn request_with_conflicting_framing_is_refused() {
        for coding in ["gzip, chunked", "chunked, chunked", "identity", "xchunked", ""] {
            let request = format!("POST /|Host: h|Transfer-Encoding: {coding}");
            check(&request, "unsupported_transfer_encoding");
        }
        let twice = "POST /|Host: h|Transfer-Encoding: chunked|Transfer-Encoding: chunked";
        check(twice, "unsupported_transfer_encoding");
    }

    #[test]
    fn malformed_expectation_is_refused() {
        for expectation in ["y 100-continue", "y", "100-continue, y", ""] {
            check(&format!("POST /|Host: h|Expect: {expectation}"), "expectation_failed");
        }
        check("POST /|Host: h|Expect: 100-continue|Expect: 100-continue", "expectation_failed");
    }

    #[test]
    fn there_are_no_tunnels() {
        check("CONNECT h:443|Host: h:443", "method_not_allowed");
        check("TRACE /|Host: h", "method_not_allowed");
    }

    #[test]
    fn heads_have_limits() {
        let with = |count: usize, value: usize| {
            let headers = (0..count).map(|at| format!("|x-{at}: {}", "v".repeat(value)));
            format!("GET /|Host: h{}", headers.collect::<String>())
        };
        check(&with(99, 10), "ok");
        check(&with(100, 10), "headers_too_large");
        check(&with(1, MAX_VALUE_BYTES), "ok");
        check(&with(1, MAX_VALUE_BYTES + 1), "headers_too_large");
        check(&with(4, MAX_VALUE_BYTES - 8), "ok");
        check(&with(5, MAX_VALUE_BYTES), "headers_too_large");
        check(&format!("GET /{}|Host: h", "x".repeat(MAX_TARGET_BYTES)), "uri_too_long");
        check(&format!("GET /{}|Host: h", "x".repeat(MAX_TARGET_BYTES - 1)), "ok");
    }
}
