//! The configuration that counts, for an operator to read.

use super::{
    Config,
    node::{Content, Node, Source, Table},
    section::Section,
    value::quoted,
};
use std::{collections::BTreeMap, fmt::Write};

/// Where every setting was written, by key.
pub(super) fn origins(root: &Table) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    for (key, node) in root {
        gather(key.clone(), node, &mut origins);
    }
    origins
}

fn gather(key: String, node: &Node, origins: &mut BTreeMap<String, String>) {
    if let Content::Table(table) = &node.content {
        for (part, node) in table {
            gather(format!("{key}.{part}"), node, origins);
        }
    }
    let (Source::File(name) | Source::Variable(name)) = &node.source;
    origins.insert(key, name.to_string());
}

/// The whole configuration as TOML.
pub(super) fn config(config: &Config) -> String {
    let mut out = String::new();
    let mut table = |header: &str, path: &str, rows: Vec<(&str, Option<String>)>| {
        let _ = writeln!(out, "[{header}]");
        for (key, value) in rows {
            let origin = config.origins.get(&format!("{path}.{key}"));
            let origin = origin.map(|origin| format!("  # {origin}")).unwrap_or_default();
            let _ = match value {
                Some(value) => writeln!(out, "{key} = {value}{origin}"),
                None => writeln!(out, "# {key} is not set"),
            };
        }
        out.push('\n');
    };
    table("server", "server", config.server.show());
    table("timeouts", "timeouts", config.timeouts.show());
    table("routing", "routing", config.routing.show());
    table("store", "store", config.store.show());
    table("sessions", "sessions", config.sessions.show());
    table("resilience", "resilience", config.resilience.show());
    table("log", "log", config.log.show());
    table("metrics", "metrics", config.metrics.show());
    table("console", "console", config.console.show());
    for client in &config.clients {
        table("[clients]", "clients", client.show());
    }
    for (name, provider) in &config.providers {
        table(
            &format!("providers.{}", quoted(name)),
            &format!("providers.{name}"),
            provider.show(),
        );
    }
    for model in &config.models {
        table("[models]", "models", model.show());
    }
    let aliases: Vec<_> =
        config.aliases.iter().map(|(name, model)| (quoted(name), quoted(model))).collect();
    let aliases = aliases.iter().map(|(name, model)| (name.as_str(), Some(model.clone())));
    table("aliases", "aliases", aliases.collect());
    out
}
