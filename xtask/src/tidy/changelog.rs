//! There is a place for what changed since the last release.

use super::Source;

const FILE: &str = "CHANGELOG.md";
const SECTION: &str = "## [Unreleased]";

/// Checks that the change log has its section.
pub(super) fn check(files: &[Source]) -> Vec<String> {
    match files.iter().find(|file| file.path == FILE) {
        None => vec![format!("{FILE} is missing")],
        Some(log) if log.text.lines().any(|line| line.trim_end() == SECTION) => Vec::new(),
        Some(_) => vec![format!("{FILE} has no section `{SECTION}`")],
    }
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::check;

    #[test]
    fn missing_section_is_reported() {
        assert_eq!(check(&[source("CHANGELOG.md", "# x\n\n## [Unreleased]\n")]).len(), 0);
        assert_eq!(check(&[source("CHANGELOG.md", "# x\n\n## [1.0.0]\n")]).len(), 1);
        assert_eq!(check(&[source("docs/CHANGELOG.md", "## [Unreleased]")]).len(), 1);
    }
}
