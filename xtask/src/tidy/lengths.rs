//! Maximum lengths of files and functions.

use super::Source;

/// The most lines that a file may have, tests aside.
const MAX_LINES: usize = 400;

/// A file that is long, and why it is one idea nevertheless.
pub(super) type Exemption = (&'static str, &'static str);

/// Files that are long for a reason.
pub(super) const EXEMPT: &[Exemption] = &[];

/// Checks every Rust file, and that no exemption outlives its reason.
pub(super) fn check(files: &[Source], exempt: &[Exemption]) -> Vec<String> {
    let long: Vec<(&str, usize)> = files
        .iter()
        .filter(|file| file.is("rs") && !is_test(&file.path))
        .map(|file| (file.path.as_str(), lines(&file.text)))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .collect();
    let too_long = long
        .iter()
        .filter(|(path, _)| !exempt.iter().any(|(exempted, _)| exempted == path))
        .map(|(path, lines)| format!("{path} has {lines} lines; is it two ideas?"));
    let stale = exempt
        .iter()
        .filter(|(path, _)| !long.iter().any(|(found, _)| found == path))
        .map(|(path, _)| format!("{path} is not long: take it off the exemptions"));
    let unfounded = exempt
        .iter()
        .filter(|(_, reason)| reason.split_whitespace().count() < 3)
        .map(|(path, _)| format!("{path} is exempt without a reason"));
    too_long.chain(stale).chain(unfounded).collect()
}

/// Whether the whole file is tests.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.starts_with("tests/it/") || path.contains("/tests/")
}

/// Lines before the tests, which stand at the end of a file.
fn lines(text: &str) -> usize {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().count()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::{Exemption, check};

    fn broken(path: &str, lines: usize, exempt: &[Exemption]) -> usize {
        let tests = "#[cfg(test)]\nmod tests {\n".to_owned() + &"// test\n".repeat(500);
        check(&[source(path, &("// code\n".repeat(lines) + &tests))], exempt).len()
    }

    #[test]
    fn tests_do_not_count() {
        assert_eq!(broken("a/src/lib.rs", 400, &[]), 0);
        assert_eq!(broken("a/tests/b.rs", 401, &[]), 0);
        assert_eq!(broken("tests/it/b.rs", 401, &[]), 0);
    }

    #[test]
    fn long_file_is_reported() {
        assert_eq!(broken("a/src/lib.rs", 401, &[]), 1);
        assert_eq!(broken("a/src/notes.md", 401, &[]), 0);
    }

    #[test]
    fn exemption_needs_reason_and_long_file() {
        let reason = "one table, a row each";
        assert_eq!(broken("a/src/lib.rs", 401, &[("a/src/lib.rs", reason)]), 0);
        assert_eq!(broken("a/src/lib.rs", 401, &[("a/src/lib.rs", "long")]), 1);
        assert_eq!(broken("a/src/lib.rs", 400, &[("a/src/lib.rs", reason)]), 1);
    }
}
