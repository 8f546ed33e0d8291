//! What the headers of a request say of sessions, and what those of its reply tell.

use crate::{App, idempotency, names};
use gateway_core::{ErrorKind, GatewayError, Payload, ProviderRequest, Result, state::Tenant};
use gateway_limits::Client;
use gateway_sessions::{Composed, OnConflict, Opened, Options};
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// How long a request that would rather wait waits for the turn before it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Opens the session that the request `asked` continues, if it names one.
pub(crate) async fn open(
    app: &App,
    client: &Client,
    asked: &Payload,
    (call, head): (&mut ProviderRequest, &Parts),
) -> Result<Opened> {
    let options = options(asked, head)?;
    gateway_sessions::open(&app.keeper, tenant(client)?, asked, call, options).await
}

/// How the request `asked` continues a session, if it names one.
///
/// # Errors
///
/// If it names two, or what it says of conflicts means nothing.
fn options(asked: &Payload, head: &Parts) -> Result<Option<Options>> {
    let inside = match asked {
        Payload::Raw(original) => original.envelope.session.as_ref().map(|(id, _)| id.as_str()),
        Payload::Parsed(_) => None,
    };
    let Some(id) = named(inside, &head.headers)? else { return Ok(None) };
    let on_conflict = on_conflict(&head.headers)?;
    Ok(Some(Options { id, on_conflict, turn_token: token(head) }))
}

/// The name of a turn: the same whenever a request is sent again under its `Idempotency-Key`.
fn token(head: &Parts) -> String {
    let known = idempotency::mark(head).map(|mark| mark.name().to_owned());
    known.unwrap_or_else(|| Uuid::new_v4().simple().to_string())
}

/// Whose sessions a client sees.
pub(crate) fn tenant(client: &Client) -> Result<Tenant> {
    Tenant::new(Arc::clone(&client.tenant))
        .ok_or_else(|| GatewayError::new(ErrorKind::Internal, "a client without a tenant"))
}

/// The session that a request names, in its body or beside it.
fn named(inside: Option<&str>, headers: &HeaderMap) -> Result<Option<String>> {
    let Some(beside) = headers.get(names::SESSION_ID) else { return Ok(inside.map(str::to_owned)) };
    // What is not text names no session, like any other name that was not given out.
    let beside = String::from_utf8_lossy(beside.as_bytes()).into_owned();
    match inside {
        Some(inside) if inside != beside => {
            let message = "session_id and x-session-id name different sessions";
            Err(GatewayError::invalid("session_id", message))
        }
        _ => Ok(Some(beside)),
    }
}

fn on_conflict(headers: &HeaderMap) -> Result<OnConflict> {
    match headers.get(names::SESSION_CONFLICT).map(HeaderValue::as_bytes) {
        None | Some(b"refuse") => Ok(OnConflict::Refuse),
        Some(b"wait") => Ok(OnConflict::Wait(PATIENCE)),
        Some(_) => Err(GatewayError::new(
            ErrorKind::InvalidRequest,
            "x-session-conflict must be 'refuse' or 'wait'",
        )),
    }
}

/// Tells what was left out of the history, and which taxonomy holds.
pub(crate) fn add_facts(composed: &Composed, headers: &mut HeaderMap) {
    if composed.dropped > 0 {
        let name = HeaderName::from_static("x-gateway-history-dropped");
        headers.insert(name, HeaderValue::from(composed.dropped));
    }
    let taxonomy = composed.taxonomy.as_deref().map(visible);
    if let Some(Ok(taxonomy)) = taxonomy.map(HeaderValue::try_from) {
        headers.insert(HeaderName::from_static("x-gateway-taxonomy"), taxonomy);
    }
}

/// `text` as a header can carry it: what is not visible ASCII is percent-encoded.
fn visible(text: &str) -> String {
    let encoded = |byte: u8| {
        if byte.is_ascii_graphic() && byte != b'%' {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encoded).collect()
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

    #[track_caller]
    fn check_named(
        inside: Option<&str>,
        beside: Option<&str>,
        expected: Result<Option<&str>, &str>,
    ) {
        let beside: Vec<_> = beside.into_iter().map(|id| ("x-session-id", id)).collect();
        let named = named(inside, &headers(&beside));
        let named = named.as_ref().map(Option::as_deref).map_err(GatewayError::code);
        assert_eq!(named, expected);
    }

    #[test]
    fn a_session_is_named_in_the_body_or_beside_it() {
        check_named(None, None, Ok(None));
        check_named(Some("a"), None, Ok(Some("a")));
        check_named(None, Some("a"), Ok(Some("a")));
        check_named(Some("a"), Some("a"), Ok(Some("a")));
        check_named(Some("a"), Some("b"), Err("invalid_request"));
    }

    #[track_caller]
    fn check_conflict(said: &[(&'static str, &str)], expected: Option<OnConflict>) {
        assert_eq!(on_conflict(&headers(said)).ok(), expected);
    }

    #[test]
    fn a_request_says_whether_it_waits() {
        check_conflict(&[], Some(OnConflict::Refuse));
        check_conflict(&[("x-session-conflict", "refuse")], Some(OnConflict::Refuse));
        check_conflict(&[("x-session-conflict", "wait")], Some(OnConflict::Wait(PATIENCE)));
        check_conflict(&[("x-session-conflict", "hope")], None);
    }

    #[test]
    fn facts_are_told_in_headers() {
        let mut told = HeaderMap::new();
        add_facts(&Composed::default(), &mut told);
        assert!(told.is_empty());
        let composed = Composed { dropped: 3, taxonomy: Some("Größe 5%_taxonomy".to_owned()) };
        add_facts(&composed, &mut told);
        assert_eq!(told["x-gateway-history-dropped"], "3");
        assert_eq!(told["x-gateway-taxonomy"], "Gr%C3%B6%C3%9Fe%205%25_taxonomy");
    }
}
