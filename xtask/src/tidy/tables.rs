//! The tables of the README hold what the code has: every provider, every endpoint, and no other.

use super::Source;
use std::collections::BTreeSet;

const README: &str = "README.md";

/// A table, by its first column's head, and where in the code its rows come from.
struct Table {
    head: &'static str,
    file: &'static str,
    rows: fn(&str) -> BTreeSet<String>,
}

const TABLES: &[Table] = &[
    Table { head: "Provider", file: "crates/gateway-providers/src/lib.rs", rows: providers },
    Table { head: "Endpoint", file: "crates/gateway-http/src/endpoint.rs", rows: endpoints },
];

/// Compares each table with the code.
pub(super) fn check(files: &[Source]) -> Vec<String> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| &*file.text);
    let readme = text(README).unwrap_or_default();
    TABLES
        .iter()
        .flat_map(|table| table.compare(readme, text(table.file).unwrap_or_default()))
        .collect()
}

impl Table {
    fn compare(&self, page: &str, code: &str) -> Vec<String> {
        let (shown, real) = (first_cells(page, self.head), (self.rows)(code));
        if real.is_empty() {
            return vec![format!("{}: nothing is found that {README} could list", self.file)];
        }
        let missing = real.difference(&shown).map(|row| format!("{README} does not list {row}"));
        let gone =
            shown.difference(&real).map(|row| format!("{README} lists {row}, which is not there"));
        missing.chain(gone).collect()
    }
}

/// Returns the first backquoted text in the first cell of each row.
fn first_cells(page: &str, head: &str) -> BTreeSet<String> {
    let begin = format!("| {head} |");
    let lines = page.lines().skip_while(|line| !line.starts_with(&begin)).skip(2);
    let rows = lines.map_while(|line| line.strip_prefix('|'));
    rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect()
}

/// The entries of the list `ALL`: `module::DESCRIPTOR`, or `module::NAME` for a module's second.
fn providers(code: &str) -> BTreeSet<String> {
    let entries = code.lines().skip_while(|line| !line.starts_with("pub const ALL")).skip(1);
    let entries = entries.map_while(|line| line.trim().strip_suffix(',')?.split_once("::"));
    let names = entries.map(|(module, name)| if name == "DESCRIPTOR" { module } else { name });
    names.map(str::to_lowercase).collect()
}

/// The templates in the table `endpoints!`: of a row with two texts, what stands around the id; if
/// the second ends openly, another id follows it.
fn endpoints(code: &str) -> BTreeSet<String> {
    let rows = code.lines().skip_while(|line| !line.starts_with("endpoints! {")).skip(1);
    let rows = rows.take_while(|line| !line.starts_with('}'));
    let texts = |row: &str| row.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let templates = rows.map(|row| -> Vec<String> { texts(row) }).filter(|it| !it.is_empty());
    let template = |texts: Vec<String>| {
        let is_open = texts.len() == 2 && texts.last().is_some_and(|it| it.ends_with('/'));
        texts.join("{id}") + if is_open { "{item_id}" } else { "" }
    };
    templates.map(template).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::check;

    const PROVIDERS: &str = "pub const ALL: &[Descriptor] = &[\n    openai::DESCRIPTOR,\n    \
                             llamacpp::INFERENCE,\n];\nfn x() {}\n";
    const ENDPOINTS: &str = "endpoints! {\n    fixed {\n        Root \"/\" [GET] Open;\n    }\n    \
                             named {\n        Model \"/v1/models/\" rest \"\" [GET] Keyed;\n    }\n    \
                             within {\n        Item \"/v1/x/\" \"/y/\" [GET] Keyed;\n    }\n\
                             }\nx \"/no\"\n";

    fn broken(providers: &str, endpoints: &str) -> Vec<String> {
        let rows = |names: &str| {
            let rows = names.split_whitespace().map(|name| format!("| `{name}` | `x` |"));
            rows.collect::<Vec<_>>().join("\n")
        };
        let page = format!(
            "| Provider | Key |\n|---|---|\n{}\n\n| Endpoint | What |\n|---|---|\n{}\n",
            rows(providers),
            rows(endpoints)
        );
        check(&[
            source("README.md", &page),
            source("crates/gateway-providers/src/lib.rs", PROVIDERS),
            source("crates/gateway-http/src/endpoint.rs", ENDPOINTS),
        ])
    }

    #[test]
    fn tables_that_are_complete() {
        assert_eq!(broken("openai inference", "/ /v1/models/{id} /v1/x/{id}/y/{item_id}"), [""; 0]);
    }

    #[test]
    fn rows_that_are_missing_or_gone() {
        assert_eq!(
            broken("openai", "/ /v1/models/{id} /v1/x/{id}/y/{item_id}"),
            ["README.md does not list inference"]
        );
        let gone = broken("openai inference", "/ /v1/models/{id} /v1/x/{id}/y/{item_id} /no");
        assert_eq!(gone, ["README.md lists /no, which is not there"]);
    }

    #[test]
    fn code_that_looks_otherwise_is_not_taken_for_none() {
        assert_eq!(check(&[source("README.md", "")]).len(), 2);
    }
}
