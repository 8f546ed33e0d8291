//! The effective configuration as TOML.

use super::{
    Config,
    raw_value::{ConfigValue, Table, ValueKind, ValueSource},
    section::{DisplayedSetting, Section},
    value::quoted,
};
use std::{collections::BTreeMap, fmt::Write};

/// Returns the source of every written setting, by key.
pub(super) fn origins(root: &Table) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    for (key, node) in root {
        gather(key.clone(), node, &mut origins);
    }
    origins
}

fn gather(key: String, node: &ConfigValue, origins: &mut BTreeMap<String, String>) {
    if let ValueKind::Table(table) = &node.content {
        for (part, node) in table {
            gather(format!("{key}.{part}"), node, origins);
        }
    }
    let (ValueSource::File(name) | ValueSource::Variable(name)) = &node.source;
    origins.insert(key, name.to_string());
}

/// Returns the whole configuration as TOML.
pub(super) fn config(config: &Config) -> String {
    let mut out = String::new();
    tables(config, |header, path, rows| {
        let _ = writeln!(out, "[{header}]");
        for DisplayedSetting { name, value, .. } in rows {
            let origin = config.origins.get(&format!("{path}.{name}"));
            let origin = origin.map(|origin| format!("  # {origin}")).unwrap_or_default();
            let _ = match value {
                Some(value) => writeln!(out, "{name} = {value}{origin}"),
                None => writeln!(out, "# {name} is not set"),
            };
        }
        out.push('\n');
    });
    out
}

/// Returns the value of the setting `key` as TOML, if it is written anywhere.
pub(super) fn written(config: &Config, key: &str) -> Option<String> {
    config.origins.get(key)?;
    let (wanted, name) = key.rsplit_once('.')?;
    let mut value = None;
    tables(config, |_, path, rows| {
        if path == wanted {
            value = rows.into_iter().find(|row| row.name == name).and_then(|row| row.value);
        }
    });
    value
}

/// Calls `table` for each table with its header, the prefix of its keys and its settings.
pub(super) fn tables(config: &Config, mut table: impl FnMut(&str, &str, Vec<DisplayedSetting>)) {
    table("server", "server", config.server.show());
    table("timeouts", "timeouts", config.timeouts.show());
    table("routing", "routing", config.routing.show());
    table("store", "store", config.store.show());
    table("sessions", "sessions", config.sessions.show());
    table("cache", "cache", config.cache.show());
    table("resilience", "resilience", config.resilience.show());
    table("limits", "limits", config.limits.show());
    table("budgets", "budgets", config.budgets.show());
    table("request_log", "request_log", config.request_log.show());
    table("catalogue", "catalogue", config.catalogue.show());
    table("cms", "cms", config.cms.show());
    table("services", "services", config.services.show());
    table("tool_calls", "tool_calls", config.tool_calls.show());
    table("admission", "admission", config.admission.show());
    table("admin", "admin", config.admin.show());
    table("tls", "tls", config.tls.show());
    table("log", "log", config.log.show());
    table("metrics", "metrics", config.metrics.show());
    table("console", "console", config.console.show());
    table("tracing", "tracing", config.tracing.show());
    table("lifecycle", "lifecycle", config.lifecycle.show());
    named_tables(config, table);
}

/// Calls `table` for each table of which there may be many.
fn named_tables(config: &Config, mut table: impl FnMut(&str, &str, Vec<DisplayedSetting>)) {
    for client in &config.clients {
        let rows =
            client.show().into_iter().map(|(name, value)| DisplayedSetting::plain(name, value));
        table("[clients]", &format!("clients.{}", client.name), rows.collect());
    }
    for tenant in &config.tenants {
        table("[tenants]", &format!("tenants.{}", tenant.name()), tenant.show());
    }
    for (name, provider) in &config.providers {
        table(
            &format!("providers.{}", quoted(name)),
            &format!("providers.{name}"),
            provider.show(),
        );
    }
    for model in &config.models {
        let id = model.id.as_deref().unwrap_or_default();
        table("[models]", &format!("models.{id}"), model.show());
    }
    for tool in &config.tools {
        let name = tool.name.as_deref().unwrap_or_default();
        table("[tools]", &format!("tools.{name}"), tool.show());
    }
    for (name, server) in &config.mcp {
        table(&format!("mcp.{}", quoted(name)), &format!("mcp.{name}"), server.show());
    }
    for (name, taxonomy) in &config.taxonomies {
        let header = format!("taxonomies.{}", quoted(name));
        table(&header, &format!("taxonomies.{name}"), taxonomy.show());
    }
    for route in &config.routes {
        let name = route.model.as_deref().unwrap_or_default();
        table("[routes]", &format!("routes.{name}"), route.show());
    }
    let aliases = config.aliases.iter();
    let aliases =
        aliases.map(|(name, model)| DisplayedSetting::plain(quoted(name), Some(quoted(model))));
    table("aliases", "aliases", aliases.collect());
}
