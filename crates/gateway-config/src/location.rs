//! The positions of settings in the file: line and column by key.

use super::{
    printable::printable,
    raw_value::{ConfigValue, Table, ValueKind, ValueSource},
};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// The sources of all values, and the positions of those of the file, by key in lower case.
#[derive(Debug, Default)]
pub(super) struct Locations {
    sources: BTreeMap<String, ValueSource>,
    positions: BTreeMap<String, Position>,
}

/// A position in a file, counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    /// Returns the position of the byte `offset` of `text`.
    pub(super) fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }
}

impl Locations {
    /// Collects the locations of `root`, whose file says `text`.
    pub(super) fn of(root: &Table, text: Option<&str>) -> Self {
        let mut locations = Self::default();
        locations.add_sources("", root);
        if let Some(text) = text
            && let Ok(table) = DeTable::parse(text)
        {
            locations.add_positions("", table.get_ref(), text);
        }
        locations
    }

    /// Returns the source and the position of `key`, or of the nearest table around it.
    pub(super) fn find(&self, key: &str) -> Option<(&ValueSource, Option<Position>)> {
        let mut key = key.to_lowercase();
        loop {
            if let Some(source) = self.sources.get(&key) {
                let in_file = matches!(source, ValueSource::File(_));
                return Some((source, self.positions.get(&key).copied().filter(|_| in_file)));
            }
            key.truncate(key.rfind(['.', '['])?);
        }
    }

    fn add_sources(&mut self, path: &str, table: &Table) {
        for (key, value) in table {
            self.add_source(join(path, key), value);
        }
    }

    fn add_source(&mut self, path: String, value: &ConfigValue) {
        match &value.content {
            ValueKind::Table(table) => self.add_sources(&path, table),
            ValueKind::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.add_source(format!("{path}[{at}]"), item);
                }
            }
            ValueKind::Text(_)
            | ValueKind::Integer(_)
            | ValueKind::Decimal(_)
            | ValueKind::Flag(_) => {}
        }
        self.sources.insert(path, value.source.clone());
    }

    fn add_positions(&mut self, path: &str, table: &DeTable<'_>, text: &str) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.positions.insert(path.clone(), Position::at(text, key.span().start));
            self.add_position(&path, value.get_ref(), text);
        }
    }

    fn add_position(&mut self, path: &str, value: &DeValue<'_>, text: &str) {
        if let Some(table) = value.as_table() {
            self.add_positions(path, table, text);
        }
        for (at, item) in value.as_array().into_iter().flatten().enumerate() {
            let path = format!("{path}[{at}]");
            self.positions.insert(path.clone(), Position::at(text, item.span().start));
            self.add_position(&path, item.get_ref(), text);
        }
    }
}

fn join(path: &str, key: &str) -> String {
    let key = printable(key).to_lowercase();
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_position_is_line_1_column_1() {
        let text = "a = 1\nüb = 2\n";
        for (offset, line, column) in [(0, 1, 1), (4, 1, 5), (6, 2, 1), (8, 2, 2), (999, 3, 1)] {
            assert_eq!(Position::at(text, offset), Position { line, column }, "{offset}");
        }
    }
}
