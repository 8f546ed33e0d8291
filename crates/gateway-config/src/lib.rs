//! The configuration: defaults, then a file, then variables, each over the one before.
//!
//! Nothing else reads variables. All problems are found before anything is started, and told at
//! once. Each section is declared once, in a table that also is its documentation.

mod admission;
pub mod changes;
mod clients;
pub mod docs;
mod environment;
pub mod last_good;
mod layers;
mod lifecycle;
mod limits;
mod mcp;
mod models;
mod names;
mod network;
mod node;
mod problem;
mod providers;
mod routes;
mod rules;
mod section;
mod server;
mod show;
mod source;
mod state;
mod tools;
mod tracing;
mod value;
pub mod watch_file;

pub use self::{
    admission::{Admin, Admission},
    changes::Change,
    clients::{Client, Urgency},
    environment::Environment,
    lifecycle::Lifecycle,
    limits::{Allowance, Limits},
    mcp::Mcp,
    models::{Model, Reasoning},
    network::{Header, Network, Origin, Url},
    problem::{Problem, Problems},
    providers::{Kind, Provider, printable},
    routes::{Route, RouteTarget, When},
    server::{
        Auth, Console, Environment as Stage, Format, Level, Log, Metrics, Routing, Server, Size,
        Timeouts,
    },
    source::{Check, Loaded, Source},
    state::{Backend, Cache, Cms, Durability, Resilience, Sessions, Store},
    tools::{JsonSchema, Services, Tool, ToolCalls},
    tracing::{Protocol, Tracing},
};

use node::{Content, Table};
use section::{Reader, Section};
use std::{collections::BTreeMap, path::Path};
use value::Value;

/// Everything an operator can say.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where the gateway listens and what it takes.
    pub server: Server,
    /// How long it waits.
    pub timeouts: Timeouts,
    /// Who gets a request.
    pub routing: Routing,
    /// Where state is kept.
    pub store: Store,
    /// How conversations are kept.
    pub sessions: Sessions,
    /// Which answers are remembered.
    pub cache: Cache,
    /// How failures are met.
    pub resilience: Resilience,
    /// How much callers without a key may take.
    pub limits: Limits,
    /// Who fits conversations into windows.
    pub cms: Cms,
    /// Where the services behind tools are.
    pub services: Services,
    /// How the calls of models are met.
    pub tool_calls: ToolCalls,
    /// The tools besides those that are built in.
    pub tools: Vec<Tool>,
    /// Servers of tools, by name.
    pub mcp: BTreeMap<String, Mcp>,
    /// How many requests run at one time.
    pub admission: Admission,
    /// Where operators are listened to.
    pub admin: Admin,
    /// What is logged.
    pub log: Log,
    /// What is measured.
    pub metrics: Metrics,
    /// The page for operators.
    pub console: Console,
    /// Where traces are sent.
    pub tracing: Tracing,
    /// How a new configuration is taken up.
    pub lifecycle: Lifecycle,
    /// Who may call.
    pub clients: Vec<Client>,
    /// The upstreams that something was said of, by name.
    pub providers: BTreeMap<String, Provider>,
    /// Models that the catalogue lacks or knows worse.
    pub models: Vec<Model>,
    /// Other names of models, in lower case.
    pub aliases: BTreeMap<String, String>,
    /// Names that several models answer for.
    pub routes: Vec<Route>,
    /// What is not wrong, but probably not meant.
    pub warnings: Vec<String>,
    /// Where each setting was written.
    origins: BTreeMap<String, String>,
}

/// The file that is read if it exists and no other is named.
const USUAL_FILE: &str = "gateway.toml";

/// The sections of a configuration.
const SECTIONS: [&str; 27] = [
    "server",
    "auth",
    "timeouts",
    "routing",
    "store",
    "sessions",
    "cache",
    "resilience",
    "limits",
    "cms",
    "services",
    "tool_calls",
    "tools",
    "mcp",
    "admission",
    "admin",
    "log",
    "metrics",
    "console",
    "tracing",
    "lifecycle",
    "clients",
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
    /// Everything that is wrong with it.
    pub fn load(path: Option<&Path>, env: &Environment) -> Result<Self, Problems> {
        Ok(Source::new(path, env.clone()).load()?.config)
    }

    /// Reads a file, given as its name and its text, and variables.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn parse(file: Option<(&str, &str)>, env: &Environment) -> Result<Self, Problems> {
        Self::parse_checked(file, env, |_, _| {})
    }

    /// The same, and `check` notes what else does not go together.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn parse_checked(
        file: Option<(&str, &str)>,
        env: &Environment,
        check: Check,
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut layers = layers::Layers::default();
        if let Some((name, text)) = file
            && let Err(problem) = layers.file(name, text)
        {
            problems.push(problem);
        }
        let meaningless = names::apply(env, &mut layers);
        let root = layers.merged();
        let mut config = Self::read(&root, env, &mut problems);
        config.warnings = meaningless.iter().map(|name| format!("{name} has no effect")).collect();
        rules::check(&config, &mut problems);
        check(&config, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(named(problems)) }
    }

    fn read(root: &Table, env: &Environment, problems: &mut Vec<Problem>) -> Self {
        for (key, node) in root.iter().filter(|(key, _)| !SECTIONS.contains(&key.as_str())) {
            let problem = Problem::new(providers::printable(key), "no such section");
            problems.push(problem.source(node.source.clone()));
        }
        Self {
            server: section(root, "server", problems),
            timeouts: section(root, "timeouts", problems),
            routing: section(root, "routing", problems),
            store: section(root, "store", problems),
            sessions: section(root, "sessions", problems),
            cache: section(root, "cache", problems),
            resilience: section(root, "resilience", problems),
            limits: section(root, "limits", problems),
            cms: section(root, "cms", problems),
            services: section(root, "services", problems),
            tool_calls: section(root, "tool_calls", problems),
            tools: tools::read(root, problems),
            mcp: mcp::read(root, problems),
            admission: section(root, "admission", problems),
            admin: section(root, "admin", problems),
            log: section(root, "log", problems),
            metrics: section(root, "metrics", problems),
            console: section(root, "console", problems),
            tracing: section(root, "tracing", problems),
            lifecycle: section(root, "lifecycle", problems),
            clients: clients::read(root, env, problems),
            providers: providers::read(root, env, problems),
            models: models::read(root, problems),
            aliases: aliases(root, problems),
            routes: routes::read(root, problems),
            warnings: Vec::new(),
            origins: show::origins(root),
        }
    }

    /// Whether callers need a key.
    pub fn needs_keys(&self) -> bool {
        self.server.auth.map_or(!self.clients.is_empty(), |auth| auth == Auth::On)
    }

    /// Whether the page for operators is served.
    pub fn has_console(&self) -> bool {
        self.console.enabled.unwrap_or(self.server.host.is_loopback())
    }

    /// Whether the reader of the API's description is served.
    pub fn has_docs(&self) -> bool {
        self.server.docs.unwrap_or(self.server.environment != Stage::Production)
    }

    /// The value of the setting `key`, as TOML, if somebody wrote it. Secrets are hidden.
    pub fn written(&self, key: &str) -> Option<String> {
        show::written(self, key)
    }

    /// Everything that counts, as TOML, secrets hidden, and where it comes from.
    pub fn show(&self) -> String {
        show::config(self)
    }
}

fn section<S: Section>(root: &Table, name: &str, problems: &mut Vec<Problem>) -> S {
    Reader::read(name.to_owned(), root.get(name), problems)
}

fn aliases(root: &Table, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let Some(node) = root.get("aliases") else { return BTreeMap::new() };
    let Content::Table(table) = &node.content else {
        let message = format!("expected a table, found {}", node.kind());
        problems.push(Problem::new("aliases", message).source(node.source.clone()));
        return BTreeMap::new();
    };
    let mut aliases = BTreeMap::new();
    for (name, node) in table {
        if let Some(model) = String::read(node) {
            aliases.insert(name.to_lowercase(), model);
        } else {
            let message = format!("expected the name of a model, found {}", node.kind());
            let problem = Problem::new(format!("aliases.{}", providers::printable(name)), message);
            problems.push(problem.source(node.source.clone()));
        }
    }
    aliases
}

/// Adds to each problem the variable that would put it right.
fn named(problems: Vec<Problem>) -> Problems {
    let named = problems.into_iter().map(|problem| {
        let variable = names::variable_of(problem.key());
        problem.variable(variable)
    });
    Problems(named.collect())
}

#[cfg(test)]
mod tests;
