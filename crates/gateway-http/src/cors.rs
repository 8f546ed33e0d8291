//! Which web pages may call. See <https://fetch.spec.whatwg.org/#http-cors-protocol>.

use crate::{Endpoint, reply};
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
    },
};

/// Which origins may call.
#[derive(Clone, Debug, Default)]
pub enum Cors {
    /// None.
    #[default]
    Closed,
    /// Every one.
    Any,
    /// These.
    Origins(Vec<String>),
}

/// Headers of ours that a page may read.
const EXPOSED: &str = "x-request-id, x-gateway-provider, x-gateway-dropped, x-gateway-attempts, \
                       x-gateway-fallback-from, x-gateway-decision, x-upstream-status, x-cache, \
                       age, \
                       x-gateway-history-dropped, x-gateway-taxonomy, x-upstream-request-id, \
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

    fn admits<'a>(&self, asked: &'a HeaderMap) -> Option<&'a HeaderValue> {
        asked.get(ORIGIN).filter(|origin| self.allows(origin))
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Closed => false,
            Self::Any => true,
            Self::Origins(origins) => origins.iter().any(|it| it.as_bytes() == origin.as_bytes()),
        }
    }
}
