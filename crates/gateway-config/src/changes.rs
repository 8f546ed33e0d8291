//! What differs between two configurations.

use super::{Config, show};
use std::{collections::BTreeMap, fmt};

/// A setting that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Its key.
    pub key: String,
    /// Its value before, secrets hidden; `None` if there was none.
    pub from: Option<String>,
    /// Its value after, secrets hidden; `None` if there is none.
    pub to: Option<String>,
}

/// Settings that only count from the start of the process: what they shape cannot be swapped while
/// it is in use. A key that ends with a dot stands for all below it.
const FROM_THE_START: [&str; 16] = [
    "admin.listen",
    "server.host",
    "server.port",
    "server.health_port",
    "server.data_dir",
    "server.max_connections",
    "timeouts.client_write",
    "timeouts.header",
    "timeouts.idle_connection",
    "store.backend",
    "store.redis_url",
    "store.durability",
    "lifecycle.start_from_last_good",
    "log.format",
    "metrics.enabled",
    "tracing.",
];

impl Change {
    /// Whether it only counts after a restart.
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

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        write!(f, "{}: {} -> {}", self.key, shown(&self.from), shown(&self.to))?;
        if self.needs_restart() { f.write_str(" (after a restart)") } else { Ok(()) }
    }
}

/// What has to be changed of `before` to get `after`, by key.
pub fn between(before: &Config, after: &Config) -> Vec<Change> {
    let (before, mut after) = (settings(before), settings(after));
    let mut changes = Vec::new();
    for (key, (from, mark)) in before {
        let (to, new_mark) = after.remove(&key).unwrap_or_default();
        if mark != new_mark {
            changes.push(Change { key, from, to });
        }
    }
    let added = after.into_iter().filter(|(_, (_, mark))| mark.is_some());
    changes.extend(added.map(|(key, (to, _))| Change { key, from: None, to }));
    changes.sort_by(|one, other| one.key.cmp(&other.key));
    changes
}

/// What is shown of every setting, and what differs if it does.
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
                all.insert(key, (row.value, row.mark));
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
    fn nothing_differs_from_itself() {
        let all = "[server]\nport = 81\n[[clients]]\nname = \"a\"\nkey = \"k-1234567890123456\"";
        check(all, all, &[]);
        check("", "", &[]);
    }

    #[test]
    fn what_differs_is_told() {
        check(
            "[log]\nlevel = \"info\"",
            "[log]\nlevel = \"debug\"",
            &[r#"log.level: "info" -> "debug""#],
        );
        check("", "[server]\nport = 81", &["server.port: 8080 -> 81 (after a restart)"]);
        check("[aliases]\na = \"b\"", "", &[r#"aliases."a": "b" -> not set"#]);
    }

    #[test]
    fn secrets_differ_without_being_told() {
        let provider = |key: &str| format!("[providers.openai]\napi_key = \"{key}\"");
        let hidden = "providers.openai.api_key: \"[redacted]\" -> \"[redacted]\"";
        check(&provider("sk-one"), &provider("sk-two"), &[hidden]);
        check(&provider("sk-one"), &provider("sk-one"), &[]);
    }
}
