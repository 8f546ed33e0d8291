//! Cross-origin resource sharing. See <https://fetch.spec.whatwg.org/#http-cors-protocol>.

use crate::{Endpoint, names, reply};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, AGE, ALLOW, ETAG, LOCATION, ORIGIN,
        RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    },
};

/// The pages of other origins that may call.
#[derive(Clone, Debug, Default)]
pub enum Cors {
    /// None.
    #[default]
    Closed,
    /// Pages of any origin, without credentials of the browser's.
    Any,
    /// Pages of these origins.
    Origins(Vec<String>),
}

/// Headers of replies that a page may read, besides all that begin with `x-`.
const EXPOSED: [HeaderName; 7] =
    [AGE, ALLOW, ETAG, LOCATION, names::MCP_SESSION, RETRY_AFTER, WWW_AUTHENTICATE];

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
        let Ok(methods) = HeaderValue::from_str(&methods) else { return reply };
        headers.insert(ALLOW, methods.clone());
        if !asked.get(ORIGIN).is_some_and(|origin| self.allows(origin)) {
            return reply;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        // See <https://wicg.github.io/private-network-access/>.
        if asked.contains_key("access-control-request-private-network") {
            let name = HeaderName::from_static("access-control-allow-private-network");
            headers.insert(name, HeaderValue::from_static("true"));
        }
        reply
    }

    /// Adds to a reply the headers that let the page that asked read it.
    pub(crate) fn write_headers(&self, asked: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let Some(origin) = asked.filter(|origin| self.allows(origin)) else { return };
        if let Ok(exposed) = HeaderValue::from_str(&exposed(headers)) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if matches!(self, Self::Origins(_)) {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.append(VARY, HeaderValue::from_static("origin"));
    }

    /// Whether pages of `origin` may call.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Closed => false,
            Self::Any => true,
            Self::Origins(origins) => origins.iter().any(|it| it.as_bytes() == origin.as_bytes()),
        }
    }
}

/// The names of the headers of a reply that a page may read.
fn exposed(headers: &HeaderMap) -> String {
    let is_exposed = |name: &&HeaderName| {
        name.as_str().starts_with("x-") || *name == "idempotent-replayed" || EXPOSED.contains(name)
    };
    let names: Vec<_> = headers.keys().filter(is_exposed).map(HeaderName::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cors: &Cors, origin: &str, expected: bool) {
        assert_eq!(cors.allows(&origin.parse().unwrap()), expected, "{origin}");
    }

    #[test]
    fn only_listed_origins_may_call() {
        let origins = Cors::Origins(vec!["https://a".to_owned()]);
        check(&origins, "https://a", true);
        check(&origins, "https://a.b", false);
        check(&origins, "http://localhost", false);
        check(&Cors::Any, "https://b", true);
        check(&Cors::Any, "null", true);
        check(&Cors::Closed, "http://localhost", false);
    }

    #[test]
    fn any_origin_gets_no_credentials() {
        let mut headers = HeaderMap::new();
        Cors::Any.write_headers(Some(&HeaderValue::from_static("https://b")), &mut headers);
        assert!(headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}
