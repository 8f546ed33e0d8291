//! The destination of requests: scheme, host and port.

use http::{Uri, uri::Scheme};

/// A scheme, a host and a port.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Origin {
    pub(super) is_secure: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// The origin of `uri`, if it is one of HTTP.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let is_secure = match uri.scheme()? {
            scheme if *scheme == Scheme::HTTPS => true,
            scheme if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        let host = uri.host()?;
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        (!host.is_empty()).then(|| Self { is_secure, host: host.to_ascii_lowercase(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, expected: Option<(bool, &str, u16)>) {
        let origin = Origin::of(&uri.parse().unwrap());
        let expected =
            expected.map(|(is_secure, host, port)| Origin { is_secure, host: host.into(), port });
        assert_eq!(origin, expected, "{uri}");
    }

    #[test]
    fn origin_has_the_usual_port_of_its_scheme() {
        check("https://API.example/v1", Some((true, "api.example", 443)));
        check("http://h:8080/", Some((false, "h", 8080)));
        check("http://[::1]/", Some((false, "::1", 80)));
        check("ftp://h/", None);
        check("/v1", None);
    }
}
