//! The page of error codes has every code that the crates assign, and no other.

use super::Source;
use std::collections::BTreeSet;

const PAGE: &str = "docs/troubleshooting.md";
const KINDS: &str = "crates/gateway-core/src/error_kind.rs";
/// The files beside `KINDS` with codes that are the values of a match.
const MATCHES: &[&str] = &["crates/gateway-net/src/client/error.rs"];

/// Compares the page with the code.
pub(super) fn check(files: &[Source]) -> Vec<String> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| &*file.text);
    let shown = rows(text(PAGE).unwrap_or_default());
    let mut real = kinds(text(KINDS).unwrap_or_default());
    for path in MATCHES {
        real.extend(text(path).unwrap_or_default().lines().filter_map(value));
    }
    if real.is_empty() {
        return vec![format!("{KINDS}: no error codes are found")];
    }
    let crates = files.iter().filter(|file| file.path.starts_with("crates/"));
    let assigned: BTreeSet<String> = crates.flat_map(|file| assigned(&file.text)).collect();
    real.extend(assigned);
    let missing = real.iter().filter(|code| !shown.contains(*code));
    let sources = || files.iter().filter(|file| file.is("rs"));
    let gone = shown.iter().filter(|code| {
        let quoted = format!("\"{code}\"");
        !sources().any(|file| file.text.contains(&quoted))
    });
    let missing = missing.map(|code| format!("{PAGE} does not explain `{code}`"));
    missing
        .chain(gone.map(|code| format!("{PAGE} explains `{code}`, which is not there")))
        .collect()
}

/// Returns the codes in the first cells of the page's tables.
fn rows(page: &str) -> BTreeSet<String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let codes = cells.flat_map(|cell| cell.split('`').step_by(2).map(str::to_owned));
    codes.filter(|code| !code.is_empty()).collect()
}

/// Returns the values of the match in `as_str`.
fn kinds(code: &str) -> BTreeSet<String> {
    let lines = code.lines().skip_while(|line| !line.contains("pub const fn as_str"));
    lines.take_while(|line| *line != "    }").filter_map(value).collect()
}

/// Returns the text in a line like `pattern => "text",`.
fn value(line: &str) -> Option<String> {
    let (_, value) = line.split_once("=> \"")?;
    Some(value.split('"').next()?.to_owned())
}

/// Returns the codes that are assigned to errors as texts.
fn assigned(code: &str) -> impl Iterator<Item = String> {
    let calls = code.split(concat!("with_", "code(\"")).skip(1);
    calls.filter_map(|rest| Some(rest.split('"').next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::{KINDS, PAGE, check};

    const CODE: &str = "    pub const fn as_str(self) -> &'static str {\n        match self {\n            \
                        Self::NotFound => \"not_found\",\n        }\n    }\n";

    fn found(page: &str) -> Vec<String> {
        check(&[source(KINDS, CODE), source(PAGE, page)])
    }

    #[test]
    fn page_has_every_code_and_no_other() {
        let head = "| Code | Cause |\n|---|---|\n";
        assert!(found(&format!("{head}| `not_found` | x |\n")).is_empty());
        assert_eq!(found(head), [format!("{PAGE} does not explain `not_found`")]);
        let other = found(&format!("{head}| `not_found`, `other` | x |\n"));
        assert_eq!(other, [format!("{PAGE} explains `other`, which is not there")]);
    }
}
