//! The port to servers of the Model Context Protocol, whose features clients of that protocol find
//! at the gateway.

use crate::{Json, JsonObject, McpRelay, ToolContext, ToolError};
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc};

/// The lists of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum McpList {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    ResourceTemplates,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct McpListEntry {
    /// The server that lists it.
    pub server: Arc<str>,
    /// The name here: with the prefix of its server.
    pub name: String,
    /// The name, URI or URI template by which its server knows it.
    pub remote: String,
    /// The entry as its server wrote it, with the name here.
    pub json: Json,
}

/// A request to a server.
#[derive(Clone, Debug)]
pub struct McpRequest {
    /// The method, `prompts/get` for example.
    pub method: &'static str,
    /// The name or URI that the request is about, as the server knows it.
    pub subject: Option<String>,
    /// The parameters, without those of `relay`.
    pub params: JsonObject,
    /// The rest of the client's request.
    pub relay: Arc<McpRelay>,
}

/// The response of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum McpReply {
    /// The result, as it was written.
    Result(Json),
    /// The error of the protocol, as it was written.
    Error(Json),
}

/// The servers whose features the gateway offers.
#[async_trait]
pub trait McpServers: Send + Sync {
    /// Returns the entries of `list` of all servers, in a fixed order.
    fn list(&self, list: McpList) -> Vec<McpListEntry>;

    /// Relays a request to the server of that name.
    ///
    /// # Errors
    ///
    /// If there is no such server, or it cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    async fn relay(
        &self,
        server: &str,
        request: McpRequest,
        context: &ToolContext,
    ) -> Result<McpReply, ToolError>;
}

impl McpReply {
    /// Returns the reply as an object with one member: `result` or `error`.
    pub fn to_json(&self) -> Json {
        let (name, value) = match self {
            Self::Result(result) => ("result", result),
            Self::Error(error) => ("error", error),
        };
        Json::of(&BTreeMap::from([(name, value)]))
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub fn read(json: &Json) -> Option<Self> {
        let mut members: JsonObject = json.read().ok()?;
        match (members.remove("result"), members.remove("error")) {
            (Some(result), None) => Some(Self::Result(result)),
            (None, Some(error)) => Some(Self::Error(error)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_is_read_as_it_was_written() {
        let json = Json::parse(r#"{"n":1e2}"#).unwrap();
        for reply in [McpReply::Result(json.clone()), McpReply::Error(json.clone())] {
            assert_eq!(McpReply::read(&reply.to_json()), Some(reply));
        }
        assert_eq!(McpReply::read(&json), None);
    }
}
