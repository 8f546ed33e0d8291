//! Conversions from sections of the configuration to the settings of other crates.

use anyhow::Context as _;
use gateway_config::{
    ClientCompat, ClientLimits, ClientPriority, ConfiguredClient, IpNetwork, McpEntry, ServiceUrl,
    ServicesSection, ToolEntry, UpstreamHeader,
};
use gateway_http::request::peer;
use gateway_limits as limits;
use gateway_tools::{
    ClientCredential, ClientSettings, McpSettings, OAuthSettings, ServicesSettings, SigningKey,
    ToolConfigError, ToolRegistry, ToolSettings,
};
use std::{sync::Arc, time::Duration};

/// Builds the registry of all tools, built in or configured.
///
/// # Errors
///
/// Names the tool that cannot be built, and the reason.
pub(crate) fn registry(
    services: &ServicesSection,
    tools: &[ToolEntry],
    max_result_bytes: usize,
    connections: &ClientSettings,
) -> Result<ToolRegistry, ToolConfigError> {
    let settings = |it: &ToolEntry| tool(it).map_err(ToolConfigError::MissingSetting);
    let configured = tools.iter().map(settings).collect::<Result<Vec<_>, _>>()?;
    let services = service_settings(services, max_result_bytes);
    gateway_tools::build(&services, &configured, connections)
}

/// Returns the settings of connections to services.
pub(crate) fn connections(connect_timeout: Duration) -> ClientSettings {
    ClientSettings { connect_timeout, ..ClientSettings::default() }
}

/// Returns the settings of the services behind tools.
fn service_settings(it: &ServicesSection, max_result_bytes: usize) -> ServicesSettings {
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

/// Returns the settings of a tool, or the name of the setting that is missing.
fn tool(it: &ToolEntry) -> Result<ToolSettings, &'static str> {
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

/// Returns the settings of the MCP server `name`; `None` without an address.
///
/// # Errors
///
/// If the private key of the OAuth client cannot be read.
pub(crate) fn mcp(name: &str, it: &McpEntry) -> anyhow::Result<Option<McpSettings>> {
    let Some(url) = &it.url else { return Ok(None) };
    let oauth = oauth(it).with_context(|| format!("mcp.{name}.oauth_private_key_file"))?;
    let header = |(name, value): (&String, &UpstreamHeader)| {
        Some((name.parse().ok()?, value.value().clone()))
    };
    Ok(Some(McpSettings {
        name: name.into(),
        url: url.as_str().to_owned(),
        headers: it.headers.iter().filter_map(header).collect(),
        oauth,
        prefix: it.prefix(name),
        allowed: it.tools.clone(),
        timeout: it.timeout,
        idempotent: it.idempotent,
        max_bytes: it.max_response_bytes.0,
    }))
}

/// Returns the gateway as an OAuth client of an MCP server, if it is one.
///
/// # Errors
///
/// If its private key cannot be read.
fn oauth(it: &McpEntry) -> anyhow::Result<Option<OAuthSettings>> {
    let Some(client_id) = it.oauth_client_id.clone() else { return Ok(None) };
    let secret = it.oauth_client_secret.clone().map(ClientCredential::Secret);
    let credential = match (secret, &it.oauth_private_key_file) {
        (Some(secret), _) => secret,
        (None, Some(path)) => {
            let key = SigningKey::from_pem(&std::fs::read(path)?)?;
            ClientCredential::Key(Arc::new(key))
        }
        (None, None) => return Ok(None),
    };
    let url = |url: &Option<ServiceUrl>| url.as_ref().map(|url| url.as_str().to_owned());
    Ok(Some(OAuthSettings {
        client_id,
        credential,
        scopes: it.oauth_scopes.clone(),
        issuer: url(&it.oauth_issuer),
        token_url: url(&it.oauth_token_url),
    }))
}

/// Returns a client, with limits kept in `accounts`: its own, and those of `defaults` of which it has
/// none.
pub(crate) fn client(
    it: &ConfiguredClient,
    accounts: &limits::LimitAccounts,
    defaults: &limits::LimitPolicy,
) -> limits::Client {
    let mut known = limits::Client::new(&it.name, &it.tenant);
    known.strict = it.strict;
    known.first_message = it.compat.contains(&ClientCompat::FirstMessage);
    known.offered_tools.clone_from(&it.offered_tools);
    known.passthrough.clone_from(&it.passthrough);
    known.provider_keys = it.provider_keys;
    known.models = it.models.as_deref().map(Into::into);
    known.tools.clone_from(&it.tools);
    known.book_under(&it.tags);
    known.priority = priority(it.priority);
    known.limited(&limit_policy(&it.limits).or(defaults), accounts)
}

const fn priority(it: ClientPriority) -> limits::Priority {
    match it {
        ClientPriority::Interactive => limits::Priority::Interactive,
        ClientPriority::Batch => limits::Priority::Batch,
    }
}

/// Returns the limits of a client.
pub(crate) fn limit_policy(it: &ClientLimits) -> limits::LimitPolicy {
    limits::LimitPolicy {
        requests_per_minute: it.requests_per_minute,
        burst: it.burst,
        tokens_per_minute: it.tokens_per_minute,
        concurrent: it.concurrent,
        daily_budget: it.daily_budget,
        weekly_budget: it.weekly_budget,
        monthly_budget: it.monthly_budget,
        total_budget: it.total_budget,
        models: it.models.iter().map(|(model, it)| (model.clone(), limit_policy(it))).collect(),
    }
}

/// Returns networks of addresses.
pub(crate) fn networks(all: &[IpNetwork]) -> Vec<peer::Network> {
    all.iter().filter_map(|it| peer::Network::new(it.address, Some(it.bits))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_config::Config;

    const BOOKS: &str = "[[tools]]\nname = \"books\"\ndescription = \"Finds books.\"\n\
        service = \"library\"\npath = \"/v1/books/{book}\"\nmethod = \"GET\"\n\
        parameters = { type = \"object\", required = [\"book\"], \
        properties = { book = { type = \"string\", maxLength = 9 } } }\n";

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let env = variables.iter().copied().collect();
        Config::parse_checked(Some(("a.toml", text)), &env, crate::check)
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn configured_tool_is_converted() {
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

    #[test]
    fn services_are_set_by_the_usual_variables() {
        let variables = [
            ("SEMANTIC_SEARCH_URL", "http://search:1/"),
            ("LLM_GATEWAY_AI_AGENTS_URL", "http://agents:2"),
            ("AI_AGENTS_URL", "http://other:2"),
            ("SEMANTIC_SEARCH_TIMEOUT_SECONDS", "7"),
            ("LLM_GATEWAY_SERVICES__PATHS__EXTRACT_TERMS", "/x"),
        ];
        let text = "[services.others]\nlibrary = \"http://books:3\"";
        let services = service_settings(&parse(text, &variables).unwrap().services, 1);
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
    fn network_contains_its_addresses() {
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
