//! A message to a server over HTTP, and its response: a JSON body, or an event of a stream.

use super::{
    endpoint::{ExchangeRules, McpEndpoint, failed, is_stream},
    message::{ResponseMessage, parse_response},
    stream_exchange::StreamExchange,
};
use crate::client::too_large;
use bytes::BytesMut;
use gateway_core::ToolError;
use http::{HeaderMap, StatusCode};

/// The response of a server.
#[derive(Debug)]
pub(super) struct McpExchange {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The message; absent if there is none, or the body is no response.
    pub(super) message: Option<ResponseMessage>,
}

/// Posts `body`, and reads the response; what the server sends before it goes to the client of
/// `rules`.
///
/// # Errors
///
/// If the server cannot be reached, breaks off, or its response is too large.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(super) async fn post(
    endpoint: McpEndpoint<'_>,
    body: Vec<u8>,
    rules: ExchangeRules<'_>,
) -> Result<McpExchange, ToolError> {
    let response = endpoint.send(body).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let message = if is_stream(&response) {
        StreamExchange::new(endpoint, rules).read(response).await?
    } else {
        whole(response, rules.max_bytes).await?
    };
    Ok(McpExchange { status, headers, message })
}

/// Reads a body that is no stream.
async fn whole(
    mut response: reqwest::Response,
    max_bytes: usize,
) -> Result<Option<ResponseMessage>, ToolError> {
    let mut received = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if received.len() + chunk.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        received.extend_from_slice(&chunk);
    }
    Ok(parse_response(&received))
}
