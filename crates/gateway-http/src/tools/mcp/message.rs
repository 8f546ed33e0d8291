//! Messages of JSON-RPC, as clients write and read them.

use gateway_core::{Json, McpReply, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The versions that are spoken, the newest first.
pub(super) const VERSIONS: [&str; 4] = [NEWEST, "2025-06-18", "2025-03-26", "2024-11-05"];
pub(super) const NEWEST: &str = "2025-11-25";

pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const INTERNAL_ERROR: i32 = -32603;
/// The request needs a capability that its client does not declare.
pub(super) const MISSING_CAPABILITY: i32 = -32021;

pub(super) type McpResult = Result<Json, McpFailure>;

/// A failure of the protocol.
#[derive(Serialize)]
pub(super) struct McpFailure {
    pub(super) code: i32,
    pub(super) message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Json>,
}

impl McpFailure {
    pub(super) fn new(code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Returns the failure that a server reports in the error object `error`.
    pub(super) fn of(error: &Json) -> Self {
        #[derive(Deserialize)]
        struct ErrorObject {
            code: i32,
            #[serde(default)]
            message: String,
            #[serde(default)]
            data: Option<Json>,
        }
        match error.read::<ErrorObject>() {
            Ok(ErrorObject { code, message, data }) => Self { code, message: message.into(), data },
            Err(_) => Self::new(INTERNAL_ERROR, "the MCP server sent an unreadable error"),
        }
    }

    /// Adds data that programs read.
    pub(super) fn with_data(self, data: Json) -> Self {
        Self { data: Some(data), ..self }
    }
}

/// A message of a client.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    jsonrpc: Cow<'a, str>,
}

impl<'a> Message<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, McpFailure> {
        let message: Self = serde_json::from_slice(body).map_err(|error| {
            let code = if error.is_data() { INVALID_REQUEST } else { PARSE_ERROR };
            McpFailure::new(code, "the body is not a message of JSON-RPC")
        })?;
        let is_name = |id: &RawValue| !id.get().starts_with(['{', '[']);
        if message.jsonrpc != "2.0" || message.id.is_some_and(|id| !is_name(id)) {
            return Err(McpFailure::new(
                INVALID_REQUEST,
                "the body is not a message of JSON-RPC 2.0",
            ));
        }
        Ok(message)
    }

    /// Returns the reply to a request of a server, if it is one.
    pub(super) fn reply(&self) -> Option<McpReply> {
        if self.method.is_some() {
            return None;
        }
        let error = self.error.map(|error| McpReply::Error(error.into()));
        error.or_else(|| self.result.map(|result| McpReply::Result(result.into())))
    }
}

#[derive(Serialize)]
pub(super) struct McpAnswer<'a> {
    pub(super) jsonrpc: &'static str,
    pub(super) id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<McpFailure>,
}

impl<'a> McpAnswer<'a> {
    pub(super) fn failed(id: Option<&'a RawValue>, failure: McpFailure) -> Self {
        Self { jsonrpc: "2.0", id, result: None, error: Some(failure) }
    }
}
