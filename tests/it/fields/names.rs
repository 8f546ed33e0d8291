//! The table against the names of the fields in the schemas that providers publish: every field is
//! in the table, or in its base request, or has a reason not to be.
//!
//! `names.txt` is written by `cargo xtask field-names`.

use super::table::{CallerTable, TABLES};
use serde_json::Value;
use std::collections::BTreeSet;

const NAMES: &str = include_str!("names.txt");

/// Fields that are not tried here: a dialect, a path, and the reason.
const NOT_TRIED: &[(&str, &str, &str)] = &[
    ("chat", "stream", "every test of streams"),
    ("chat", "stream_options.include_usage", "every test of streams"),
    ("chat", "max_tokens", "the older name of max_completion_tokens, which the base has"),
    ("responses", "stream", "every test of streams"),
    ("responses", "background", "state of the gateway: responses_state"),
    ("responses", "conversation", "state of the gateway: conversations"),
    ("responses", "conversation.id", "state of the gateway: conversations"),
    ("responses", "previous_response_id", "state of the gateway: responses_state"),
    ("responses", "context_management", "done by the gateway: compaction"),
    ("messages", "stream", "every test of streams"),
    ("messages", "betas", "a header, which SDKs call so"),
    ("messages", "thread", "state of the gateway: threads"),
    ("messages", "thread.type", "state of the gateway: threads"),
    ("messages", "thread.previous_message_id", "state of the gateway: threads"),
];

/// The paths of members in a value; items of lists share the path of their list.
fn add_paths(value: &Value, prefix: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = format!("{prefix}{name}");
                add_paths(member, &format!("{path}."), paths);
                paths.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| add_paths(item, prefix, paths)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The paths that the requests of a table have.
fn tried(table: &CallerTable) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    add_paths(&table.base("m"), "", &mut paths);
    for field in table.fields {
        let name = field.name();
        add_paths(&serde_json::from_str(field.value).unwrap(), &format!("{name}."), &mut paths);
        let parts: Vec<_> = name.split('.').collect();
        paths.extend((1..=parts.len()).map(|count| parts[..count].join(".")));
    }
    paths
}

#[test]
fn every_field_of_the_schemas_is_tried() {
    let mut missing = Vec::new();
    for table in &TABLES {
        let (dialect, tried) = (table.dialect.name(), tried(table));
        let named = NAMES.lines().filter_map(|line| line.strip_prefix(dialect)?.strip_prefix(' '));
        let named: BTreeSet<_> = named.filter_map(|line| line.split(' ').next()).collect();
        assert!(named.len() > 30, "{dialect} has {} names", named.len());
        let is_excused = |name: &str| NOT_TRIED.iter().any(|it| (it.0, it.1) == (dialect, name));
        let untried = named.iter().filter(|name| !tried.contains(**name) && !is_excused(name));
        missing.extend(untried.map(|name| format!("{dialect} {name}")));
        let idle = NOT_TRIED.iter().filter(|it| it.0 == dialect && tried.contains(it.1));
        missing.extend(idle.map(|it| format!("{dialect} {} is tried after all", it.1)));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
