//! The tools that the gateway runs: where the services behind them are, which are added to those
//! that are built in, and how the calls of models are met.

use super::{
    network::Url,
    node::{Content, Node, Table},
    problem::Problem,
    section::{Reader, section},
    server::Size,
    value::{Value, quoted},
};
use std::{collections::BTreeMap, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
const USUAL: Duration = Duration::from_secs(30);

section! {
    /// The services of the platform: where they are, and how long their tools may take.
    pub Services {
        /// The service that searches.
        semantic_search_url: Url = Url::local(8081), bare ["SEMANTIC_SEARCH_URL"];
        /// How long it may take.
        semantic_search_timeout: Duration = USUAL, within SECOND..=LONGEST, bare ["SEMANTIC_SEARCH_TIMEOUT_SECONDS"];
        /// The service of agents.
        ai_agents_url: Url = Url::local(8082), bare ["AI_AGENTS_URL"];
        /// How long its agents that look things up may take.
        /// If it is not said: as long as a search.
        ai_agents_timeout: Option<Duration> = None, bare ["AI_AGENTS_TIMEOUT_SECONDS"];
        /// How long its agents that read and write code may take.
        code_agents_timeout: Duration = Duration::from_mins(1), within SECOND..=LONGEST;
        /// The service of models for text and code.
        code_orchestrator_url: Url = Url::local(8083), bare ["CODE_ORCHESTRATOR_URL"];
        /// How long it may take.
        code_orchestrator_timeout: Duration = USUAL, within SECOND..=LONGEST, bare ["CODE_ORCHESTRATOR_TIMEOUT_SECONDS"];
        /// Paths of built-in tools that are elsewhere, by the tool's name: `{ extract_terms = "/v1/extract" }`.
        paths: BTreeMap<String, String> = BTreeMap::new();
        /// Other services by their names, for `[[tools]]`.
        others: BTreeMap<String, Url> = BTreeMap::new();
    }
}

section! {
    /// How the calls of models are met.
    pub ToolCalls {
        /// The gateway's tools that every request to a model offers, unless it or its session names others.
        offered: Vec<String> = Vec::new();
        /// How often one request may go back to the model with results; then it is asked once more, without tools.
        max_rounds: usize = gateway_core::MAX_ROUNDS, within 1..=64, prefixed ["TOOL_MAX_ROUNDS"];
        /// How many tools run at once for one request.
        parallel: usize = 8, within 1..=64;
        /// How many tools run at once in all.
        running: usize = 64, within 1..=4096;
        /// The largest result of a built-in tool.
        max_result_bytes: Size = Size(1 << 20), within Size(1 << 10)..=Size(32 << 20);
    }
}

section! {
    /// A tool of a service, at `[[tools]]`. One that is called like a built-in tool takes its place.
    pub Tool {
        /// The name by which models call it: letters, digits, `_` and `-`.
        name: Option<String> = None;
        /// When and why to call it: models decide by it.
        description: Option<String> = None;
        /// JSON Schema of its arguments, as a table or as JSON in a text.
        parameters: Option<JsonSchema> = None;
        /// The service that runs it: `semantic-search`, `ai-agents`, `code-orchestrator`, or one of `services.others`.
        service: Option<String> = None;
        /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
        method: String = "POST".to_owned();
        /// The path, with places for arguments: `/v1/books/{book}`.
        /// Other arguments go into the body, of `GET` and `DELETE` into the query.
        path: Option<String> = None;
        /// Where it is if the path is not there.
        fallback_path: Option<String> = None;
        /// Where in the payload an argument goes, if not under its own name: `{ book = "source.book" }`.
        places: BTreeMap<String, String> = BTreeMap::new();
        /// How long it may take.
        timeout: Duration = USUAL, within SECOND..=LONGEST;
        /// Whether doing it twice does no harm.
        /// If it is not said: only of `GET`.
        idempotent: Option<bool> = None;
        /// The largest answer that is taken.
        max_response_bytes: Size = Size(1 << 20), within Size(1 << 10)..=Size(32 << 20);
        /// The argument that takes the taxonomy of the user or the session, unless the model gives one.
        taxonomy_argument: Option<String> = None;
        /// The argument that takes the tiers of the session, unless the model gives some.
        tier_filter_argument: Option<String> = None;
        /// Members of the payload that the service may refuse to know: then it is asked without them.
        droppable: Vec<String> = Vec::new();
    }
}

/// A JSON Schema.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonSchema(serde_json::Value);

impl Value for JsonSchema {
    fn expects() -> String {
        "a JSON Schema of an object, as a table or as JSON in a text".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
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

/// A value of the configuration as JSON.
fn json(node: &Node) -> serde_json::Value {
    match &node.content {
        Content::Text(text) => text.as_str().into(),
        Content::Integer(number) => {
            i64::try_from(*number).map_or(serde_json::Value::Null, Into::into)
        }
        Content::Decimal(number) => (*number).into(),
        Content::Flag(flag) => (*flag).into(),
        Content::List(items) => items.iter().map(json).collect(),
        Content::Table(table) => {
            table.iter().map(|(name, node)| (name.clone(), json(node))).collect()
        }
    }
}

impl JsonSchema {
    /// The schema.
    pub fn as_value(&self) -> &serde_json::Value {
        &self.0
    }
}

impl Tool {
    /// The first setting that it needs and lacks.
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

/// Reads `[[tools]]`.
pub(super) fn read(root: &Table, problems: &mut Vec<Problem>) -> Vec<Tool> {
    let Some(node) = root.get("tools") else { return Vec::new() };
    let Content::List(items) = &node.content else {
        let message = format!("expected a list of tables, found {}", node.kind());
        problems.push(Problem::new("tools", message).source(node.source.clone()));
        return Vec::new();
    };
    let mut tools = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("tools[{at}]");
        let before = problems.len();
        let tool: Tool = Reader::read(path.clone(), Some(item), problems);
        if let Some(missing) = tool.missing()
            && problems.len() == before
        {
            let problem = Problem::new(format!("{path}.{missing}"), "is needed");
            problems.push(problem.source(item.source.clone()));
        }
        tools.push(tool);
    }
    tools
}
