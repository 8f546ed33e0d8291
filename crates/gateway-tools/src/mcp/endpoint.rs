//! The place where a server takes messages, and the rules of an exchange with it.

use super::oauth::{Bearer, OAuthClient};
use crate::client::ServiceClient;
use bytes::Bytes;
use gateway_core::{McpRelay, ToolError, ToolErrorCode};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};

/// The rules of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExchangeRules<'a> {
    /// The most bytes of the response that are read.
    pub(super) max_bytes: usize,
    /// The client whose request is relayed.
    pub(super) relay: Option<&'a McpRelay>,
    /// Whether the server knows the gateway by a handshake: only then may it send requests, and
    /// resume a stream that has ended before the response.
    pub(super) has_handshake: bool,
}

/// The most times that a request is repeated with another token.
const MAX_TOKENS: usize = 2;

/// The place to which messages are posted, and the headers of all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct McpEndpoint<'a> {
    pub(super) client: &'a ServiceClient,
    pub(super) url: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The source of tokens, if the server wants any.
    pub(super) oauth: Option<&'a OAuthClient>,
}

/// A request that may be sent more than once.
#[derive(Debug)]
struct EndpointRequest {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl McpEndpoint<'_> {
    /// Posts `body`.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub(super) async fn send(&self, body: Vec<u8>) -> Result<reqwest::Response, ToolError> {
        let mut headers = self.headers.clone();
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, accept);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.authorized(EndpointRequest { method: Method::POST, headers, body: body.into() }).await
    }

    /// Opens the stream of what belongs to no request, or reopens a stream after its event
    /// `last_id`.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub(super) async fn listen(
        &self,
        last_id: Option<&str>,
    ) -> Result<reqwest::Response, ToolError> {
        let mut headers = self.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(Ok(last_id)) = last_id.map(HeaderValue::try_from) {
            headers.insert("last-event-id", last_id);
        }
        let request = EndpointRequest { method: Method::GET, headers, body: Bytes::new() };
        self.authorized(request).await
    }

    /// Ends the session of the headers.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub(super) async fn end(&self) -> Result<reqwest::Response, ToolError> {
        let (method, headers) = (Method::DELETE, self.headers.clone());
        self.authorized(EndpointRequest { method, headers, body: Bytes::new() }).await
    }

    /// Sends a request, with a token if the server wants one.
    async fn authorized(&self, request: EndpointRequest) -> Result<reqwest::Response, ToolError> {
        let Some(oauth) = self.oauth else { return self.send_once(&request, None).await };
        let mut token = oauth.token().await?;
        let mut response = self.send_once(&request, token.as_ref()).await?;
        for _ in 0..MAX_TOKENS {
            let (status, headers) = (response.status(), response.headers());
            let other = oauth.challenged(status, headers, token.as_ref()).await?;
            let Some(other) = other else { break };
            response = self.send_once(&request, Some(&other)).await?;
            token = Some(other);
        }
        Ok(response)
    }

    async fn send_once(
        &self,
        request: &EndpointRequest,
        token: Option<&Bearer>,
    ) -> Result<reqwest::Response, ToolError> {
        let EndpointRequest { method, headers, body } = request;
        let mut headers = headers.clone();
        if let Some(token) = token {
            token.write(&mut headers);
        }
        let sent = self.client.inner().request(method.clone(), self.url).headers(headers);
        let sent = if body.is_empty() { sent } else { sent.body(body.clone()) };
        sent.send().await.map_err(|error| failed(&error))
    }
}

pub(super) fn is_stream(response: &reqwest::Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"))
}

pub(super) fn failed(error: &reqwest::Error) -> ToolError {
    tracing::debug!(target: "gateway::tool", error = format!("{error:?}"));
    if error.is_connect() {
        ToolError::new(ToolErrorCode::Unavailable, "the server cannot be reached")
    } else {
        // It may have done its work.
        ToolError::new(ToolErrorCode::UpstreamInvalid, "the MCP server closed the connection")
    }
}
