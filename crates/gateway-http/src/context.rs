//! What travels beside a request: its name, and the caller's trace.

use crate::names;
use gateway_core::{Context, Dialect};
use gateway_limits::Client;
use http::{HeaderMap, HeaderName};
use std::sync::Arc;
use uuid::Uuid;

/// The request's name: the caller's, if it is fit to be logged, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(names::REQUEST_ID).and_then(|id| id.to_str().ok());
    if let Some(id) = given.filter(|id| is_name(id)) {
        return id.into();
    }
    let mut buffer = Uuid::encode_buffer();
    let id: &str = Uuid::new_v4().simple().encode_lower(&mut buffer);
    id.into()
}

/// What is sent upstream beside the request.
pub(crate) fn of(
    headers: &HeaderMap,
    request_id: Arc<str>,
    client: &Client,
    dialect: Dialect,
) -> Context {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let passed = passed(dialect).iter().filter_map(|name| Some((*name, text(name)?.to_owned())));
    Context { headers: passed.collect(), ..traced(headers, request_id, client) }
}

/// What goes along with work for a request that no model answers.
pub(crate) fn traced(headers: &HeaderMap, request_id: Arc<str>, client: &Client) -> Context {
    let text = |name| headers.get::<HeaderName>(name)?.to_str().ok();
    Context {
        request_id,
        tenant: Arc::clone(&client.tenant),
        traceparent: text(names::TRACEPARENT).filter(|it| is_traceparent(it)).map(Into::into),
        tracestate: text(names::TRACESTATE).filter(|it| it.len() <= 512).map(Into::into),
        headers: Arc::default(),
        from_context_service: headers.contains_key(names::CMS_ORIGIN),
        models: client.models.clone(),
        ..Context::default()
    }
}

/// Headers that belong to a dialect: an upstream of the same dialect is to see them.
const fn passed(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Messages => &["anthropic-beta", "anthropic-version"],
        Dialect::Chat | Dialect::Responses | Dialect::Gemini | Dialect::Ollama => &[],
    }
}

fn is_name(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The shape of <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn is_traceparent(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [2, 32, 16, 2] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, kept: bool) {
        let headers =
            HeaderMap::from_iter([("x-request-id".parse().unwrap(), id.parse().unwrap())]);
        assert_eq!(&*request_id(&headers) == id, kept, "{id}");
    }

    #[test]
    fn a_fit_name_is_kept() {
        check("12345678", true);
        check("A-b_c-12345", true);
    }

    #[test]
    fn others_are_replaced() {
        for id in ["", "1234567", "has space", "x\ty567890", &"a".repeat(65)] {
            check(id, false);
        }
        assert_eq!(request_id(&HeaderMap::new()).len(), 32);
    }

    #[test]
    fn a_trace_has_its_shape() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for text in ["", "00", "00-xyz-b7ad6b7169203331-01", "a-b-c-d"] {
            assert!(!is_traceparent(text), "{text}");
        }
    }
}
