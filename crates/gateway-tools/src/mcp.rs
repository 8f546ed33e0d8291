//! Tools of servers that speak the Model Context Protocol, over HTTP.
//!
//! Each call stands alone: it bears the trace and the name of its own request, nothing of one
//! client's calls is left for another's, and dropping it ends it. What a server answers is passed on
//! as it was written, numbers included. No process is ever started.

mod connection;
mod exchange;
mod message;
mod result;
mod settings;

pub use self::settings::McpSettings;

use self::{
    connection::{Connection, McpQuestion},
    message::{ToolMessage, ToolPage},
};
use crate::{arguments, client::ServiceClient, registry::ToolPolicy};
use async_trait::async_trait;
use gateway_core::{Json, JsonObject, Tool, ToolContext, ToolError, ToolErrorCode, ToolSpec};
use std::{fmt, sync::Arc};
use tokio::time;

/// More tools than models can choose from.
const MAX_TOOLS: usize = 512;
/// More pages than such a list has.
const MAX_PAGES: usize = 64;

/// A server of tools.
#[derive(Clone)]
pub struct McpServer {
    connection: Connection,
}

/// A tool that an MCP server listed.
struct McpTool {
    server: McpServer,
    /// Name of the tool on the server.
    remote: String,
    spec: ToolSpec,
    /// The arguments that are sent as headers too, with the names of the headers.
    mirrored: Vec<(String, String)>,
}

impl McpServer {
    /// The server of `settings`.
    pub fn new(settings: McpSettings, client: ServiceClient) -> Self {
        Self { connection: Connection::new(settings, client) }
    }

    fn settings(&self) -> &McpSettings {
        &self.connection.settings
    }

    /// Returns the service name under which its tools share a circuit breaker.
    pub fn service(&self) -> String {
        format!("mcp:{}", self.settings().name)
    }

    /// Asks the server for its tools: those that are allowed, under their prefix.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, or does not answer in time.
    pub async fn tools(&self) -> Result<Vec<(Arc<dyn Tool>, ToolPolicy)>, ToolError> {
        let listed =
            time::timeout(self.settings().timeout, self.list()).await.map_err(|_| {
                ToolError::new(ToolErrorCode::Timeout, "the server does not tell its tools")
            })??;
        let allowed = listed.into_iter().filter(|it| self.settings().allows(&it.name));
        Ok(allowed.take(MAX_TOOLS).map(|tool| (self.tool(tool), self.policy())).collect())
    }

    async fn list(&self) -> Result<Vec<ToolMessage>, ToolError> {
        let (mut tools, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let cursor_member = cursor.take().map(|it| ("cursor".to_owned(), Json::of(&it)));
            let params = cursor_member.into_iter().collect();
            let question =
                McpQuestion { method: "tools/list", params, name: None, mirrored: Vec::new() };
            let page = self.connection.ask(&question, &ToolContext::default()).await?;
            let page: ToolPage = page.read().map_err(|error| {
                tracing::debug!(target: "gateway::tool", server = self.settings().name, %error);
                ToolError::new(ToolErrorCode::UpstreamInvalid, "the server's list is no list")
            })?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() || tools.len() > MAX_TOOLS {
                break;
            }
        }
        Ok(tools)
    }

    fn tool(&self, tool: ToolMessage) -> Arc<dyn Tool> {
        let ToolMessage { name, description, input_schema } = tool;
        let mirrored = mirrored_arguments(&input_schema);
        let description = description.unwrap_or_default();
        let spec = ToolSpec::function(self.settings().local_name(&name), description, input_schema);
        Arc::new(McpTool { server: self.clone(), remote: name, spec, mirrored })
    }

    fn policy(&self) -> ToolPolicy {
        let settings = self.settings();
        ToolPolicy {
            timeout: settings.timeout,
            idempotent: settings.idempotent,
            service: Some(self.service()),
            max_bytes: settings.max_bytes,
            common: false,
        }
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
        };
        result::of(&self.server.connection.ask(&question, context).await?)
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("name", &self.settings().name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_arguments_are_found_in_the_schema() {
        let schema = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"number"}}}"#;
        let schema = Json::parse(schema).unwrap();
        assert_eq!(mirrored_arguments(&schema), [("region".to_owned(), "Region".to_owned())]);
        assert_eq!(header_text(&Json::of(&"eu")), "eu");
        assert_eq!(header_text(&Json::parse("1.0").unwrap()), "1.0");
    }
}
