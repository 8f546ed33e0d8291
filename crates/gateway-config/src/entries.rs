//! The entries of sections that have several: lists of tables, and tables with names.

use super::{
    error::ConfigError,
    raw_value::{ConfigValue, Table, ValueKind},
};

/// Returns the entries of `[[key]]`. A value that is not a list is an error, and has none.
pub(super) fn list_entries<'a>(
    root: &'a Table,
    key: &str,
    errors: &mut Vec<ConfigError>,
) -> &'a [ConfigValue] {
    match root.get(key).map(|node| (node, &node.content)) {
        Some((_, ValueKind::List(entries))) => entries,
        Some((node, _)) => {
            errors.push(unexpected(key, node, "a list of tables"));
            &[]
        }
        None => &[],
    }
}

/// Returns the entries of `[key.NAME]`, by name. A value that is not a table is an error, and has
/// none.
pub(super) fn named_entries<'a>(
    root: &'a Table,
    key: &str,
    errors: &mut Vec<ConfigError>,
) -> impl Iterator<Item = (&'a String, &'a ConfigValue)> + use<'a> {
    let table = match root.get(key).map(|node| (node, &node.content)) {
        Some((_, ValueKind::Table(table))) => Some(table),
        Some((node, _)) => {
            errors.push(unexpected(key, node, "a table"));
            None
        }
        None => None,
    };
    table.into_iter().flatten()
}

fn unexpected(key: &str, node: &ConfigValue, expected: &str) -> ConfigError {
    let message = format!("expected {expected}, found {}", node.kind());
    ConfigError::new(key, message).source(node.source.clone())
}
