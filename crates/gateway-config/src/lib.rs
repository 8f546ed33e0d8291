//! The configuration: defaults, then a file, then environment variables, each over the one before.
//!
//! Nothing else reads variables. All errors are found before anything is started, and reported at
//! once. Each section is declared once, in a table that is also its documentation.

mod admission;
pub mod changes;
mod clients;
pub mod docs;
mod entries;
mod environment;
mod error;
pub mod file_watcher;
pub mod last_good;
mod layers;
mod lifecycle;
mod limits;
mod location;
mod mcp;
mod models;
mod names;
mod network;
mod plan;
mod printable;
mod providers;
mod raw_value;
mod request_log;
mod routes;
mod rules;
mod section;
mod server;
mod show;
mod source;
mod state;
mod suggestion;
mod taxonomies;
pub mod template;
mod tenants;
mod tls;
mod tools;
mod tracing;
mod unused_limits;
mod value;

pub use self::{
    admission::{AdminSection, AdmissionSection},
    changes::SettingChange,
    clients::{ClientCompat, ClientPriority, ConfiguredClient},
    environment::Environment,
    error::{ConfigError, ConfigErrors},
    lifecycle::LifecycleSection,
    limits::{BudgetsSection, ClientLimits, LimitsSection, UnpricedSetting},
    mcp::McpEntry,
    models::{CatalogueSection, ModelEntry, ModelReasoning},
    network::{CorsOrigin, IpNetwork, ServiceUrl, UpstreamHeader},
    plan::planned_changes,
    printable::printable,
    providers::{ProviderAuth, ProviderEntry, ProviderKind},
    request_log::RequestLogSection,
    routes::{FallbackTrigger, RouteEntry, RouteTarget},
    server::{
        AuthMode, ByteSize, ConsoleSection, DeploymentEnvironment, LogOutput, LogSection,
        LogVerbosity, MetricsSection, ProxyHeader, ReadinessRule, RoutingSection, ServerSection,
        TimeoutsSection,
    },
    source::{ConfigCheck, ConfigSource, LoadedConfig},
    state::{
        CacheSection, CmsSection, ResilienceSection, SessionsSection, StoreBackend,
        StoreDurability, StoreSection,
    },
    suggestion::{closest, did_you_mean},
    taxonomies::TaxonomyEntry,
    tenants::ConfiguredTenant,
    tls::TlsSection,
    tools::{JsonSchema, ServicesSection, ToolCallsSection, ToolEntry},
    tracing::{TracingProtocol, TracingSection},
};

use entries::named_entries;
use location::Locations;
use raw_value::Table;
use section::{Section, SectionReader};
use std::{collections::BTreeMap, path::Path};
use value::SettingType;

/// The whole configuration, section by section.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The listener and its limits.
    pub server: ServerSection,
    /// The timeouts of connections and responses.
    pub timeouts: TimeoutsSection,
    /// The defaults of request routing.
    pub routing: RoutingSection,
    /// The backend of all state.
    pub store: StoreSection,
    /// The lifetime of sessions.
    pub sessions: SessionsSection,
    /// The cache of whole responses.
    pub cache: CacheSection,
    /// Retries and circuit breakers.
    pub resilience: ResilienceSection,
    /// Limits of callers without a key.
    pub limits: LimitsSection,
    /// The settings of the budgets of all clients.
    pub budgets: BudgetsSection,
    /// The log of requests.
    pub request_log: RequestLogSection,
    /// The catalogue of models and prices.
    pub catalogue: CatalogueSection,
    /// The context-management service of the platform.
    pub cms: CmsSection,
    /// The services behind tools.
    pub services: ServicesSection,
    /// The limits of tool calls.
    pub tool_calls: ToolCallsSection,
    /// The tools that configuration adds.
    pub tools: Vec<ToolEntry>,
    /// MCP servers by name.
    pub mcp: BTreeMap<String, McpEntry>,
    /// The taxonomies that users may name, by name.
    pub taxonomies: BTreeMap<String, TaxonomyEntry>,
    /// The limits of admission control.
    pub admission: AdmissionSection,
    /// The listener of the admin API.
    pub admin: AdminSection,
    /// The certificates of the listeners and of upstreams.
    pub tls: TlsSection,
    /// The level and format of the log.
    pub log: LogSection,
    /// The export of Prometheus metrics.
    pub metrics: MetricsSection,
    /// The web console for operators.
    pub console: ConsoleSection,
    /// The export of OpenTelemetry traces.
    pub tracing: TracingSection,
    /// The reload of the configuration.
    pub lifecycle: LifecycleSection,
    /// The clients with their keys.
    pub clients: Vec<ConfiguredClient>,
    /// The limits of tenants.
    pub tenants: Vec<ConfiguredTenant>,
    /// Configured providers by name.
    pub providers: BTreeMap<String, ProviderEntry>,
    /// Models that are added to the catalogue or changed.
    pub models: Vec<ModelEntry>,
    /// Aliases of models, in lower case.
    pub aliases: BTreeMap<String, String>,
    /// Routes with several targets.
    pub routes: Vec<RouteEntry>,
    /// Warnings: settings that are valid but have no effect.
    pub warnings: Vec<String>,
    /// The source of each written setting.
    origins: BTreeMap<String, String>,
}

/// The file that is read by default, if it exists.
const USUAL_FILE: &str = "gateway.toml";

/// The sections of the configuration.
const SECTIONS: [&str; 33] = [
    "server",
    "auth",
    "timeouts",
    "routing",
    "store",
    "sessions",
    "cache",
    "resilience",
    "limits",
    "budgets",
    "request_log",
    "catalogue",
    "cms",
    "services",
    "tool_calls",
    "tools",
    "mcp",
    "taxonomies",
    "admission",
    "admin",
    "tls",
    "log",
    "metrics",
    "console",
    "tracing",
    "lifecycle",
    "clients",
    "tenants",
    "providers",
    "models",
    "aliases",
    "routes",
    "fallbacks",
];

impl Config {
    /// Reads the file at `path`, or the one that `LLM_GATEWAY_CONFIG` names, or `gateway.toml` if
    /// there is one; then the variables.
    ///
    /// # Errors
    ///
    /// All errors of the configuration.
    pub fn load(path: Option<&Path>, env: &Environment) -> Result<Self, ConfigErrors> {
        Ok(ConfigSource::new(path, env.clone()).load()?.config)
    }

    /// Reads a file, given as its name and its text, and variables.
    ///
    /// # Errors
    ///
    /// All errors of the configuration.
    pub fn parse(file: Option<(&str, &str)>, env: &Environment) -> Result<Self, ConfigErrors> {
        Self::parse_checked(file, env, |_, _| {})
    }

    /// The same as [`Config::parse`], with additional errors reported by `check`.
    ///
    /// # Errors
    ///
    /// All errors of the configuration.
    pub fn parse_checked(
        file: Option<(&str, &str)>,
        env: &Environment,
        check: ConfigCheck,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let mut layers = layers::SourceLayers::default();
        if let Some((name, text)) = file
            && let Err(error) = layers.file(name, text)
        {
            errors.push(error);
        }
        let ineffective = names::apply(env, &mut layers);
        let root = layers.merged();
        let mut config = Self::read(&root, env, &mut errors);
        config.warnings = ineffective;
        config.warnings.extend(rules::warnings(&config));
        rules::check(&config, &mut errors);
        check(&config, &mut errors);
        if errors.is_empty() {
            return Ok(config);
        }
        let locations = Locations::of(&root, file.map(|(_, text)| text));
        let located = errors.into_iter().map(|error| {
            let error = error.suggest(names::setting_called);
            let variable = names::variable_of(error.key());
            error.variable(variable).locate(&locations)
        });
        Err(ConfigErrors(located.collect()))
    }

    fn read(root: &Table, env: &Environment, errors: &mut Vec<ConfigError>) -> Self {
        for (key, node) in root.iter().filter(|(key, _)| !SECTIONS.contains(&key.as_str())) {
            let error = ConfigError::new(printable(key), unknown_section(key));
            errors.push(error.source(node.source.clone()));
        }
        Self {
            server: section(root, "server", errors),
            timeouts: section(root, "timeouts", errors),
            routing: section(root, "routing", errors),
            store: section(root, "store", errors),
            sessions: section(root, "sessions", errors),
            cache: section(root, "cache", errors),
            resilience: section(root, "resilience", errors),
            limits: section(root, "limits", errors),
            budgets: section(root, "budgets", errors),
            request_log: section(root, "request_log", errors),
            catalogue: section(root, "catalogue", errors),
            cms: section(root, "cms", errors),
            services: section(root, "services", errors),
            tool_calls: section(root, "tool_calls", errors),
            tools: tools::read(root, errors),
            mcp: mcp::read(root, errors),
            taxonomies: taxonomies::read(root, errors),
            admission: section(root, "admission", errors),
            admin: section(root, "admin", errors),
            tls: section(root, "tls", errors),
            log: section(root, "log", errors),
            metrics: section(root, "metrics", errors),
            console: section(root, "console", errors),
            tracing: section(root, "tracing", errors),
            lifecycle: section(root, "lifecycle", errors),
            clients: clients::read(root, env, errors),
            tenants: tenants::read(root, errors),
            providers: providers::read(root, env, errors),
            models: models::read(root, errors),
            aliases: aliases(root, errors),
            routes: routes::read(root, errors),
            warnings: Vec::new(),
            origins: show::origins(root),
        }
    }

    /// Returns whether callers need a key.
    pub fn needs_keys(&self) -> bool {
        self.server.auth.map_or(!self.clients.is_empty(), |auth| auth == AuthMode::On)
    }

    /// Returns whether the console is served.
    pub fn has_console(&self) -> bool {
        self.console.enabled.unwrap_or(self.server.host.is_loopback())
    }

    /// Returns whether the API reference is served.
    pub fn has_docs(&self) -> bool {
        self.server.docs.unwrap_or(self.server.environment != DeploymentEnvironment::Production)
    }

    /// Returns whether the setting or table `key` is written anywhere.
    pub fn is_written(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    /// Returns the value of the setting `key` as TOML, if it is written; secrets are hidden.
    pub fn written(&self, key: &str) -> Option<String> {
        show::written(self, key)
    }

    /// Returns the effective configuration as TOML with the source of each value; secrets are hidden.
    pub fn show(&self) -> String {
        show::config(self)
    }
}

fn section<S: Section>(root: &Table, name: &str, errors: &mut Vec<ConfigError>) -> S {
    SectionReader::read(name.to_owned(), root.get(name), errors)
}

fn aliases(root: &Table, errors: &mut Vec<ConfigError>) -> BTreeMap<String, String> {
    let mut aliases = BTreeMap::new();
    for (name, node) in named_entries(root, "aliases", errors) {
        if let Some(model) = String::read(node) {
            aliases.insert(name.to_lowercase(), model);
        } else {
            let message = format!("expected the name of a model, found {}", node.kind());
            let error = ConfigError::new(format!("aliases.{}", printable(name)), message);
            errors.push(error.source(node.source.clone()));
        }
    }
    aliases
}

/// The message about an unknown section, with the setting or section that may be meant.
fn unknown_section(key: &str) -> String {
    let meant = match names::setting_called(key) {
        Some(setting) => format!("; did you mean `{setting}`?"),
        None => did_you_mean(key, SECTIONS),
    };
    format!("unknown section{meant}")
}

#[cfg(test)]
mod every_setting_tests;
#[cfg(test)]
mod tests;
