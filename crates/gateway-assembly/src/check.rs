//! The check of a configuration: builds everything that can be built without I/O and reports all
//! errors, so that `check` and `serve` agree.

use crate::{connections::server_tls, limits, local_models, providers, settings, stateful, stores};
use gateway_config::{Config, ConfigError, RouteEntry, StoreBackend, did_you_mean, printable};
use gateway_core::{MemoryBudget, Routes, matches_pattern, pattern_prefix};
use gateway_engine::{DirectoryBuilder, EngineResources, ProviderDirectory};
use gateway_providers::{ClientSettings, ContextServiceRoute};
use gateway_tools::ToolRegistry;
use std::sync::Arc;

/// Reports everything that cannot be built, and every name that leads nowhere.
pub fn check(config: &Config, errors: &mut Vec<ConfigError>) {
    check_store(config, errors);
    check_tracing(config, errors);
    check_tools(config, errors);
    check_taxonomies(config, errors);
    check_certificates(config, errors);
    if check_catalogue(config, errors) {
        check_models(config, errors);
    }
}

/// Reads the configured catalogue; false if it cannot be read.
fn check_catalogue(config: &Config, errors: &mut Vec<ConfigError>) -> bool {
    let catalogue = providers::catalogue(config);
    let is_read = catalogue.is_ok();
    errors
        .extend(catalogue.err().map(|why| ConfigError::new("catalogue.file", format!("{why:#}"))));
    is_read
}

/// Whether a setting that begins with `key` is known to be wrong: what depends on it is not checked,
/// since it would be reported as missing.
fn is_wrong(key: &str, errors: &[ConfigError]) -> bool {
    errors.iter().any(|error| error.key().starts_with(key))
}

fn check_store(config: &Config, errors: &mut Vec<ConfigError>) {
    if is_wrong("store", errors) {
        return;
    }
    match config.store.backend() {
        StoreBackend::Memory => {}
        StoreBackend::Embedded => check_data_dir(config, errors),
        StoreBackend::Redis => check_redis(config, errors),
        StoreBackend::Postgres => {
            check_postgres(config, errors);
            check_redis(config, errors);
        }
    }
}

fn check_data_dir(config: &Config, errors: &mut Vec<ConfigError>) {
    let path = &config.server.data_dir;
    if path.exists() && !path.is_dir() {
        let path = printable(&path.to_string_lossy());
        let message = format!("`{path}` is not a directory; set the path of one");
        errors.push(ConfigError::new("server.data_dir", message));
    }
}

fn check_redis(config: &Config, errors: &mut Vec<ConfigError>) {
    let result = stores::redis(&config.store).map(|redis| redis.validate());
    if let Some(Err(why)) = result {
        let message = format!(
            "{why}; expected `redis://user:password@host:6379`, `redis-cluster://...`, \
             `redis-sentinel://...?sentinelServiceName=name`, or `rediss` for TLS"
        );
        errors.push(ConfigError::new("store.redis_url", message));
    }
}

fn check_postgres(config: &Config, errors: &mut Vec<ConfigError>) {
    let Some(postgres) = stores::postgres(&config.store) else { return };
    if let Err(why) = postgres.validate_schema() {
        errors.push(ConfigError::new("store.postgres_schema", why.to_string()));
    } else if let Err(why) = postgres.validate() {
        let message = format!(
            "{why}; expected `postgres://user:password@host:5432/database`, with \
             `?sslmode=require` for TLS"
        );
        errors.push(ConfigError::new("store.postgres_url", message));
    }
}

/// Reports taxonomies whose names read alike.
fn check_taxonomies(config: &Config, errors: &mut Vec<ConfigError>) {
    if let Err(error) = stateful::taxonomies(config) {
        errors.push(ConfigError::new("taxonomies", error.to_string()));
    }
}

/// A build without OTLP cannot export traces.
fn check_tracing(config: &Config, errors: &mut Vec<ConfigError>) {
    let is_on = config.tracing.endpoint.is_some() && config.tracing.enabled;
    if is_on && !cfg!(feature = "otlp") {
        let message = "this gateway was built without the feature `otlp`; remove the endpoint";
        errors.push(ConfigError::new("tracing.endpoint", message));
    }
}

fn check_tools(config: &Config, errors: &mut Vec<ConfigError>) {
    if is_wrong("tools", errors) || is_wrong("services", errors) {
        return;
    }
    let connections = settings::connections(config.timeouts.connect);
    let max_bytes = config.tool_calls.max_result_bytes.0;
    let built = settings::registry(&config.services, &config.tools, max_bytes, &connections);
    let registry = match built {
        Ok(registry) => registry,
        Err(error) => return errors.push(ConfigError::new("tools", error.to_string())),
    };
    for name in &config.tool_calls.offered {
        check_tool(config, &registry, ("tool_calls.offered", name), errors);
    }
    for client in &config.clients {
        let path = &client.path;
        let (offered, allowed) = (format!("{path}.offered_tools"), format!("{path}.tools"));
        for name in &client.offered_tools {
            check_tool(config, &registry, (&offered, name), errors);
        }
        for name in client.tools.iter().flatten() {
            check_tool(config, &registry, (&allowed, name), errors);
        }
    }
}

/// Reports a name or a pattern that no tool has. The tools of MCP servers are not known yet.
fn check_tool(
    config: &Config,
    registry: &ToolRegistry,
    (key, name): (&str, &str),
    errors: &mut Vec<ConfigError>,
) {
    let is_pattern = pattern_prefix(name).is_some();
    let is_of_server = config.mcp.iter().any(|(server, it)| {
        let prefix = it.prefix(server);
        name.starts_with(&prefix) || is_pattern && matches_pattern(name, &prefix)
    });
    let is_known = if is_pattern {
        registry.names().any(|tool| matches_pattern(name, tool))
    } else {
        registry.contains(name)
    };
    if !is_known && !is_of_server {
        let meant = did_you_mean(name, registry.names());
        let message = format!("there is no tool `{}`{meant}", printable(name));
        errors.push(ConfigError::new(key, message));
    }
}

/// Reads the certificates of the listeners and of upstreams' authorities.
fn check_certificates(config: &Config, errors: &mut Vec<ConfigError>) {
    if let Err(why) = providers::connections(config, Arc::new(MemoryBudget::unlimited())) {
        errors.push(ConfigError::new("tls.upstream_ca_file", format!("{why:#}")));
    }
    if is_wrong("tls", errors) {
        return;
    }
    if let Err(why) = server_tls(config) {
        errors.push(ConfigError::new("tls.cert_file", format!("{why:#}")));
    }
}

/// The connections to upstreams, for a check; those with wrong certificates are reported elsewhere.
fn connections(config: &Config) -> ClientSettings {
    providers::connections(config, Arc::new(MemoryBudget::unlimited())).unwrap_or_default()
}

/// Whether an error about `key` leaves a provider or its models out, so that names which lead there
/// would be reported too.
fn hides_models(key: &str) -> bool {
    let Some(key) = key.strip_prefix("providers") else { return false };
    let setting = key.trim_start_matches('.').split_once('.').map(|(_, setting)| setting);
    setting.is_none_or(|it| ["base_url", "enabled", "kind", "models", "prefixes"].contains(&it))
}

/// Builds the providers and follows every name of a model.
fn check_models(config: &Config, errors: &mut Vec<ConfigError>) {
    if is_wrong("models", errors) || errors.iter().any(|error| hides_models(error.key())) {
        return;
    }
    let through = through(config, errors);
    let connections = connections(config);
    let resources = EngineResources::default();
    let built = providers::single_models(config, resources, through.as_ref(), connections);
    let builder = match built {
        Ok(builder) => builder,
        Err(why) => return errors.push(ConfigError::new("models", format!("{why:#}"))),
    };
    let Ok(directory) = builder.build() else {
        return check_providers(config, through.as_ref(), errors);
    };
    check_default_provider(config, &directory, errors);
    if let Err(why) = limits::unpriced(config, &directory) {
        errors.push(ConfigError::new("budgets.unpriced", why.to_string()));
    }
    // Every name leads to the default provider, if there is one.
    if config.routing.default_provider.is_some() {
        return;
    }
    check_routes(config, directory.routes(), errors);
    check_clients(config, directory.routes(), errors);
}

fn through(config: &Config, errors: &mut Vec<ConfigError>) -> Option<ContextServiceRoute> {
    match local_models::context_service(config, None) {
        Ok(service) => local_models::through(config, service.as_ref()),
        Err(why) => {
            errors.push(ConfigError::new("cms.url", format!("{why:#}")));
            None
        }
    }
}

/// Builds each provider alone, to find all that cannot be built.
fn check_providers(
    config: &Config,
    through: Option<&ContextServiceRoute>,
    errors: &mut Vec<ConfigError>,
) {
    for provider in providers::providers(config, through) {
        let key = format!("providers.{}", provider.settings.id);
        let resources = EngineResources::default();
        let alone = DirectoryBuilder::new(providers::resilience(config), resources)
            .connections(connections(config))
            .provider(provider);
        if let Err(why) = alone.build() {
            errors.push(ConfigError::new(key, why.to_string()));
        }
    }
}

fn check_default_provider(
    config: &Config,
    directory: &ProviderDirectory,
    errors: &mut Vec<ConfigError>,
) {
    let key = "routing.default_provider";
    let Some(name) = config.routing.default_provider.as_deref() else { return };
    let id = gateway_providers::find(name).map_or(name, |known| known.id);
    if directory.backend(id).is_none() && !is_wrong(key, errors) {
        let message = format!("the provider `{}` is switched off; enable it", printable(name));
        errors.push(ConfigError::new(key, message));
    }
}

/// Follows aliases, the targets of routes and fallbacks, and the default model.
fn check_routes(config: &Config, routes: &Routes, errors: &mut Vec<ConfigError>) {
    let groups = || config.routes.iter().filter_map(|route| route.model.as_deref());
    let is_group = |name: &str| groups().any(|group| group.eq_ignore_ascii_case(name));
    for (name, model) in &config.aliases {
        let key = format!("aliases.{}", printable(name));
        if !is_group(model) && !is_wrong(&key, errors) {
            check_model(routes, (&key, model), errors);
        }
    }
    for (at, route) in config.routes.iter().enumerate() {
        let key = route_key(config, at, route);
        for target in &route.targets {
            check_model(routes, (&key, &target.model), errors);
        }
    }
    if let Some(model) = config.routing.default_model.as_deref().filter(|it| !is_group(it)) {
        check_model(routes, ("routing.default_model", model), errors);
    }
}

/// Returns the key of a route, which is written in `[[routes]]` or in `[fallbacks]`.
fn route_key(config: &Config, at: usize, route: &RouteEntry) -> String {
    let name = route.model.as_deref().unwrap_or_default();
    let fallback = format!("fallbacks.{name}");
    if config.is_written(&fallback) { fallback } else { format!("routes[{at}].targets") }
}

fn check_model(routes: &Routes, (key, name): (&str, &str), errors: &mut Vec<ConfigError>) {
    if routes.single(name).is_ok() {
        return;
    }
    let models = known_models(routes);
    let meant = did_you_mean(name, models.iter().map(String::as_str));
    let remedy = if meant.is_empty() {
        "; add it to [[models]], or name its provider as in `openai/MODEL`".to_owned()
    } else {
        meant
    };
    let message = format!("no provider serves the model `{}`{remedy}", printable(name));
    errors.push(ConfigError::new(key, message));
}

/// Follows the models and patterns that clients may use.
fn check_clients(config: &Config, routes: &Routes, errors: &mut Vec<ConfigError>) {
    // A provider at an address of its own may serve any name.
    let is_open = config.providers.values().any(|it| it.enabled && it.base_url.is_some());
    if is_open {
        return;
    }
    let known = known_models(routes);
    for client in &config.clients {
        let models = client.models.iter().flatten().map(|name| ("models", name));
        let limits = client.limits.models.iter().map(|(name, _)| ("model_limits", name));
        for (setting, pattern) in models.chain(limits) {
            if !matches_any(config, routes, &known, pattern) {
                let meant = did_you_mean(pattern, known.iter().map(String::as_str));
                let name = printable(pattern);
                let message = format!("`{name}` matches no model of this configuration{meant}");
                let key = format!("{}.{setting}", client.path);
                errors.push(ConfigError::new(key, message));
            }
        }
    }
}

/// Returns whether a request can name a model that `pattern` matches.
fn matches_any(config: &Config, routes: &Routes, models: &[String], pattern: &str) -> bool {
    let groups = || config.routes.iter().filter_map(|route| route.model.as_deref());
    let mut known = models.iter().map(String::as_str).chain(groups());
    let is_known = known.any(|name| matches_pattern(pattern, name));
    let Some(prefix) = pattern_prefix(pattern) else {
        return is_known || routes.single(pattern).is_ok();
    };
    // Any name with the prefix is served, such as those of a family or behind a provider's prefix.
    let is_open = || routes.single(&format!("{}x", prefix.to_lowercase())).is_ok();
    let families = config.providers.values().flat_map(|provider| &provider.models);
    let mut beginnings = routes.prefixes().chain(families.map(String::as_str));
    is_known || is_open() || beginnings.any(|name| matches_pattern(pattern, name))
}

/// The names that can be suggested.
fn known_models(routes: &Routes) -> Vec<String> {
    let aliases = routes.aliases().map(|(name, _)| name.to_owned());
    aliases.chain(routes.model_names(|_| true)).collect()
}
