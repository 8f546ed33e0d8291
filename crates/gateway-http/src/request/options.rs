//! The options in the headers of a request.

use crate::{idempotency, names};
use gateway_core::{Dialect, ErrorKind, GatewayError, ProviderKey, Result};
use gateway_engine::{CacheOptions, ContextMode, RequestOptions, SessionDirective, ToolSelection};
use gateway_limits::Priority;
use gateway_sessions::{OnConflict, SessionId};
use http::{HeaderMap, HeaderName, HeaderValue, Version, header::CACHE_CONTROL, request::Parts};
use std::{sync::Arc, time::Duration};

/// Maximum wait of a request for the previous turn of its session, with `x-session-conflict: wait`.
const TURN_PATIENCE: Duration = Duration::from_mins(1);
/// The longest `Idempotency-Key` that tools are given.
const MAX_KEY: usize = 255;
/// The longest `tracestate` that is passed on.
const MAX_TRACESTATE: usize = 512;

/// The options in the headers of a request to an endpoint of `dialect`.
///
/// # Errors
///
/// [`ErrorKind::InvalidRequest`] if a header of the gateway's own is malformed.
pub(crate) fn read(head: &Parts, dialect: Dialect) -> Result<Arc<RequestOptions>> {
    let headers = &head.headers;
    // To HTTP/1.0, a body of unknown length ends with its connection, cut or not.
    let needs_length = head.version < Version::HTTP_11;
    if !needs_length && !headers.keys().any(is_option) {
        return Ok(match idempotency::mark(head).cloned() {
            None => RequestOptions::none(),
            idempotency => Arc::new(RequestOptions { idempotency, ..RequestOptions::default() }),
        });
    }
    let options = traced(headers);
    Ok(Arc::new(RequestOptions {
        strict: is(headers, &names::STRICT, b"true"),
        cache: cache(headers),
        session: session(headers)?,
        tools: tools(headers)?,
        show_tool_events: is(headers, &names::TOOL_EVENTS, b"show"),
        context_mode: context_mode(headers),
        explain: is_true(headers, &names::EXPLAIN),
        report_stream_cost: is(headers, &names::USAGE, b"true"),
        priority: priority(headers),
        idempotency: idempotency::mark(head).cloned(),
        idempotency_key: idempotency_key(headers),
        provider_key: provider_key(headers)?,
        forwarded_headers: forwarded(headers, dialect),
        needs_length,
        ..options
    }))
}

/// Whether a header of this name may be an option: most requests have none, and are not searched
/// for each.
fn is_option(name: &HeaderName) -> bool {
    let text = name.as_str();
    match text.as_bytes() {
        [b'x', b'-', ..] => {
            text != names::API_KEY_TEXT
                && text != names::REQUEST_ID_TEXT
                && text != names::GOOGLE_API_KEY_TEXT
        }
        [b't', b'r', b'a', b'c', b'e', ..] => true,
        _ => {
            text == names::IDEMPOTENCY_KEY_TEXT
                || text.starts_with(names::ANTHROPIC_PREFIX)
                || *name == CACHE_CONTROL
        }
    }
}

/// The options of work that no model does: its trace, and whether the context service sent it.
pub(crate) fn traced(headers: &HeaderMap) -> RequestOptions {
    let text = |name| headers.get::<HeaderName>(name)?.to_str().ok();
    RequestOptions {
        traceparent: text(names::TRACEPARENT).filter(|it| is_traceparent(it)).map(Into::into),
        tracestate: text(names::TRACESTATE).filter(|it| it.len() <= MAX_TRACESTATE).map(Into::into),
        from_context_service: headers.contains_key(names::CMS_ORIGIN),
        ..RequestOptions::default()
    }
}

/// `x-priority: batch`; a request can make itself less urgent than its client, never more.
pub(crate) fn priority(headers: &HeaderMap) -> Option<Priority> {
    let value = headers.get(names::PRIORITY)?;
    value.as_bytes().eq_ignore_ascii_case(b"batch").then_some(Priority::Batch)
}

/// Returns the caller's idempotency key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Option<Arc<str>> {
    let key = headers.get(names::IDEMPOTENCY_KEY)?.to_str().ok()?;
    (1..=MAX_KEY).contains(&key.len()).then(|| key.into())
}

/// The caller's own key for the provider. The error does not show it.
fn provider_key(headers: &HeaderMap) -> Result<Option<ProviderKey>> {
    let mut values = headers.get_all(names::PROVIDER_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = ProviderKey::parse(value.as_bytes()).filter(|_| values.next().is_none());
    key.map(Some).ok_or_else(|| {
        let message =
            "x-gateway-provider-key must be one key of at most 4096 visible ASCII characters";
        GatewayError::new(ErrorKind::InvalidRequest, message).with_code("invalid_provider_key")
    })
}

fn is(headers: &HeaderMap, name: &HeaderName, value: &[u8]) -> bool {
    headers.get(name).is_some_and(|it| it.as_bytes() == value)
}

fn is_true(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get(name).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Reads `Cache-Control`, and `x-gateway-cache`: `true` allows caching, `false` forbids it.
fn cache(headers: &HeaderMap) -> CacheOptions {
    let mut directive = CacheOptions::default();
    for value in headers.get_all(CACHE_CONTROL) {
        let words = value.to_str().unwrap_or_default().split(',').map(str::trim);
        for word in words {
            if word.eq_ignore_ascii_case("no-store") {
                directive.bypass = Some("no_store");
                return directive;
            }
            directive.refresh |= word.eq_ignore_ascii_case("no-cache");
        }
    }
    let value = headers.get(names::CACHE).map(|value| value.as_bytes().to_ascii_lowercase());
    match value.as_deref() {
        Some(b"false" | b"off") => directive.bypass = Some("refused"),
        value => directive.wanted = matches!(value, Some(b"true" | b"on")),
    }
    directive
}

fn session(headers: &HeaderMap) -> Result<SessionDirective> {
    let on_conflict = match headers.get(names::SESSION_CONFLICT).map(HeaderValue::as_bytes) {
        None | Some(b"refuse") => OnConflict::Refuse,
        Some(b"wait") => OnConflict::Wait(TURN_PATIENCE),
        Some(_) => {
            let message = "x-session-conflict must be 'refuse' or 'wait'";
            return Err(GatewayError::new(ErrorKind::InvalidRequest, message));
        }
    };
    Ok(SessionDirective { id: session_id(headers), on_conflict })
}

/// The session that headers name.
///
/// `x-gateway-session` names one of the gateway's whatever its form. The older `x-session-id` is
/// also a header of coding agents, which put names of their own into it: it counts only where its
/// value has the form of the ids that the gateway issues.
pub(crate) fn session_id(headers: &HeaderMap) -> Option<String> {
    // A value that is not text names no session, like any other name that was not issued.
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let older =
        || headers.get(names::SESSION_ID).map(text).filter(|id| SessionId::has_own_form(id));
    headers.get(names::SESSION).map(text).or_else(older)
}

fn tools(headers: &HeaderMap) -> Result<ToolSelection> {
    let mut selected = Vec::new();
    for value in headers.get_all(names::TOOLS) {
        let text = value.to_str().map_err(|error| {
            GatewayError::invalid("tools", "x-gateway-tools must be a list of names")
                .with_source(error)
        })?;
        let listed = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        selected.extend(listed.map(str::to_owned));
    }
    Ok(match &*selected {
        [] => ToolSelection::Usual,
        [only] if only.eq_ignore_ascii_case("off") => ToolSelection::Off,
        _ => ToolSelection::Named(selected),
    })
}

fn context_mode(headers: &HeaderMap) -> Option<ContextMode> {
    let mode = headers.get(names::CMS_MODE)?;
    Some(ContextMode::parse(mode.to_str().unwrap_or_default()))
}

/// The headers that belong to a dialect: an upstream of the same dialect gets them.
fn forwarded(headers: &HeaderMap, dialect: Dialect) -> Arc<[(&'static str, String)]> {
    let names: &[&str] = match dialect {
        Dialect::Messages => &names::ANTHROPIC_FORWARDED,
        Dialect::Chat | Dialect::Responses | Dialect::Gemini | Dialect::Ollama => &[],
    };
    let value = |name: &&'static str| {
        // A list may come in several headers.
        let values = headers.get_all(*name);
        let texts: Vec<_> = values.iter().filter_map(|value| value.to_str().ok()).collect();
        (!texts.is_empty()).then(|| (*name, texts.join(",")))
    };
    names.iter().filter_map(value).collect()
}

/// Whether `text` has the form of <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn is_traceparent(text: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let mut parts = text.split('-');
    let has_form = lengths.iter().all(|length| parts.next().is_some_and(|it| it.len() == *length));
    has_form
        && parts.next().is_none()
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(headers: &[(&'static str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        headers.iter().map(parse).collect()
    }

    #[test]
    fn every_header_that_is_read_is_an_option() {
        for name in [
            names::STRICT,
            names::TOOL_EVENTS,
            names::EXPLAIN,
            names::USAGE,
            names::TRACEPARENT,
            names::TRACESTATE,
            names::CMS_ORIGIN,
            names::CMS_MODE,
            names::PRIORITY,
            names::IDEMPOTENCY_KEY,
            names::PROVIDER_KEY,
            names::CACHE,
            names::SESSION_CONFLICT,
            names::SESSION_ID,
            names::SESSION,
            CACHE_CONTROL,
            HeaderName::from_static("x-gateway-tools"),
            HeaderName::from_static("anthropic-beta"),
            HeaderName::from_static("anthropic-version"),
        ] {
            assert!(is_option(&name), "{name}");
        }
        for name in ["host", "authorization", "content-type", "user-agent", "x-api-key", "te"] {
            assert!(!is_option(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[track_caller]
    fn check_cache(said: &[(&'static str, &str)], expected: CacheOptions) {
        assert_eq!(cache(&headers(said)), expected, "{said:?}");
    }

    #[test]
    fn cache_headers_are_read() {
        let directive = |bypass, wanted, refresh| CacheOptions { bypass, wanted, refresh };
        check_cache(&[], CacheOptions::default());
        check_cache(&[("x-gateway-cache", "True")], directive(None, true, false));
        check_cache(&[("cache-control", "max-age=0, No-Cache")], directive(None, false, true));
        check_cache(&[("x-gateway-cache", "off")], directive(Some("refused"), false, false));
        check_cache(&[("cache-control", "no-store")], directive(Some("no_store"), false, false));
        let both = [("x-gateway-cache", "true"), ("cache-control", "no-store")];
        check_cache(&both, directive(Some("no_store"), false, false));
    }

    #[track_caller]
    fn check_tools(values: &[&str], expected: &ToolSelection) {
        let values: Vec<_> = values.iter().map(|value| ("x-gateway-tools", *value)).collect();
        let mut map = HeaderMap::new();
        for (name, value) in values {
            map.append(name, value.parse().unwrap());
        }
        assert_eq!(tools(&map).as_ref().ok(), Some(expected));
    }

    #[test]
    fn tool_header_selects_tools() {
        let named = |names: &[&str]| {
            ToolSelection::Named(names.iter().map(|name| (*name).to_owned()).collect())
        };
        check_tools(&[], &ToolSelection::Usual);
        check_tools(&[" , "], &ToolSelection::Usual);
        check_tools(&["OFF"], &ToolSelection::Off);
        check_tools(&["echo"], &named(&["echo"]));
        check_tools(&["echo, calculator", "embed"], &named(&["echo", "calculator", "embed"]));
    }

    #[track_caller]
    fn check_conflict(said: &[(&'static str, &str)], expected: Option<OnConflict>) {
        assert_eq!(session(&headers(said)).ok().map(|it| it.on_conflict), expected);
    }

    #[test]
    fn conflict_header_says_whether_to_wait() {
        check_conflict(&[], Some(OnConflict::Refuse));
        check_conflict(&[("x-session-conflict", "refuse")], Some(OnConflict::Refuse));
        let patient = OnConflict::Wait(TURN_PATIENCE);
        check_conflict(&[("x-session-conflict", "wait")], Some(patient));
        check_conflict(&[("x-session-conflict", "hope")], None);
    }

    #[track_caller]
    fn check_session(said: &[(&'static str, &str)], expected: Option<&str>) {
        assert_eq!(session_id(&headers(said)).as_deref(), expected, "{said:?}");
    }

    #[test]
    fn session_is_named_by_a_header_of_ours_or_by_its_form() {
        let (ours, other) = ("3q2-7wAAAAAAAAAAAAAAAA", "3q2-7wBBBBBBBBBBBBBBBB");
        check_session(&[], None);
        check_session(&[("x-session-id", ours)], Some(ours));
        check_session(&[("x-gateway-session", "any")], Some("any"));
        check_session(&[("x-session-id", other), ("x-gateway-session", ours)], Some(ours));
        for foreign in
            ["ses_4c0f1f0eaffeOPkDZ3hJb1mJ8D", "2f1b8f3e-7c0a-4b7e-9a51-0d9a4c1e2b3d", "main", ""]
        {
            check_session(&[("x-session-id", foreign)], None);
        }
    }

    #[test]
    fn malformed_traceparent_is_dropped() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for text in ["", "00", "00-xyz-b7ad6b7169203331-01", "a-b-c-d"] {
            assert!(!is_traceparent(text), "{text}");
        }
    }
}
