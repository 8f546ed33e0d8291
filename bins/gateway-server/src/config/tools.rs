//! The tools that the gateway runs: where the services behind them are, which are added to those
//! that are built in, and how the calls of models are met.

use super::{
    Config,
    network::Url,
    node::{Content, Node, Table},
    problem::Problem,
    section::{Reader, section},
    server::Size,
    value::{Value, quoted},
};
use gateway_tools::{ClientSettings, Registry, ServicesSettings, ToolSettings};
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

impl Services {
    /// The same, as the crate of the tools has it.
    pub(crate) fn settings(&self, max_result_bytes: usize) -> ServicesSettings {
        let mut settings = ServicesSettings {
            paths: self.paths.clone(),
            semantic_search_timeout: self.semantic_search_timeout,
            ai_agents_timeout: self.ai_agents_timeout.unwrap_or(self.semantic_search_timeout),
            code_agents_timeout: self.code_agents_timeout,
            code_orchestrator_timeout: self.code_orchestrator_timeout,
            max_bytes: max_result_bytes,
            ..ServicesSettings::default()
        };
        let known = [
            (gateway_tools::SEMANTIC_SEARCH, &self.semantic_search_url),
            (gateway_tools::AI_AGENTS, &self.ai_agents_url),
            (gateway_tools::CODE_ORCHESTRATOR, &self.code_orchestrator_url),
        ];
        let others = self.others.iter().map(|(name, url)| (name.as_str(), url));
        let addresses = known.into_iter().chain(others);
        settings
            .addresses
            .extend(addresses.map(|(name, url)| (name.to_owned(), url.as_str().to_owned())));
        settings
    }
}

impl Config {
    /// Every tool, built in or configured.
    ///
    /// # Errors
    ///
    /// Says which cannot be built, and why.
    pub(crate) fn registry(&self) -> Result<Registry, String> {
        let settings = |tool: &Tool| tool.settings().map_err(|missing| format!("needs {missing}"));
        let configured = self.tools.iter().map(settings).collect::<Result<Vec<_>, _>>()?;
        let services = self.services.settings(self.tool_calls.max_result_bytes.0);
        gateway_tools::build(&services, &configured, &self.connecting())
    }

    /// How services are connected to.
    pub(crate) fn connecting(&self) -> ClientSettings {
        ClientSettings { connect_timeout: self.timeouts.connect, ..ClientSettings::default() }
    }
}

/// Notes what of the tools does not go together.
pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    // What could not be read is told already, and would be told again as missing.
    if problems.iter().any(|problem| problem.key().starts_with("tools")) {
        return;
    }
    let registry = match config.registry() {
        Ok(registry) => registry,
        Err(why) => return problems.push(Problem::new("tools", why)),
    };
    let offered = config.tool_calls.offered.iter().map(|name| ("tool_calls.offered", name));
    let clients = config.clients.iter().flat_map(|client| &client.offered_tools);
    for (key, name) in offered.chain(clients.map(|name| ("clients", name))) {
        // Servers tell of their tools later.
        let is_servers = config.mcp.iter().any(|(server, it)| name.starts_with(&it.prefix(server)));
        if !registry.contains(name) && !is_servers {
            let message = format!("there is no tool `{}`", super::providers::printable(name));
            problems.push(Problem::new(key, message));
        }
    }
}

impl Tool {
    /// The same, as the crate of the tools has it; or the setting that is missing.
    pub(crate) fn settings(&self) -> Result<ToolSettings, &'static str> {
        let text = |text: &Option<String>, name| text.clone().ok_or(name);
        Ok(ToolSettings {
            name: text(&self.name, "name")?,
            description: text(&self.description, "description")?,
            parameters: self.parameters.clone().ok_or("parameters")?.0,
            service: text(&self.service, "service")?,
            method: self.method.clone(),
            path: text(&self.path, "path")?,
            fallback_path: self.fallback_path.clone(),
            places: self.places.clone(),
            timeout_seconds: self.timeout.as_secs(),
            idempotent: self.idempotent,
            max_response_bytes: self.max_response_bytes.0,
            taxonomy_argument: self.taxonomy_argument.clone(),
            tier_filter_argument: self.tier_filter_argument.clone(),
            droppable: self.droppable.clone(),
        })
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
        if let Err(missing) = tool.settings()
            && problems.len() == before
        {
            let problem = Problem::new(format!("{path}.{missing}"), "is needed");
            problems.push(problem.source(item.source.clone()));
        }
        tools.push(tool);
    }
    tools
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const BOOKS: &str = "[[tools]]\nname = \"books\"\ndescription = \"Finds books.\"\n\
        service = \"library\"\npath = \"/v1/books/{book}\"\nmethod = \"GET\"\n\
        parameters = { type = \"object\", required = [\"book\"], \
        properties = { book = { type = \"string\", maxLength = 9 } } }\n";

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let env = variables.iter().copied().collect();
        Config::parse(Some(("a.toml", text)), &env).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_tool_is_data() {
        let library = format!("{BOOKS}[services.others]\nlibrary = \"http://localhost:1\"\n");
        let config = parse(&library, &[]).unwrap();
        let tool = config.tools[0].settings().unwrap();
        assert_eq!(tool.parameters["properties"]["book"]["maxLength"], 9);
        assert!(tool.row().unwrap().idempotent);
        let text = "[[tools]]\nname = \"x\"\ndescription = \"d\"\nservice = \"ai-agents\"\npath = \"/x\"\n\
                    parameters = '{\"properties\":{}}'";
        assert!(config.show().contains("[[tools]]"));
        assert!(parse(text, &[]).unwrap().tools[0].settings().is_ok());
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let told = parse(text, &[]).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn what_a_tool_lacks_is_told() {
        check(&BOOKS.replace("service", "servise"), "tools[0].servise");
        check(&BOOKS.replace("name = \"books\"\n", ""), "tools[0].name");
        check("[[tools]]\nparameters = '['", "tools[0].parameters");
        check("[tools]\nname = \"x\"", "expected a list of tables");
        check(BOOKS, "the service 'library' has no address");
        check("[tool_calls]\noffered = [\"serach\"]", "tool_calls.offered");
        check("[services.paths]\nserach = \"/x\"", "'serach', which is not a tool");
    }

    #[test]
    fn services_have_the_names_that_deployments_set() {
        let variables = [
            ("SEMANTIC_SEARCH_URL", "http://search:1/"),
            ("LLM_GATEWAY_AI_AGENTS_URL", "http://agents:2"),
            ("AI_AGENTS_URL", "http://other:2"),
            ("SEMANTIC_SEARCH_TIMEOUT_SECONDS", "7"),
            ("LLM_GATEWAY_SERVICES__PATHS__EXTRACT_TERMS", "/x"),
        ];
        let text = "[services.others]\nlibrary = \"http://books:3\"";
        let services = parse(text, &variables).unwrap().services.settings(1);
        assert_eq!(services.addresses["semantic-search"], "http://search:1");
        assert_eq!(services.addresses["ai-agents"], "http://agents:2");
        assert_eq!(services.addresses["code-orchestrator"], "http://localhost:8083");
        assert_eq!(services.addresses["library"], "http://books:3");
        assert_eq!(services.ai_agents_timeout, Duration::from_secs(7));
        assert_eq!(services.paths["extract_terms"], "/x");
    }
}
