//! The gate before every endpoint: what a browser sends on behalf of a page is served only if the
//! page may call.
//!
//! ```text
//!   Origin  the gateway's own, or one of `server.cors_origins`      against other pages
//!   Host    a loopback name, an address, or one of `allowed_hosts`  against DNS rebinding
//! ```
//!
//! Programs send no `Origin`, and name the host that they were given.

use crate::{cors::Cors, names};
use gateway_core::{ErrorKind, GatewayError, Result};
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{HOST, ORIGIN},
};
use std::net::IpAddr;

/// Decides which requests are served, by the page that they come from and the host that they name.
#[derive(Clone, Debug, Default)]
pub struct BrowserGate {
    /// The pages of other origins that may call.
    pub cors: Cors,
    /// The hosts that requests may name.
    pub hosts: HostRule,
}

/// The hosts that requests may name.
#[derive(Clone, Debug, Default)]
pub enum HostRule {
    /// Every host.
    #[default]
    Any,
    /// Loopback names, IP addresses, and these names, in lower case.
    Names(Vec<String>),
}

impl BrowserGate {
    /// The gate that admits pages of `origins`, of which `*` is any. The names of hosts are checked
    /// if there are any, of which `*` is every one, or if `is_open`: without them nothing keeps a
    /// page from calling by a name of its own.
    pub fn new(origins: Vec<String>, hosts: &[String], is_open: bool) -> Self {
        let cors = match &*origins {
            [] => Cors::Closed,
            some if some.iter().any(|it| it == "*") => Cors::Any,
            _ => Cors::Origins(origins),
        };
        let is_any = hosts.iter().any(|it| it == "*") || (hosts.is_empty() && !is_open);
        let names = || hosts.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { cors, hosts: if is_any { HostRule::Any } else { HostRule::Names(names()) } }
    }

    /// Checks where `request` comes from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if it comes from a page that may not call, or names a host that the
    /// gateway does not answer for.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<()> {
        let host = named_host(request);
        if !self.hosts.admits(host) {
            let message = "requests to this host are not answered; see server.allowed_hosts";
            return Err(forbidden(message, "host_not_allowed"));
        }
        let headers = request.headers();
        let is_admitted =
            |origin: &HeaderValue| is_same_origin(origin, host) || self.cors.allows(origin);
        let mut origins = headers.get_all(ORIGIN).iter().peekable();
        let is_page = origins.peek().is_some();
        if !origins.all(is_admitted) || (!is_page && is_cross_site_write(request)) {
            let message = "web pages of this origin may not call; see server.cors_origins";
            return Err(forbidden(message, "origin_not_allowed"));
        }
        Ok(())
    }
}

impl HostRule {
    fn admits(&self, host: Option<&str>) -> bool {
        let Self::Names(names) = self else { return true };
        // Browsers always name a host.
        let Some(name) = host.map(without_port) else { return true };
        let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let name = name.trim_end_matches('.');
        is_address.is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || is_below_localhost(name)
            || names.iter().any(|it| it.eq_ignore_ascii_case(name))
    }
}

/// The host that a request names, with its port.
fn named_host<B>(request: &Request<B>) -> Option<&str> {
    let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
}

/// Whether a name is one below `localhost`.
fn is_below_localhost(name: &str) -> bool {
    let end = name.rsplit_once('.').map(|(_, end)| end);
    end.is_some_and(|end| end.eq_ignore_ascii_case("localhost"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Whether `origin` is that of a page which the gateway serves itself. Its scheme is not known
/// behind a proxy that ends TLS, and says nothing about who wrote the page.
fn is_same_origin(origin: &HeaderValue, host: Option<&str>) -> bool {
    let (Ok(origin), Some(host)) = (origin.to_str(), host) else { return false };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let usual_port = if origin.starts_with("https://") { ":443" } else { ":80" };
    let host = host.strip_suffix(usual_port).unwrap_or(host);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// Whether a browser says that another site's page makes it change something.
fn is_cross_site_write<B>(request: &Request<B>) -> bool {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    !is_read && is_cross_site(request.headers())
}

/// Whether a browser says that the request comes from another site's page.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get(names::FETCH_SITE).map(HeaderValue::as_bytes);
    matches!(site, Some(b"cross-site" | b"same-site"))
}

fn forbidden(message: &'static str, code: &'static str) -> GatewayError {
    GatewayError::new(ErrorKind::Forbidden, message).with_code(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a request with these headers, at a gateway that answers `gw.example` and
    /// admits pages of `https://a`.
    #[track_caller]
    fn check(method: &str, headers: &[(&str, &str)], expected: &str) {
        let gate = BrowserGate {
            cors: Cors::Origins(vec!["https://a".to_owned()]),
            hosts: HostRule::Names(vec!["gw.example".to_owned()]),
        };
        let mut request = Request::builder().method(method).uri("/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let checked = gate.check(&request.body(()).unwrap());
        let code = checked.map_or_else(|error| error.code().to_owned(), |()| "ok".to_owned());
        assert_eq!(code, expected, "{method} {headers:?}");
    }

    #[test]
    fn programs_are_served() {
        check("POST", &[("host", "localhost:8080")], "ok");
        check("POST", &[], "ok");
    }

    #[test]
    fn only_known_hosts_are_answered() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "localhost.",
            "app.localhost:1",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "[::1]",
            "10.1.2.3:80",
            "gw.example:8080",
            "GW.example",
        ] {
            check("GET", &[("host", host)], "ok");
        }
        for host in ["evil.example", "localhost.evil.example", "evillocalhost", "gw.example.evil"] {
            check("GET", &[("host", host)], "host_not_allowed");
        }
    }

    #[test]
    fn only_own_and_listed_pages_are_served() {
        let host = ("host", "localhost:8080");
        for origin in ["http://localhost:8080", "https://localhost:8080", "https://a"] {
            check("POST", &[host, ("origin", origin)], "ok");
        }
        for origin in [
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:8080",
            "null",
            "",
            "http://evil.example",
            "https://a.evil",
            "http://a",
            "localhost:8080",
            "file://localhost:8080",
            "http://localhost:8080/",
        ] {
            check("POST", &[host, ("origin", origin)], "origin_not_allowed");
            check("GET", &[host, ("origin", origin)], "origin_not_allowed");
        }
        check("GET", &[("host", "localhost:80"), ("origin", "http://localhost")], "ok");
        let two = [host, ("origin", "https://a"), ("origin", "https://b")];
        check("GET", &two, "origin_not_allowed");
    }

    #[test]
    fn cross_site_write_without_origin_is_refused() {
        let site = |site| [("host", "localhost"), ("sec-fetch-site", site)];
        check("POST", &site("cross-site"), "origin_not_allowed");
        check("DELETE", &site("same-site"), "origin_not_allowed");
        check("POST", &site("same-origin"), "ok");
        check("GET", &site("cross-site"), "ok");
    }
}
