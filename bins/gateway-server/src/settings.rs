//! Configuration as the crates that it is for have it.

use crate::config::{
    Allowance, Client, Config, Header, Mcp, Network, Problem, Services, Tool, Urgency,
};
use gateway_http::request::peer;
use gateway_limits as limits;
use gateway_tools::{ClientSettings, McpSettings, ServicesSettings, ToolRegistry, ToolSettings};

/// Notes what of the tools does not go together.
pub fn check(config: &Config, problems: &mut Vec<Problem>) {
    // What could not be read is told already, and would be told again as missing.
    if problems.iter().any(|problem| problem.key().starts_with("tools")) {
        return;
    }
    let registry = match registry(config) {
        Ok(registry) => registry,
        Err(why) => return problems.push(Problem::new("tools", why)),
    };
    let offered = config.tool_calls.offered.iter().map(|name| ("tool_calls.offered", name));
    let clients = config.clients.iter().flat_map(|client| &client.offered_tools);
    for (key, name) in offered.chain(clients.map(|name| ("clients", name))) {
        // Servers tell of their tools later.
        let is_servers = config.mcp.iter().any(|(server, it)| name.starts_with(&it.prefix(server)));
        if !registry.contains(name) && !is_servers {
            let message = format!("there is no tool `{}`", gateway_config::printable(name));
            problems.push(Problem::new(key, message));
        }
    }
}

/// Every tool, built in or configured.
///
/// # Errors
///
/// Says which cannot be built, and why.
pub(crate) fn registry(config: &Config) -> Result<ToolRegistry, String> {
    let settings = |it: &Tool| tool(it).map_err(|missing| format!("needs {missing}"));
    let configured = config.tools.iter().map(settings).collect::<Result<Vec<_>, _>>()?;
    let services = services(&config.services, config.tool_calls.max_result_bytes.0);
    gateway_tools::build(&services, &configured, &connecting(config))
}

/// How services are connected to.
pub(crate) fn connecting(config: &Config) -> ClientSettings {
    ClientSettings { connect_timeout: config.timeouts.connect, ..ClientSettings::default() }
}

/// The services behind tools.
fn services(it: &Services, max_result_bytes: usize) -> ServicesSettings {
    let mut settings = ServicesSettings {
        paths: it.paths.clone(),
        semantic_search_timeout: it.semantic_search_timeout,
        ai_agents_timeout: it.ai_agents_timeout.unwrap_or(it.semantic_search_timeout),
        code_agents_timeout: it.code_agents_timeout,
        code_orchestrator_timeout: it.code_orchestrator_timeout,
        max_bytes: max_result_bytes,
        ..ServicesSettings::default()
    };
    let known = [
        (gateway_tools::SEMANTIC_SEARCH, &it.semantic_search_url),
        (gateway_tools::AI_AGENTS, &it.ai_agents_url),
        (gateway_tools::CODE_ORCHESTRATOR, &it.code_orchestrator_url),
    ];
    let others = it.others.iter().map(|(name, url)| (name.as_str(), url));
    let addresses = known.into_iter().chain(others);
    settings
        .addresses
        .extend(addresses.map(|(name, url)| (name.to_owned(), url.as_str().to_owned())));
    settings
}

/// A tool; or the setting that it lacks.
fn tool(it: &Tool) -> Result<ToolSettings, &'static str> {
    let text = |text: &Option<String>, name| text.clone().ok_or(name);
    Ok(ToolSettings {
        name: text(&it.name, "name")?,
        description: text(&it.description, "description")?,
        parameters: it.parameters.as_ref().ok_or("parameters")?.as_value().clone(),
        service: text(&it.service, "service")?,
        method: it.method.clone(),
        path: text(&it.path, "path")?,
        fallback_path: it.fallback_path.clone(),
        places: it.places.clone(),
        timeout_seconds: it.timeout.as_secs(),
        idempotent: it.idempotent,
        max_response_bytes: it.max_response_bytes.0,
        taxonomy_argument: it.taxonomy_argument.clone(),
        tier_filter_argument: it.tier_filter_argument.clone(),
        droppable: it.droppable.clone(),
    })
}

/// A server of tools called `name`; nothing without an address.
pub(crate) fn mcp(name: &str, it: &Mcp) -> Option<McpSettings> {
    let header =
        |(name, value): (&String, &Header)| Some((name.parse().ok()?, value.value().clone()));
    Some(McpSettings {
        name: name.to_owned(),
        url: it.url.as_ref()?.as_str().to_owned(),
        headers: it.headers.iter().filter_map(header).collect(),
        prefix: it.prefix(name),
        allowed: it.tools.clone(),
        timeout: it.timeout,
        idempotent: it.idempotent,
        max_bytes: it.max_response_bytes.0,
    })
}

/// A caller, with limits kept in `accounts`.
pub(crate) fn client(it: &Client, accounts: &limits::LimitAccounts) -> limits::Client {
    let mut known = limits::Client::new(&it.name, &it.tenant);
    known.strict = it.strict;
    known.offered_tools.clone_from(&it.offered_tools);
    let models = Some(it.models.as_slice()).filter(|models| !models.is_empty());
    known.models = models.map(Into::into);
    known.tools.clone_from(&it.tools);
    known.priority = priority(it.priority);
    known.limited(&limit_policy(&it.allowance), accounts)
}

const fn priority(it: Urgency) -> limits::Priority {
    match it {
        Urgency::Interactive => limits::Priority::Interactive,
        Urgency::Batch => limits::Priority::Batch,
    }
}

/// How much a caller may take.
pub(crate) fn limit_policy(it: &Allowance) -> limits::LimitPolicy {
    limits::LimitPolicy {
        requests_per_minute: it.requests_per_minute,
        burst: it.burst,
        tokens_per_minute: it.tokens_per_minute,
        concurrent: it.concurrent,
        daily_budget: it.daily_budget,
        monthly_budget: it.monthly_budget,
        models: it.models.iter().map(|(model, it)| (model.clone(), limit_policy(it))).collect(),
    }
}

/// Networks of proxies.
pub(crate) fn networks(all: &[Network]) -> Vec<peer::Network> {
    all.iter().filter_map(|it| peer::Network::new(it.address, Some(it.bits))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BOOKS: &str = "[[tools]]\nname = \"books\"\ndescription = \"Finds books.\"\n\
        service = \"library\"\npath = \"/v1/books/{book}\"\nmethod = \"GET\"\n\
        parameters = { type = \"object\", required = [\"book\"], \
        properties = { book = { type = \"string\", maxLength = 9 } } }\n";

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let env = variables.iter().copied().collect();
        Config::parse_checked(Some(("a.toml", text)), &env, super::check)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_tool_is_data() {
        let library = format!("{BOOKS}[services.others]\nlibrary = \"http://localhost:1\"\n");
        let config = parse(&library, &[]).unwrap();
        let built = tool(&config.tools[0]).unwrap();
        assert_eq!(built.parameters["properties"]["book"]["maxLength"], 9);
        assert!(built.row().unwrap().idempotent);
        let text = "[[tools]]\nname = \"x\"\ndescription = \"d\"\nservice = \"ai-agents\"\npath = \"/x\"\n\
                    parameters = '{\"properties\":{}}'";
        assert!(config.show().contains("[[tools]]"));
        assert!(tool(&parse(text, &[]).unwrap().tools[0]).is_ok());
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
    fn tools_of_a_server_may_be_offered() {
        let lab = "[mcp.lab]\nurl = \"http://lab/mcp\"\n";
        assert!(parse(&format!("{lab}[tool_calls]\noffered = [\"lab_x\"]"), &[]).is_ok());
        let other = format!("{lab}[tool_calls]\noffered = [\"lob_x\"]");
        check(&other, "there is no tool `lob_x`");
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
        let services = services(&parse(text, &variables).unwrap().services, 1);
        assert_eq!(services.addresses["semantic-search"], "http://search:1");
        assert_eq!(services.addresses["ai-agents"], "http://agents:2");
        assert_eq!(services.addresses["code-orchestrator"], "http://localhost:8083");
        assert_eq!(services.addresses["library"], "http://books:3");
        assert_eq!(services.ai_agents_timeout, Duration::from_secs(7));
        assert_eq!(services.paths["extract_terms"], "/x");
    }

    #[track_caller]
    fn check_network(network: &str, address: &str, expected: bool) {
        let text = format!("[server]\ntrusted_proxies = [\"{network}\"]");
        let trusted = networks(&parse(&text, &[]).unwrap().server.trusted_proxies);
        let contains = trusted.iter().any(|it| it.contains(address.parse().unwrap()));
        assert_eq!(contains, expected, "{network} {address}");
    }

    #[test]
    fn a_network_contains_its_addresses() {
        check_network("10.0.0.0/8", "10.1.2.3", true);
        check_network("10.0.0.0/8", "11.1.2.3", false);
        check_network("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check_network("10.0.0.1", "10.0.0.1", true);
        check_network("10.0.0.1", "10.0.0.2", false);
        check_network("0.0.0.0/0", "1.2.3.4", true);
        check_network("0.0.0.0/0", "::1", false);
        check_network("::/0", "::1", true);
        check_network("fd00::/8", "fd12::1", true);
    }
}
