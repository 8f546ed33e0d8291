//! The place where a server takes messages, and the rules of an exchange with it.

use crate::client::ServiceClient;
use gateway_core::{McpRelay, ToolError, ToolErrorCode};
use http::{
    HeaderMap, HeaderValue,
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

/// The place to which messages are posted, and the headers of all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct McpEndpoint<'a> {
    pub(super) client: &'a ServiceClient,
    pub(super) url: &'a str,
    pub(super) headers: &'a HeaderMap,
}

impl McpEndpoint<'_> {
    /// Posts `body`.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub(super) async fn send(&self, body: Vec<u8>) -> Result<reqwest::Response, ToolError> {
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        let request = self.client.inner().post(self.url).headers(self.headers.clone());
        let request = request
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body(body).send().await.map_err(|error| failed(&error))
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
        let request = self.client.inner().get(self.url).headers(self.headers.clone());
        let request = request.header(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let request = match last_id {
            Some(last_id) => request.header("last-event-id", last_id),
            None => request,
        };
        request.send().await.map_err(|error| failed(&error))
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
