//! The assertion by which a client with a key authenticates itself (RFC 7523).

use super::settings::SigningKey;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use uuid::Uuid;

/// The life of an assertion, in seconds.
const LIFE: u64 = 60;

/// Returns an assertion of `client_id` for an authorization server; `None` if it cannot be signed.
pub(super) fn sign(key: &SigningKey, client_id: &str, audience: &str) -> Option<String> {
    let now = gateway_tasks::unix_time().as_secs();
    let encode = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encode(json!({ "alg": key.algorithm(), "typ": "JWT" }));
    let claims = encode(json!({
        "iss": client_id, "sub": client_id, "aud": audience,
        "iat": now, "exp": now + LIFE, "jti": Uuid::new_v4().to_string(),
    }));
    let message = format!("{head}.{claims}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes())?);
    Some(format!("{message}.{signature}"))
}
