//! Cross-origin requests. See <https://fetch.spec.whatwg.org/#http-cors-protocol>.

use crate::{Endpoint, reply};
use gateway_core::{ErrorKind, GatewayError, Result};
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Uri,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
    },
};

/// The allowed origins.
#[derive(Clone, Debug, Default)]
pub enum Cors {
    /// No origin is allowed.
    #[default]
    Closed,
    /// Every origin is allowed.
    Any,
    /// Every origin is allowed by default; endpoints that act for the user allow only loopback
    /// origins.
    Unsaid,
    /// Only these origins are allowed.
    Origins(Vec<String>),
}

/// Headers of ours that a page may read.
const EXPOSED: &str = "x-request-id, x-gateway-provider, x-gateway-dropped, x-gateway-attempts, \
                       x-gateway-fallback-from, x-gateway-decision, x-upstream-status, x-cache, \
                       age, \
                       x-gateway-history-dropped, x-gateway-not-stored, x-gateway-taxonomy, x-upstream-request-id, \
                       etag, idempotent-replayed, retry-after";

impl Cors {
    /// Answers a browser that asks whether it may send a request to `endpoint`.
    pub(crate) fn preflight(
        &self,
        endpoint: Endpoint<'_>,
        asked: &HeaderMap,
    ) -> Response<reply::Body> {
        let mut reply = reply::empty(StatusCode::NO_CONTENT);
        let headers = reply.headers_mut();
        let methods = endpoint.methods().iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        if let Ok(methods) = HeaderValue::from_str(&methods) {
            headers.insert(http::header::ALLOW, methods.clone());
            if self.admits(asked).is_some() {
                headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
        }
        if self.admits(asked).is_some() {
            if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
        reply
    }

    /// Adds to a reply what lets the page that asked read it.
    pub(crate) fn admit(&self, asked: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let Some(origin) = asked.filter(|origin| self.allows(origin)) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.append(VARY, HeaderValue::from_static("origin"));
    }

    /// Whether a request may be what it seems to be: a page that makes its name lead to this machine
    /// can ask like a program that runs here, but browsers say where it came from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if it comes from a page that may not call.
    pub(crate) fn check(&self, asked: &HeaderMap) -> Result<()> {
        let is_known = |origin: &HeaderValue| match self {
            Self::Unsaid => is_local(origin),
            Self::Closed | Self::Any | Self::Origins(_) => self.allows(origin),
        };
        if asked.get_all(ORIGIN).iter().all(is_known) {
            return Ok(());
        }
        let message = "web pages of this origin may not call; see server.cors_origins";
        Err(GatewayError::new(ErrorKind::Forbidden, message).with_code("origin_not_allowed"))
    }

    fn admits<'a>(&self, asked: &'a HeaderMap) -> Option<&'a HeaderValue> {
        asked.get(ORIGIN).filter(|origin| self.allows(origin))
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Closed => false,
            Self::Any | Self::Unsaid => true,
            Self::Origins(origins) => origins.iter().any(|it| it.as_bytes() == origin.as_bytes()),
        }
    }
}

/// Whether it is the origin of a page that this machine serves.
fn is_local(origin: &HeaderValue) -> bool {
    let Ok(uri) = Uri::try_from(origin.as_bytes()) else { return false };
    // The origin of no page has a path; a URI without one is read as if it had.
    let is_web = matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/";
    is_web && matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cors: &Cors, origin: &str, expected: bool) {
        let headers = HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
        assert_eq!(cors.check(&headers).is_ok(), expected, "{origin}");
    }

    #[test]
    fn default_origins_allow_only_loopback() {
        let unsaid = Cors::Unsaid;
        for origin in ["http://localhost:6274", "https://127.0.0.1", "http://[::1]:80"] {
            check(&unsaid, origin, true);
        }
        for origin in [
            "http://localhost.example",
            "http://example:80",
            "http://localhost@example",
            "ftp://localhost",
            "localhost",
            "null",
            "",
        ] {
            check(&unsaid, origin, false);
        }
        assert!(unsaid.check(&HeaderMap::new()).is_ok(), "programs have no origin");
    }

    #[test]
    fn configured_origins_apply() {
        let origins = Cors::Origins(vec!["https://a".to_owned()]);
        check(&origins, "https://a", true);
        check(&origins, "http://localhost", false);
        check(&Cors::Any, "https://b", true);
        check(&Cors::Any, "null", true);
        check(&Cors::Closed, "http://localhost", false);
        let mut two = HeaderMap::from_iter([(ORIGIN, "https://a".parse().unwrap())]);
        two.append(ORIGIN, "https://b".parse().unwrap());
        assert!(origins.check(&two).is_err(), "both count");
    }
}
