//! Settings of the configuration without a reader.
//!
//! Sections are declared by the macro `section!` of `gateway-config`. Somewhere outside these tables, each
//! setting must be read: as often as there are sections with a setting of its name.

use super::RustFile;
use crate::tidy::ratchet::Finding;
use std::collections::BTreeMap;

const DECLARING: &str = "gateway-config";
const READING: [&str; 3] = ["gateway-assembly", "gateway-config", "gateway-server"];

/// Returns the declarations of settings that are read less often than they are declared.
pub(in crate::tidy) fn unread_settings(code: &[RustFile<'_>]) -> Vec<Finding> {
    let mut declared: BTreeMap<&str, Vec<Finding>> = BTreeMap::new();
    for file in code.iter().filter(|file| file.package == DECLARING && !file.is_test()) {
        for (line, name) in declarations(file.code) {
            let what = format!("the setting `{name}` is not read");
            let finding = Finding { path: file.path.to_owned(), line, what };
            declared.entry(name).or_default().push(finding);
        }
    }
    let readers = code.iter().filter(|it| READING.contains(&it.package) && !it.is_test());
    let texts: Vec<String> = readers.map(|file| without_tables(file.code)).collect();
    let reads = |name: &str| -> usize { texts.iter().map(|text| uses(text, name)).sum() };
    let unread = declared.into_iter().filter(|(name, found)| reads(name) < found.len());
    unread.flat_map(|(_, found)| found).collect()
}

/// The settings of the tables of a file, with their lines.
fn declarations(text: &str) -> Vec<(usize, &str)> {
    let in_tables = text.lines().enumerate().scan(false, |inside, (index, line)| {
        *inside = (*inside || line.starts_with("section! {")) && line != "}";
        Some((*inside, index, line))
    });
    in_tables
        .filter(|(inside, _, line)| *inside && !line.trim_start().starts_with("//"))
        .filter_map(|(_, index, line)| {
            let (name, rest) = line.trim().split_once(": ")?;
            let is_name =
                name.bytes().all(|it| it.is_ascii_lowercase() || b"_0123456789".contains(&it));
            (is_name && rest.contains(" = ")).then_some((index + 1, name))
        })
        .collect()
}

/// The code outside the tables, without comments.
fn without_tables(text: &str) -> String {
    let mut inside = false;
    let mut code = String::new();
    for line in text.lines() {
        inside = inside || line.starts_with("section! {");
        if !inside {
            code.push_str(line.split("//").next().unwrap_or_default());
            code.push('\n');
        }
        inside = inside && line != "}";
    }
    code
}

/// Counts the places where `name` is read as a field, or bound by a pattern.
fn uses(text: &str, name: &str) -> usize {
    let is_part = |it: char| it.is_alphanumeric() || it == '_';
    let hits = text.match_indices(name).filter(|(at, _)| {
        let before = text.get(..*at).and_then(|it| it.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|it| it.chars().next());
        let is_whole = !before.is_some_and(is_part) && !after.is_some_and(is_part);
        // A field, or a name in a pattern such as `ToolCallsSection { running, .. }`.
        is_whole && (before == Some('.') || (before == Some(' ') && after == Some(',')))
    });
    hits.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tidy::source, workspace::package};
    use std::path::Path;

    fn unread(table: &str, reader: &str) -> Vec<usize> {
        let [config, server] = ["gateway-config", "gateway-server"].map(|name| {
            let manifest_path = format!("/w/{name}/Cargo.toml").into();
            crate::workspace::Package { manifest_path, ..package(name) }
        });
        let sources = [
            source("gateway-config/src/server.rs", table),
            source("gateway-server/src/serve.rs", reader),
        ];
        let packages = [config, server];
        let code = super::super::rust_files(Path::new("/w"), &packages, &sources);
        unread_settings(&code).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn setting_without_reader_is_found() {
        let table = "section! {\n    pub A {\n        /// Port.\n        port: u16 = 1;\n        \
                     host: Text = x();\n    }\n}\n";
        assert_eq!(unread(table, "fn f(it: &A) { it.port; it.host; }"), [0; 0]);
        assert_eq!(unread(table, "fn f(it: &A) { let A { port, .. } = it; } // it.host"), [5]);
        assert_eq!(unread(table, "fn f(it: &A) { it.ports; it.host_name; }"), [5, 4]);
    }

    #[test]
    fn name_of_two_sections_needs_two_readers() {
        let table = "section! {\n    pub A {\n        ttl: u16 = 1;\n    }\n}\n";
        let two = format!("{table}{table}");
        assert_eq!(unread(&two, "fn f() { a.ttl; }"), [3, 8]);
        assert_eq!(unread(&two, "fn f() { a.ttl; b.ttl; }"), [0; 0]);
    }
}
