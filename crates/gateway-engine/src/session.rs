//! The session that a request continues, named in its body or beside it.

use gateway_core::{ErrorKind, GatewayError, Payload, Result, state::Tenant};
use gateway_limits::Client;
use gateway_sessions::{OnConflict, SessionOptions, idempotency::IdempotencyToken};
use std::sync::Arc;
use uuid::Uuid;

/// The session parameters of a request outside of its body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionDirective {
    /// The session's id.
    pub id: Option<String>,
    /// The handling of a concurrent turn of the session.
    pub on_conflict: OnConflict,
}

impl Default for SessionDirective {
    fn default() -> Self {
        Self { id: None, on_conflict: OnConflict::Refuse }
    }
}

impl SessionDirective {
    /// Returns the session that the request `original` continues; `None` if it names none. The turn
    /// has the\nsame name for every attempt under one `Idempotency-Key`. `None` if it names none.
    /// Its turn has the same name for every attempt under one `Idempotency-Key`.
    ///
    /// # Errors
    ///
    /// If the body and the directive name different sessions.
    pub(crate) fn resolve(
        &self,
        original: &Payload,
        attempt: Option<&IdempotencyToken>,
    ) -> Result<Option<SessionOptions>> {
        let inside = match original {
            Payload::Raw(raw) => raw.envelope.session.as_ref().map(|(id, _)| id.as_str()),
            Payload::Parsed(_) | Payload::Relayed(_) => None,
        };
        let id = match (inside, self.id.as_deref()) {
            (None, None) => return Ok(None),
            (Some(inside), Some(beside)) if inside != beside => {
                let message = "session_id and the session header name different sessions";
                return Err(GatewayError::invalid("session_id", message));
            }
            (inside, beside) => inside.or(beside).unwrap_or_default().to_owned(),
        };
        let turn_token = attempt.map(|attempt| attempt.name().to_owned());
        let turn_token = turn_token.unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        Ok(Some(SessionOptions { id, on_conflict: self.on_conflict, turn_token }))
    }
}

/// The tenant whose state a client sees.
///
/// # Errors
///
/// If the client has none.
pub fn tenant(client: &Client) -> Result<Tenant> {
    Tenant::new(Arc::clone(&client.tenant))
        .ok_or_else(|| GatewayError::new(ErrorKind::Internal, "a client without a tenant"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use gateway_core::{ChatRequest, Dialect, Envelope, RawRequest};

    #[track_caller]
    fn check(inside: Option<&str>, beside: Option<&str>, expected: Result<Option<&str>, &str>) {
        let session = inside.map(|id| (id.to_owned(), 0..0));
        let envelope = Envelope { session, ..Envelope::default() };
        let decode = |_: &[u8]| Ok(ChatRequest::default());
        let raw = RawRequest::new(Dialect::Chat, Bytes::new(), envelope, decode);
        let directive =
            SessionDirective { id: beside.map(str::to_owned), ..SessionDirective::default() };
        let resolved = directive.resolve(&Payload::Raw(Arc::new(raw)), None);
        let id = resolved.as_ref().map(|it| it.as_ref().map(|it| it.id.as_str()));
        assert_eq!(id.map_err(GatewayError::code), expected);
    }

    #[test]
    fn session_is_named_in_body_or_beside_it() {
        check(None, None, Ok(None));
        check(Some("a"), None, Ok(Some("a")));
        check(None, Some("a"), Ok(Some("a")));
        check(Some("a"), Some("a"), Ok(Some("a")));
        check(Some("a"), Some("b"), Err("invalid_request"));
    }
}
