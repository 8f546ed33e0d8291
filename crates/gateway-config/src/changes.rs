//! The differences between two configurations.

use super::{Config, show};
use std::{collections::BTreeMap, fmt};

/// A setting with different values.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettingChange {
    /// The key.
    pub key: String,
    /// The previous value, secrets hidden; `None` if it was not set.
    pub from: Option<String>,
    /// The new value, secrets hidden; `None` if it is not set.
    pub to: Option<String>,
}

/// Settings that take effect at a restart: what they shape cannot be swapped while it is in use. A
/// key that ends with a dot stands for all keys below it.
const FROM_THE_START: [&str; 33] = [
    "admission.body_memory",
    "admin.listen",
    "request_log.max_requests",
    "request_log.ttl",
    "server.host",
    "server.port",
    "server.health_port",
    "server.data_dir",
    "server.max_connections",
    "timeouts.client_write",
    "timeouts.header",
    "timeouts.idle_connection",
    "store.backend",
    "store.postgres_ca_file",
    "store.postgres_connections",
    "store.postgres_schema",
    "store.postgres_timeout",
    "store.postgres_url",
    "store.redis_ca_file",
    "store.redis_prefix",
    "store.redis_timeout",
    "store.redis_url",
    "store.durability",
    "store.tenant_bytes",
    "store.tenant_idempotency_records",
    "store.tenant_responses",
    "store.tenant_sessions",
    "tls.cert_file",
    "tls.key_file",
    "lifecycle.start_from_last_good",
    "log.format",
    "metrics.enabled",
    "tracing.",
];

impl SettingChange {
    /// Returns whether the change takes effect only after a restart.
    pub fn needs_restart(&self) -> bool {
        FROM_THE_START.iter().any(|key| match key.strip_suffix('.') {
            Some(section) => self.is_within(section),
            None => self.key == *key,
        })
    }

    /// Whether it is a change of the section `section`, or of one below it.
    pub fn is_within(&self, section: &str) -> bool {
        self.key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
    }
}

impl fmt::Display for SettingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        write!(f, "{}: {} -> {}", self.key, shown(&self.from), shown(&self.to))?;
        if self.needs_restart() { f.write_str(" (after a restart)") } else { Ok(()) }
    }
}

/// Returns the changes from `before` to `after`, by key.
pub fn between(before: &Config, after: &Config) -> Vec<SettingChange> {
    let (before, mut after) = (settings(before), settings(after));
    let mut changes = Vec::new();
    for (key, (from, fingerprint)) in before {
        let (to, new_fingerprint) = after.remove(&key).unwrap_or_default();
        if fingerprint != new_fingerprint {
            changes.push(SettingChange { key, from, to });
        }
    }
    let added = after.into_iter().filter(|(_, (_, fingerprint))| fingerprint.is_some());
    changes.extend(added.map(|(key, (to, _))| SettingChange { key, from: None, to }));
    changes.sort_by(|one, other| one.key.cmp(&other.key));
    changes
}

/// Returns the displayed value and the fingerprint of every setting.
fn settings(config: &Config) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let mut all = BTreeMap::new();
    show::tables(config, |_, path, rows| {
        for row in rows {
            // A client may have several keys.
            let name = format!("{path}.{}", row.name);
            let keys = (1..).map(|number| match number {
                1 => name.clone(),
                _ => format!("{name}#{number}"),
            });
            let mut free = keys.filter(|key| !all.contains_key(key));
            if let Some(key) = free.next() {
                all.insert(key, (row.value, row.fingerprint));
            }
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;

    fn parse(text: &str) -> Config {
        Config::parse(Some(("gateway.toml", text)), &Environment::default()).unwrap()
    }

    #[track_caller]
    fn check(before: &str, after: &str, expected: &[&str]) {
        let changes = between(&parse(before), &parse(after));
        let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn equal_configurations_have_no_changes() {
        let all = "[server]\nport = 81\n[[clients]]\nname = \"a\"\nkey = \"k-0123456789abcdef0123456789abcdef\"";
        check(all, all, &[]);
        check("", "", &[]);
    }

    #[test]
    fn different_settings_are_listed() {
        check(
            "[log]\nlevel = \"info\"",
            "[log]\nlevel = \"debug\"",
            &[r#"log.level: "info" -> "debug""#],
        );
        check("", "[server]\nport = 81", &["server.port: 8080 -> 81 (after a restart)"]);
        check("[aliases]\na = \"b\"", "", &[r#"aliases."a": "b" -> not set"#]);
    }

    #[test]
    fn changed_secret_is_listed_but_hidden() {
        let provider = |key: &str| format!("[providers.openai]\napi_key = \"{key}\"");
        let hidden = "providers.openai.api_key: \"[redacted]\" -> \"[redacted]\"";
        check(&provider("sk-one"), &provider("sk-two"), &[hidden]);
        check(&provider("sk-one"), &provider("sk-one"), &[]);
    }
}
