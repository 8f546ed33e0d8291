//! Messages of the protocol: JSON-RPC, whose values stay as they were written.

use gateway_core::{Json, McpReply};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version whose requests stand alone: no handshake, no session.
pub(super) const STATELESS: &str = "2026-07-28";
/// The version that a handshake asks for.
pub(super) const LEGACY: &str = "2025-11-25";

/// A request, or without an id a notification.
#[derive(Debug, Serialize)]
pub(super) struct RequestMessage<'a> {
    pub(super) jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
    pub(super) method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) params: Option<&'a Json>,
}

/// The answer to a request.
#[derive(Debug, Deserialize)]
pub(super) struct ResponseMessage {
    #[serde(default)]
    pub(super) result: Option<Json>,
    #[serde(default)]
    pub(super) error: Option<Json>,
}

/// Reads a response; `None` if it is another message.
pub(super) fn parse_response(bytes: &[u8]) -> Option<ResponseMessage> {
    let message: ResponseMessage = serde_json::from_slice(bytes).ok()?;
    (message.result.is_some() || message.error.is_some()).then_some(message)
}

/// A notification, which has a method and no id; with an id, it is a request.
#[derive(Debug, Deserialize)]
pub(super) struct NotificationMessage {
    pub(super) method: String,
    #[serde(default)]
    pub(super) id: Option<Json>,
    #[serde(default)]
    pub(super) params: Option<Json>,
}

/// A request of a server to its client.
#[derive(Debug)]
pub(super) struct ServerRequest {
    pub(super) id: Json,
    pub(super) method: String,
    pub(super) params: Option<Json>,
}

/// The reply to a request of a server.
#[derive(Debug, Serialize)]
pub(super) struct ReplyMessage<'a> {
    jsonrpc: &'static str,
    id: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Json>,
}

impl<'a> ReplyMessage<'a> {
    pub(super) fn new(id: &'a Json, reply: &'a McpReply) -> Self {
        let (result, error) = match reply {
            McpReply::Result(result) => (Some(result), None),
            McpReply::Error(error) => (None, Some(error)),
        };
        Self { jsonrpc: "2.0", id, result, error }
    }
}

/// A failure of the protocol.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorMessage {
    #[serde(default)]
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
}

/// The codes by which a server shows that it knows requests that stand alone.
const STATELESS_CODES: [i64; 3] = [-32020, -32021, -32022];

impl ErrorMessage {
    /// Whether only a server that knows requests that stand alone answers so.
    pub(super) fn is_stateless(&self) -> bool {
        STATELESS_CODES.contains(&self.code)
    }
}

/// A listed tool.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolMessage {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    pub(super) input_schema: Json,
    /// The tool as its server wrote it.
    #[serde(skip, default = "Json::null")]
    pub(super) listed: Json,
}

impl ToolMessage {
    /// Reads a listed tool; `None` if it is none.
    pub(super) fn read(listed: &Json) -> Option<Self> {
        let tool: Self = listed.read().ok()?;
        Some(Self { listed: listed.clone(), ..tool })
    }
}

/// The result of a call.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallMessage {
    #[serde(default)]
    pub(super) result_type: Option<String>,
    #[serde(default)]
    pub(super) content: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) structured_content: Option<Json>,
    #[serde(default)]
    pub(super) is_error: Option<bool>,
}

/// A block of content, as far as it is text.
#[derive(Debug, Deserialize)]
pub(super) struct ContentMessage {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) text: Option<String>,
}
