//! A tool that a server lists.

use super::{
    connection::{Connection, McpQuestion},
    message::ToolMessage,
    result,
};
use crate::arguments;
use async_trait::async_trait;
use gateway_core::{Json, JsonObject, Tool, ToolContext, ToolError, ToolSpec};
use http::HeaderName;
use std::{collections::BTreeSet, sync::Arc};

/// A tool that an MCP server listed.
pub(super) struct McpTool {
    server: Connection,
    /// Name of the tool on the server.
    remote: String,
    spec: ToolSpec,
    /// The arguments that are sent as headers too, with the names of the headers.
    mirrored: Vec<(String, String)>,
}

impl McpTool {
    /// Creates the tool that `server` lists as `tool`, called `name` here.
    pub(super) fn new(server: Connection, name: String, tool: ToolMessage) -> Self {
        let ToolMessage { name: remote, description, input_schema, .. } = tool;
        let mirrored = mirrored_arguments(&input_schema);
        let spec = ToolSpec::function(name, description.unwrap_or_default(), input_schema);
        Self { server, remote, spec, mirrored }
    }
}

/// The properties of a schema that are sent as headers too (`x-mcp-header`): property and header.
fn mirrored_arguments(schema: &Json) -> Vec<(String, String)> {
    let members: JsonObject = schema.read().unwrap_or_default();
    let properties = members.get("properties").and_then(|it| it.read::<JsonObject>().ok());
    let header = |property: &Json| {
        property.read::<JsonObject>().ok()?.get("x-mcp-header")?.read::<String>().ok()
    };
    let properties = properties.unwrap_or_default().into_iter();
    properties.filter_map(|(name, schema)| Some((name, header(&schema)?))).collect()
}

/// Whether each header that a schema asks for can be sent: a tool with others is not offered.
pub(super) fn has_valid_headers(schema: &Json) -> bool {
    let members: JsonObject = schema.read().unwrap_or_default();
    let properties = members.get("properties").and_then(|it| it.read::<JsonObject>().ok());
    let mut names = BTreeSet::new();
    properties.unwrap_or_default().values().all(|property| {
        let property: JsonObject = property.read().unwrap_or_default();
        let Some(header) = property.get("x-mcp-header") else { return true };
        let kind = property.get("type").and_then(|it| it.read::<String>().ok());
        let is_sendable = matches!(kind.as_deref(), Some("string" | "integer" | "boolean"));
        let name = header.read::<String>().ok();
        let name = name.and_then(|it| HeaderName::from_bytes(it.as_bytes()).ok());
        is_sendable && name.is_some_and(|name| names.insert(name.to_string()))
    })
}

/// An argument as a header has it.
fn header_text(argument: &Json) -> String {
    argument.read::<String>().unwrap_or_else(|_| argument.get().to_owned())
}

#[async_trait]
impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, text: &str, context: &ToolContext) -> Result<Json, ToolError> {
        // Checked as a whole, and sent as it was written.
        let count = arguments::parse(text)?.len();
        let arguments = if count == 0 { "{}" } else { text.trim() };
        let arguments = Json::parse(arguments).map_err(|error| {
            ToolError::invalid(format!("the arguments are not valid JSON: {error}"))
        })?;
        let values: JsonObject = arguments.read().unwrap_or_default();
        let mirrored = self.mirrored.iter().filter_map(|(property, header)| {
            Some((header.clone(), header_text(values.get(property)?)))
        });
        let question = McpQuestion {
            method: "tools/call",
            params: JsonObject::from([
                ("name".to_owned(), Json::of(&self.remote)),
                ("arguments".to_owned(), arguments),
            ]),
            name: Some(&self.remote),
            mirrored: mirrored.collect(),
            relay: context.mcp.as_ref().map(Arc::clone),
        };
        if question.relay.is_some() {
            return Ok(self.server.relay(&question, context).await?.to_json());
        }
        result::of(&self.server.ask(&question, context).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_cannot_be_sent_are_found() {
        let is_valid = |properties: &str| {
            let schema = format!(r#"{{"type":"object","properties":{{{properties}}}}}"#);
            has_valid_headers(&Json::parse(&schema).unwrap())
        };
        assert!(is_valid(r#""a":{"type":"string","x-mcp-header":"A"},"b":{"type":"array"}"#));
        for (kind, header) in
            [("string", "\"\""), ("string", "\"a b\""), ("string", "1"), ("array", "\"A\"")]
        {
            let property = format!(r#""a":{{"type":"{kind}","x-mcp-header":{header}}}"#);
            assert!(!is_valid(&property), "{property}");
        }
        let twice =
            r#""a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}"#;
        assert!(!is_valid(twice));
    }

    #[test]
    fn mirrored_arguments_are_found_in_the_schema() {
        let schema = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"number"}}}"#;
        let schema = Json::parse(schema).unwrap();
        assert_eq!(mirrored_arguments(&schema), [("region".to_owned(), "Region".to_owned())]);
        assert_eq!(header_text(&Json::of(&"eu")), "eu");
        assert_eq!(header_text(&Json::parse("1.0").unwrap()), "1.0");
    }
}
