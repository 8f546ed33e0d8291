//! The gateway as an OAuth client of an MCP server: a token by its own credentials.
//!
//! ```text
//!   request --401--> metadata of the resource --> metadata of its authorization server --> token
//!   request with the token --403, more scopes--> token with these too
//! ```
//!
//! What was found is kept as long as the server's settings. The credentials go to no authorization
//! server that the operator has not named, unless it is at the origin of the MCP server itself.

mod assertion;
mod challenge;
mod discovery;
mod endpoint;
mod settings;
mod token_request;

pub use self::settings::{ClientCredential, OAuthSettings, OAuthSettingsError, SigningKey};

use self::{challenge::Challenge, endpoint::TokenEndpoint, token_request::Token};
use crate::client::ServiceClient;
use gateway_core::{ToolError, ToolErrorCode};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{collections::BTreeSet, sync::Arc};
use tokio::{sync::Mutex, time::Instant};

/// The tokens for a server. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct OAuthClient {
    client: ServiceClient,
    settings: Arc<OAuthSettings>,
    /// The URL of the MCP server, which is the resource that tokens are for.
    resource: Arc<str>,
    state: Arc<Mutex<OAuthState>>,
}

/// The place and the token that were found so far. It is locked while a token is asked for, so that
/// each is asked for once.
#[derive(Debug, Default)]
struct OAuthState {
    endpoint: Option<TokenEndpoint>,
    token: Option<Token>,
    /// The scopes that the server has asked for.
    scopes: BTreeSet<String>,
}

/// A token as a header has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bearer(HeaderValue);

impl Bearer {
    pub(super) const fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl OAuthClient {
    pub(super) fn new(client: ServiceClient, settings: OAuthSettings, resource: &str) -> Self {
        let settings = Arc::new(settings);
        Self { client, settings, resource: resource.into(), state: Arc::default() }
    }

    /// Returns the token for a request; `None` as long as it is not known where to get one.
    ///
    /// # Errors
    ///
    /// If the authorization server refuses.
    pub(super) async fn token(&self) -> Result<Option<Bearer>, ToolError> {
        let mut state = self.state.lock().await;
        if state.endpoint.is_none() {
            state.endpoint = TokenEndpoint::configured(&self.settings);
        }
        if state.endpoint.is_none() {
            return Ok(None);
        }
        self.renewed(&mut state).await.map(Some)
    }

    /// Returns another token after a response with `status` to a request with `refused`; `None` if
    /// the response is no challenge.
    ///
    /// # Errors
    ///
    /// If there is no authorization server that may have the credentials, or it refuses.
    pub(super) async fn challenged(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        refused: Option<&Bearer>,
    ) -> Result<Option<Bearer>, ToolError> {
        let challenge = Challenge::read(headers);
        let wants_scopes = status == StatusCode::FORBIDDEN && challenge.wants_scopes();
        if status != StatusCode::UNAUTHORIZED && !wants_scopes {
            return Ok(None);
        }
        let mut state = self.state.lock().await;
        let is_known = challenge.scopes.iter().all(|scope| state.scopes.contains(scope));
        let other =
            state.token.as_ref().map(|token| &token.bearer).filter(|it| Some(*it) != refused);
        if let Some(other) = other.filter(|_| is_known) {
            // Another request has met the challenge already.
            return Ok(Some(other.clone()));
        }
        state.token = None;
        state.scopes.extend(challenge.scopes.iter().cloned());
        if state.endpoint.is_none() {
            let found = discovery::find(self, &challenge).await?;
            if state.scopes.is_empty() {
                state.scopes.extend(found.scopes);
            }
            state.endpoint = Some(found.endpoint);
        }
        self.renewed(&mut state).await.map(Some)
    }

    /// Returns the token, after it was asked for if there is none or it is about to expire.
    async fn renewed(&self, state: &mut OAuthState) -> Result<Bearer, ToolError> {
        let now = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| token.is_usable(now)) {
            return Ok(token.bearer.clone());
        }
        let OAuthState { endpoint: Some(endpoint), scopes, .. } = &*state else {
            return Err(refused("it is not known where to get a token for the MCP server"));
        };
        let configured = self.settings.scopes.iter().cloned();
        let scopes: BTreeSet<_> = configured.chain(scopes.iter().cloned()).collect();
        let token = token_request::send(self, endpoint, &scopes).await?;
        tracing::debug!(target: "gateway::tool", resource = &*self.resource, "a new token");
        let bearer = token.bearer.clone();
        state.token = Some(token);
        Ok(bearer)
    }
}

impl Bearer {
    /// Returns the token in a header that is not logged.
    fn of(token: &str) -> Option<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(header::AUTHORIZATION, self.header().clone());
    }
}

fn refused(why: impl Into<std::borrow::Cow<'static, str>>) -> ToolError {
    ToolError::new(ToolErrorCode::Unavailable, why)
}
