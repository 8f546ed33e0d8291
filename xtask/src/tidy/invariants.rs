//! The tests that `docs/ARCHITECTURE.md` says hold its invariants exist.
//!
//! The table's last column names them in backquotes, with or without a path before the name; a row
//! whose last column names none must say `not yet`.

use super::Source;

const FILE: &str = "docs/ARCHITECTURE.md";
const LAST_COLUMN: &str = "held by";

/// Checks each name in the table.
pub(super) fn check(files: &[Source]) -> Vec<String> {
    let Some(page) = files.iter().find(|file| file.path == FILE) else {
        return vec![format!("{FILE} is missing")];
    };
    let rows: Vec<&str> = last_cells(&page.text).collect();
    if rows.is_empty() {
        return vec![format!("{FILE} has no table with the column `{LAST_COLUMN}`")];
    }
    rows.into_iter().flat_map(|cell| problems(cell, files)).collect()
}

fn problems(cell: &str, files: &[Source]) -> Vec<String> {
    let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    if names.is_empty() && !cell.contains("not yet") {
        return vec![format!("{FILE}: `{cell}` names no test")];
    }
    let missing = names.into_iter().filter(|name| !is_defined(name, files));
    missing.map(|name| format!("{FILE} names the test `{name}`, which is nowhere")).collect()
}

fn is_defined(name: &str, files: &[Source]) -> bool {
    let name = name.rsplit("::").next().unwrap_or(name);
    let definition = format!("fn {name}(");
    files.iter().any(|file| file.is("rs") && file.text.contains(&definition))
}

/// The last cells of the rows of the table, its head and its rule aside.
fn last_cells(page: &str) -> impl Iterator<Item = &str> {
    let mut lines = page.lines().map(str::trim);
    let _before: Option<&str> = lines.find(|line| last_cell(line) == Some(LAST_COLUMN));
    lines.skip(1).map_while(last_cell)
}

fn last_cell(line: &str) -> Option<&str> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    row.rsplit('|').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::super::{Source, source};
    use super::check;

    fn broken(rows: &str) -> Vec<String> {
        let page = format!("# x\n\n| invariant | held by |\n|---|---|\n{rows}\n\n| `y` |\n");
        let code: Source = source("a/b.rs", "#[test]\nfn it_holds() {}\n");
        check(&[source("docs/ARCHITECTURE.md", &page), code])
    }

    #[test]
    fn existing_test_is_accepted() {
        assert_eq!(broken("| a | `it_holds` |\n| b | not yet |"), [""; 0]);
        assert_eq!(broken("| a | `gateway_core::x::it_holds`, in all |"), [""; 0]);
    }

    #[test]
    fn missing_test_is_reported() {
        assert_eq!(broken("| a | `it_holds` |\n| b | `it_held`, `it_holds` |").len(), 1);
        assert_eq!(broken("| a | `it_hold` |").len(), 1);
    }

    #[test]
    fn empty_row_is_reported() {
        assert_eq!(broken("| a | trust us |").len(), 1);
        assert_eq!(broken("").len(), 1);
        assert_eq!(check(&[]).len(), 1);
    }
}
