//! Every crate says what it is for, and is held to the same lints as the others.

use super::Source;
use crate::workspace::Package;
use std::path::Path;

/// Checks every member of the workspace.
pub(super) fn check(root: &Path, packages: &[Package], files: &[Source]) -> Vec<String> {
    packages.iter().flat_map(|package| problems(root, package, files)).collect()
}

fn problems(root: &Path, package: &Package, files: &[Source]) -> Vec<String> {
    let manifest = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path);
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let text = |path: &Path| {
        files.iter().find(|file| Path::new(&file.path) == path).map(|file| file.text.as_str())
    };
    let main = text(&folder.join("src/lib.rs")).or_else(|| text(&folder.join("src/main.rs")));
    let mut wrong = Vec::new();
    if !main.is_some_and(|main| main.starts_with("//! ")) {
        wrong.push("has no module doc that says what it is for");
    }
    if package.description.as_deref().unwrap_or_default().is_empty() {
        wrong.push("has no description");
    }
    let manifest = text(manifest).unwrap_or_default();
    if !manifest.contains("[lints]\nworkspace = true") {
        wrong.push("does not take the lints of the workspace");
    }
    if manifest.lines().any(|line| line == "version.workspace = true") {
        wrong.push("has no version of its own");
    }
    wrong.into_iter().map(|what| format!("{} {what}", package.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::check;
    use crate::workspace::Package;
    use std::path::Path;

    const GOOD: &str = "version = \"0.1.0\"\n\n[lints]\nworkspace = true\n";

    fn broken(description: &str, manifest: &str, main: &str) -> usize {
        let package = Package {
            name: "x".to_owned(),
            description: Some(description.to_owned()),
            manifest_path: "/w/crates/x/Cargo.toml".into(),
            dependencies: Vec::new(),
        };
        let files = [source("crates/x/Cargo.toml", manifest), source("crates/x/src/lib.rs", main)];
        check(Path::new("/w"), &[package], &files).len()
    }

    #[test]
    fn a_crate_that_says_what_it_is_for() {
        assert_eq!(broken("X.", GOOD, "//! X.\n"), 0);
    }

    #[test]
    fn what_is_missing_is_noticed() {
        assert_eq!(broken("", GOOD, "//! X.\n"), 1);
        assert_eq!(broken("X.", "[package]\n", "//! X.\n"), 1);
        assert_eq!(broken("X.", &format!("version.workspace = true\n{GOOD}"), "//! X.\n"), 1);
        assert_eq!(broken("X.", &format!("rust-version.workspace = true\n{GOOD}"), "//! X.\n"), 0);
        assert_eq!(broken("X.", GOOD, "use x;\n"), 1);
        assert_eq!(broken("X.", GOOD, ""), 1);
    }
}
