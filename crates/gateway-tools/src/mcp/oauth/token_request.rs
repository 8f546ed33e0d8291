//! The request for a token: the grant `client_credentials`.

use super::{
    Bearer, OAuthClient, assertion, discovery,
    endpoint::{AuthMethod, TokenEndpoint},
    refused,
    settings::ClientCredential,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use gateway_core::ToolError;
use http::header;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// The time before its expiry from which a token is not used any more.
const MARGIN: Duration = Duration::from_secs(30);
/// The life of a token whose expiry is not known.
const USUAL_LIFE: Duration = Duration::from_hours(1);

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) bearer: Bearer,
    renewed_at: Instant,
}

impl Token {
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        now < self.renewed_at
    }
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// The error of an authorization server.
#[derive(Default, Deserialize)]
struct ErrorResponse {
    #[serde(default)]
    error: String,
}

/// Asks for a token with `scopes`.
///
/// # Errors
///
/// If the authorization server cannot be reached, or refuses.
pub(super) async fn send(
    client: &OAuthClient,
    endpoint: &TokenEndpoint,
    scopes: &BTreeSet<String>,
) -> Result<Token, ToolError> {
    let asked_at = Instant::now();
    let (authorization, members) = authentication(client, endpoint)?;
    let mut request = client.client.inner().post(&endpoint.url);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let request = request
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let response = request.body(form(client, scopes, members)).send().await.map_err(|error| {
        tracing::debug!(target: "gateway::tool", error = format!("{error:?}"));
        refused("the authorization server of the MCP server cannot be reached")
    })?;
    let status = response.status();
    let body = discovery::read(response).await.unwrap_or_default();
    if !status.is_success() {
        let error: ErrorResponse = serde_json::from_slice(&body).unwrap_or_default();
        let reason: String = error.error.chars().take(100).collect();
        let why = format!(
            "the authorization server refuses a token for the MCP server: {} {reason}",
            status.as_u16()
        );
        return Err(refused(why.trim_end().to_owned()));
    }
    read_token(&body, asked_at)
        .ok_or_else(|| refused("the authorization server sent no token for the MCP server"))
}

/// Writes the body of a request.
fn form(client: &OAuthClient, scopes: &BTreeSet<String>, members: Members) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    form.append_pair("resource", &client.resource);
    if !scopes.is_empty() {
        let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
        form.append_pair("scope", &scopes.join(" "));
    }
    form.extend_pairs(members);
    form.finish()
}

fn read_token(body: &[u8], asked_at: Instant) -> Option<Token> {
    let TokenResponse { access_token, token_type, expires_in } =
        serde_json::from_slice(body).ok()?;
    if token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return None;
    }
    let life = expires_in.map_or(USUAL_LIFE, Duration::from_secs).min(24 * USUAL_LIFE);
    // A short-lived one is used for half of its life.
    let used = life.saturating_sub(MARGIN).max(life / 2);
    Some(Token { bearer: Bearer::of(&access_token)?, renewed_at: asked_at + used })
}

type Members = Vec<(&'static str, String)>;

/// Returns the proof of the client's identity: a header, or members of the body.
fn authentication(
    client: &OAuthClient,
    endpoint: &TokenEndpoint,
) -> Result<(Option<String>, Members), ToolError> {
    let id = &client.settings.client_id;
    match (&client.settings.credential, endpoint.method) {
        (ClientCredential::Secret(secret), AuthMethod::SecretPost) => {
            let secret = secret.expose_secret().to_owned();
            Ok((None, vec![("client_id", id.clone()), ("client_secret", secret)]))
        }
        (ClientCredential::Secret(secret), _) => {
            let encoded = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let pair = format!("{}:{}", encoded(id), encoded(secret.expose_secret()));
            Ok((Some(format!("Basic {}", BASE64_STANDARD.encode(pair))), Vec::new()))
        }
        (ClientCredential::Key(key), _) => {
            let assertion = assertion::sign(key, id, &endpoint.audience)
                .ok_or_else(|| refused("the key of the OAuth client cannot sign"))?;
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned();
            let members = vec![
                ("client_id", id.clone()),
                ("client_assertion_type", kind),
                ("client_assertion", assertion),
            ];
            Ok((None, members))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_before_they_expire() {
        let now = Instant::now();
        let renewed = |body: &str| {
            read_token(body.as_bytes(), now).map(|token| (token.renewed_at - now).as_secs())
        };
        assert_eq!(renewed(r#"{"access_token":"a","expires_in":100}"#), Some(70));
        assert_eq!(renewed(r#"{"access_token":"a","expires_in":10}"#), Some(5));
        assert_eq!(renewed(r#"{"access_token":"a","token_type":"bearer"}"#), Some(3570));
        assert_eq!(renewed(r#"{"access_token":"a","token_type":"mac"}"#), None);
        assert_eq!(renewed(r#"{"access_token":"a\n"}"#), None);
        assert_eq!(renewed("{}"), None);
    }
}
