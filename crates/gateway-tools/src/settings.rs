//! Settings of platform services and configured tools.

use crate::{
    builtin,
    client::{ClientSettings, ServiceClient},
    proxy::ProxyTool,
    registry::ToolRegistry,
    tool_config_error::ToolConfigError,
    tool_row::{self, ToolEndpoint, ToolRow},
};
use gateway_core::Tool;
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The service that searches.
pub const SEMANTIC_SEARCH: &str = "semantic-search";
/// The service of agents.
pub const AI_AGENTS: &str = "ai-agents";
/// The service of models for text and code.
pub const CODE_ORCHESTRATOR: &str = "code-orchestrator";
/// The service that fits conversations into windows.
pub const CONTEXT_MANAGEMENT: &str = "context-management";
/// The service of local models.
pub const INFERENCE: &str = "inference";

/// The addresses and timeouts of platform services.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServicesSettings {
    /// Base address of each service by its name. The names above have defaults; others are for
    /// tools from configuration.
    pub addresses: BTreeMap<String, String>,
    /// Paths of built-in tools that are not where they usually are, by the tool's name.
    pub paths: BTreeMap<String, String>,
    /// Timeout of the semantic search service.
    pub semantic_search_timeout: Duration,
    /// Timeout of the research agents.
    pub ai_agents_timeout: Duration,
    /// Timeout of the code agents.
    pub code_agents_timeout: Duration,
    /// Timeout of the code orchestrator.
    pub code_orchestrator_timeout: Duration,
    /// The largest result of a built-in tool.
    pub max_bytes: usize,
}

impl Default for ServicesSettings {
    fn default() -> Self {
        let local = |name: &str, port: u16| (name.to_owned(), format!("http://localhost:{port}"));
        Self {
            addresses: BTreeMap::from([
                local(SEMANTIC_SEARCH, 8081),
                local(AI_AGENTS, 8082),
                local(CODE_ORCHESTRATOR, 8083),
                local(INFERENCE, 8085),
                local(CONTEXT_MANAGEMENT, 8086),
            ]),
            paths: BTreeMap::new(),
            semantic_search_timeout: tool_row::TIMEOUT,
            ai_agents_timeout: tool_row::TIMEOUT,
            code_agents_timeout: Duration::from_mins(1),
            code_orchestrator_timeout: tool_row::TIMEOUT,
            max_bytes: tool_row::MAX_BYTES,
        }
    }
}

/// A tool from configuration: one of `[[tools]]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ToolSettings {
    /// The name by which models call it. A built-in tool of this name is replaced.
    pub name: String,
    /// Description for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// The service that runs it.
    pub service: String,
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    #[serde(default = "post")]
    pub method: String,
    /// The path, with places for arguments: `/v1/books/{book}`. Other arguments go into the body,
    /// of `GET` and `DELETE` into the query.
    pub path: String,
    /// Fallback path, used if the first is not found.
    #[serde(default)]
    pub fallback_path: Option<String>,
    /// Position of arguments in the payload, if not their own name: `book = "source.book"`.
    #[serde(default)]
    pub places: BTreeMap<String, String>,
    /// Timeout of a call, in seconds.
    #[serde(default = "thirty")]
    pub timeout_seconds: u64,
    /// Doing it twice does no harm. Said of nothing but `GET` unless it is said here.
    #[serde(default)]
    pub idempotent: Option<bool>,
    /// The largest answer that is taken.
    #[serde(default = "one_mebibyte")]
    pub max_response_bytes: usize,
    /// The argument that takes the user's or the session's taxonomy, unless the model gives one.
    #[serde(default)]
    pub taxonomy_argument: Option<String>,
    /// The argument that takes the session's tiers, unless the model gives some.
    #[serde(default)]
    pub tier_filter_argument: Option<String>,
    /// Members of the payload that the service may refuse to know: then it is asked without them.
    #[serde(default)]
    pub droppable: Vec<String>,
}

fn post() -> String {
    Method::POST.to_string()
}

const fn thirty() -> u64 {
    tool_row::TIMEOUT.as_secs()
}

const fn one_mebibyte() -> usize {
    tool_row::MAX_BYTES
}

impl ToolSettings {
    /// Returns the tool as a row.
    ///
    /// # Errors
    ///
    /// If the method or a path is invalid.
    pub fn row(&self) -> Result<ToolRow, ToolConfigError> {
        let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let method = known.into_iter().find(|method| method.as_str() == self.method);
        let method = method.ok_or_else(|| ToolConfigError::UnsupportedMethod {
            tool: self.name.clone(),
            method: self.method.clone(),
        })?;
        let endpoint = |path: &str| match ToolEndpoint::new(path) {
            Ok(endpoint) => Ok(ToolEndpoint { places: self.places.clone(), ..endpoint }),
            Err(source) => Err(ToolConfigError::InvalidPath { tool: self.name.clone(), source }),
        };
        let row = ToolRow::new(&self.name, &self.description, &self.service, endpoint(&self.path)?);
        Ok(ToolRow {
            schema: self.parameters.clone(),
            idempotent: self.idempotent.unwrap_or(method == Method::GET),
            method,
            fallback: self.fallback_path.as_deref().map(endpoint).transpose()?,
            timeout: Duration::from_secs(self.timeout_seconds),
            max_bytes: self.max_response_bytes,
            taxonomy: self.taxonomy_argument.clone(),
            tier_filter: self.tier_filter_argument.clone(),
            droppable: self.droppable.clone(),
            ..row
        })
    }
}

/// Every built-in tool, and those of `configured`.
///
/// # Errors
///
/// Says which tool cannot be built, and why.
pub fn build(
    services: &ServicesSettings,
    configured: &[ToolSettings],
    client: &ClientSettings,
) -> Result<ToolRegistry, ToolConfigError> {
    let client = ServiceClient::new(client)?;
    let mut registry = ToolRegistry::default();
    for (tool, policy) in builtin::local() {
        registry.add(tool, policy)?;
    }
    let mut rows = builtin::rows(services)?;
    for settings in configured {
        rows.push(settings.row()?);
    }
    for row in rows {
        let address = services.addresses.get(&row.service);
        let address = address.ok_or_else(|| ToolConfigError::NoAddress {
            tool: row.name.clone(),
            service: row.service.clone(),
        })?;
        let tool = ProxyTool::new(row, address, client.clone())?;
        let policy = tool.policy();
        let tool: Arc<dyn Tool> = Arc::new(tool);
        registry.add(tool, policy)?;
    }
    if let Some(name) = services.paths.keys().find(|name| registry.get(name).is_none()) {
        return Err(ToolConfigError::PathWithoutTool(name.clone()));
    }
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(extra: Value) -> Result<ToolSettings, serde_json::Error> {
        let mut tool = json!({
            "name": "books",
            "description": "Finds a book.",
            "parameters": { "properties": { "book": { "type": "string" } }, "required": ["book"] },
            "service": "semantic-search",
            "path": "/v1/books/{book}",
        });
        let Value::Object(extra) = extra else { panic!("an object") };
        tool.as_object_mut().unwrap().extend(extra);
        serde_json::from_value(tool)
    }

    /// What is wrong with a tool of these settings.
    #[track_caller]
    fn check(extra: Value, expected: &str) {
        let tool = settings(extra).map_err(|error| error.to_string());
        let built = tool.and_then(|tool| {
            build(&ServicesSettings::default(), &[tool], &ClientSettings::default())
                .map_err(|error| error.to_string())
        });
        let why = built.err().unwrap_or_default();
        assert!(why.contains(expected) && why.is_empty() == expected.is_empty(), "{why}");
    }

    #[test]
    fn tool_is_defined_by_configuration() {
        check(json!({}), "");
        check(json!({ "method": "GET", "timeout_seconds": 5, "idempotent": true }), "");
    }

    #[test]
    fn invalid_tool_settings_are_rejected_at_start() {
        check(json!({ "tiemout": 1 }), "tiemout");
        check(json!({ "name": "two words" }), "invalid tool name");
        check(json!({ "method": "BREW" }), "unsupported method");
        check(json!({ "service": "nowhere" }), "has no address");
        check(json!({ "path": "/v1/../{book}" }), "cannot be part of a path");
        check(json!({ "path": "/v1/{page}" }), "the path needs 'page'");
        check(json!({ "parameters": { "type": "objct" } }), "schema");
        check(json!({ "places": { "page": "limit" } }), "does not name 'page'");
        check(json!({ "taxonomy_argument": "taxonomy" }), "does not name 'taxonomy'");
    }

    #[test]
    fn tool_addresses_are_validated() {
        for address in ["localhost:1", "ftp://x", "http://a@b", "http://a/?b", ""] {
            let mut services = ServicesSettings::default();
            services.addresses.insert(AI_AGENTS.to_owned(), address.to_owned());
            let built = build(&services, &[], &ClientSettings::default());
            assert!(built.unwrap_err().to_string().contains("ai-agents"), "{address}");
        }
    }

    #[test]
    fn only_read_only_tools_are_retried() {
        let idempotent = |extra| settings(extra).unwrap().row().unwrap().idempotent;
        assert!(idempotent(json!({ "method": "GET" })));
        assert!(!idempotent(json!({})));
        assert!(idempotent(json!({ "idempotent": true })));
    }

    #[test]
    fn path_for_unknown_tool_is_rejected() {
        let mut services = ServicesSettings::default();
        services.paths.insert("serach".to_owned(), "/v1/x".to_owned());
        assert!(build(&services, &[], &ClientSettings::default()).is_err());
    }
}
