//! The tools that the gateway runs: where the services behind them are, which are added to those
//! that are built in, and how the calls of models are met.

use super::{
    entries::list_entries,
    error::ConfigError,
    network::ServiceUrl,
    raw_value::{ConfigValue, Table, ValueKind},
    section::{SectionReader, section},
    server::ByteSize,
    value::{SettingType, quoted},
};
use std::{collections::BTreeMap, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
const USUAL: Duration = Duration::from_secs(30);

section! {
    /// The platform services behind built-in tools.
    pub ServicesSection {
        /// URL of the semantic search service.
        semantic_search_url: ServiceUrl = ServiceUrl::local(8081), bare ["SEMANTIC_SEARCH_URL"];
        /// Timeout of a search.
        semantic_search_timeout: Duration = USUAL, within SECOND..=LONGEST, bare ["SEMANTIC_SEARCH_TIMEOUT_SECONDS"];
        /// URL of the AI agents service.
        ai_agents_url: ServiceUrl = ServiceUrl::local(8082), bare ["AI_AGENTS_URL"];
        /// Timeout of lookup agents.
        /// Default: `semantic_search_timeout`.
        ai_agents_timeout: Option<Duration> = None, bare ["AI_AGENTS_TIMEOUT_SECONDS"];
        /// Timeout of code agents.
        code_agents_timeout: Duration = Duration::from_mins(1), within SECOND..=LONGEST;
        /// URL of the code orchestrator service.
        code_orchestrator_url: ServiceUrl = ServiceUrl::local(8083), bare ["CODE_ORCHESTRATOR_URL"];
        /// Timeout of the code orchestrator.
        code_orchestrator_timeout: Duration = USUAL, within SECOND..=LONGEST, bare ["CODE_ORCHESTRATOR_TIMEOUT_SECONDS"];
        /// Different paths of built-in tools, by tool name: `{ extract_terms = "/v1/extract" }`.
        paths: BTreeMap<String, String> = BTreeMap::new();
        /// URLs of other services by name, for `[[tools]]`.
        others: BTreeMap<String, ServiceUrl> = BTreeMap::new();
    }
}

section! {
    /// Tool calls of models.
    pub ToolCallsSection {
        /// Gateway tools added to every model request, unless the request or its session names others.
        offered: Vec<String> = Vec::new();
        /// Maximum number of tool rounds per request; afterwards the model is called once more without tools.
        max_rounds: usize = gateway_core::MAX_ROUNDS, within 1..=64, prefixed ["TOOL_MAX_ROUNDS"];
        /// Maximum number of concurrent tool calls of one request.
        parallel: usize = 8, within 1..=64;
        /// Maximum number of concurrent tool calls.
        running: usize = 64, within 1..=4096;
        /// Maximum size of a built-in tool's result.
        max_result_bytes: ByteSize = ByteSize(1 << 20), within ByteSize(1 << 10)..=ByteSize(32 << 20);
    }
}

section! {
    /// A tool of a service. A tool with the name of a built-in one replaces it.
    pub ToolEntry {
        /// Tool name: letters, digits, `_` and `-`.
        name: Option<String> = None;
        /// Description for the model.
        description: Option<String> = None;
        /// JSON Schema of the arguments, as a table or as JSON in a text.
        parameters: Option<JsonSchema> = None;
        /// Service that runs it: `semantic-search`, `ai-agents`, `code-orchestrator`, or one of `services.others`.
        service: Option<String> = None;
        /// HTTP method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
        method: String = "POST".to_owned();
        /// Path with placeholders for arguments: `/v1/books/{book}`.
        /// Other arguments are sent in the body, of `GET` and `DELETE` in the query.
        path: Option<String> = None;
        /// Path to use if `path` answers 404.
        fallback_path: Option<String> = None;
        /// Different places of arguments in the payload: `{ book = "source.book" }`.
        places: BTreeMap<String, String> = BTreeMap::new();
        /// Timeout of a call.
        timeout: Duration = USUAL, within SECOND..=LONGEST;
        /// Whether the tool is idempotent and may be retried.
        /// Default: only `GET`.
        idempotent: Option<bool> = None;
        /// Maximum size of a response.
        max_response_bytes: ByteSize = ByteSize(1 << 20), within ByteSize(1 << 10)..=ByteSize(32 << 20);
        /// Argument that receives the taxonomy of the user or session, unless the model sets it.
        taxonomy_argument: Option<String> = None;
        /// Argument that receives the session's tiers, unless the model sets it.
        tier_filter_argument: Option<String> = None;
        /// Payload members that are dropped if the service rejects them.
        droppable: Vec<String> = Vec::new();
    }
}

/// A JSON Schema of arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonSchema(serde_json::Value);

impl SettingType for JsonSchema {
    fn expects() -> String {
        "a JSON Schema of an object, as a table or as JSON in a text".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let schema = match node.text() {
            Some(text) => serde_json::from_str(text).ok()?,
            None => json(node),
        };
        schema.is_object().then_some(Self(schema))
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.0.to_string()))
    }
}

/// Returns a value of the configuration as JSON.
fn json(node: &ConfigValue) -> serde_json::Value {
    match &node.content {
        ValueKind::Text(text) => text.as_str().into(),
        ValueKind::Integer(number) => {
            i64::try_from(*number).map_or(serde_json::Value::Null, Into::into)
        }
        ValueKind::Decimal(number) => (*number).into(),
        ValueKind::Flag(flag) => (*flag).into(),
        ValueKind::List(items) => items.iter().map(json).collect(),
        ValueKind::Table(table) => {
            table.iter().map(|(name, node)| (name.clone(), json(node))).collect()
        }
    }
}

impl JsonSchema {
    /// Returns the schema as JSON.
    pub fn as_value(&self) -> &serde_json::Value {
        &self.0
    }
}

impl ToolEntry {
    /// Returns the first required setting that is missing.
    fn missing(&self) -> Option<&'static str> {
        let needed = [
            ("name", self.name.is_some()),
            ("description", self.description.is_some()),
            ("parameters", self.parameters.is_some()),
            ("service", self.service.is_some()),
            ("path", self.path.is_some()),
        ];
        needed.into_iter().find_map(|(name, is_there)| (!is_there).then_some(name))
    }
}

/// Reads the entries of `[[tools]]`.
pub(super) fn read(root: &Table, errors: &mut Vec<ConfigError>) -> Vec<ToolEntry> {
    let mut tools = Vec::new();
    for (at, item) in list_entries(root, "tools", errors).iter().enumerate() {
        let path = format!("tools[{at}]");
        let before = errors.len();
        let tool: ToolEntry = SectionReader::read(path.clone(), Some(item), errors);
        if let Some(missing) = tool.missing()
            && errors.len() == before
        {
            let error = ConfigError::new(format!("{path}.{missing}"), "is needed");
            errors.push(error.source(item.source.clone()));
        }
        tools.push(tool);
    }
    tools
}
