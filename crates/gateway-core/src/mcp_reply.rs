//! The reply to a request of the Model Context Protocol.

use crate::{Json, JsonObject};
use std::collections::BTreeMap;

/// The reply of a server, or that of a client to a server.
#[derive(Clone, Debug, PartialEq)]
pub enum McpReply {
    /// The result, as it was written.
    Result(Json),
    /// The error of the protocol, as it was written.
    Error(Json),
}

impl McpReply {
    /// Returns an error of the protocol.
    pub fn error(code: i32, message: &str) -> Self {
        Self::Error(Json::of(&serde_json::json!({ "code": code, "message": message })))
    }

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
