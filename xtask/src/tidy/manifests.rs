//! Every crate says what it is for, and is held to the same lints as the others.

use super::Source;
use crate::workspace::Package;
use std::path::Path;

/// Checks every member of the workspace.
pub(super) fn check(root: &Path, packages: &[Package], files: &[Source]) -> Vec<String> {
    packages.iter().flat_map(|package| problems(root, package, (packages, files))).collect()
}

fn problems(
    root: &Path,
    package: &Package,
    (packages, files): (&[Package], &[Source]),
) -> Vec<String> {
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
    let mut wrong: Vec<String> = wrong.into_iter().map(str::to_owned).collect();
    if package.is_published() {
        wrong.extend(unpublishable(package, packages));
    } else if folder.starts_with("crates") {
        wrong.push("may not be published: take `publish` out of its manifest".to_owned());
    }
    wrong.into_iter().map(|what| format!("{} {what}", package.name)).collect()
}

/// Returns the missing metadata of a package.
fn unpublishable(package: &Package, packages: &[Package]) -> Vec<String> {
    let missing = [
        ("a readme", package.readme.is_none()),
        ("a repository", package.repository.is_none()),
        ("a licence", package.license.is_none()),
        ("keywords", package.keywords.is_empty()),
        ("categories", package.categories.is_empty()),
    ];
    let missing = missing.into_iter().filter(|(_, missing)| *missing);
    let mut wrong: Vec<String> = missing.map(|(what, _)| format!("lacks {what}")).collect();
    let ours = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
    for dependency in ours.filter(|dependency| dependency.kind.as_deref() != Some("dev")) {
        let other = packages.iter().find(|package| package.name == dependency.name);
        let version = other.map_or("*", |package| package.version.as_str());
        if dependency.req != format!("^{version}") {
            let (name, req) = (&dependency.name, &dependency.req);
            wrong.push(format!("depends on {name} {req}, which is {version}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::{check, unpublishable};
    use crate::workspace::{Dependency, Package, package};
    use std::path::Path;

    const GOOD: &str = "version = \"0.1.0\"\n\n[lints]\nworkspace = true\n";

    fn published(dependencies: Vec<Dependency>) -> Package {
        Package {
            description: Some("X.".to_owned()),
            readme: Some("README.md".into()),
            repository: Some("https://example.com".to_owned()),
            license: Some("MIT".to_owned()),
            keywords: vec!["x".to_owned()],
            categories: vec!["x".to_owned()],
            publish: None,
            manifest_path: "/w/crates/x/Cargo.toml".into(),
            dependencies,
            ..package("x")
        }
    }

    fn broken(description: &str, manifest: &str, main: &str) -> usize {
        let package =
            Package { description: Some(description.to_owned()), ..published(Vec::new()) };
        let files = [source("crates/x/Cargo.toml", manifest), source("crates/x/src/lib.rs", main)];
        check(Path::new("/w"), &[package], &files).len()
    }

    #[test]
    fn crate_with_complete_metadata_passes() {
        assert_eq!(broken("X.", GOOD, "//! X.\n"), 0);
    }

    #[test]
    fn missing_metadata_is_reported() {
        assert_eq!(broken("", GOOD, "//! X.\n"), 1);
        assert_eq!(broken("X.", "[package]\n", "//! X.\n"), 1);
        assert_eq!(broken("X.", &format!("version.workspace = true\n{GOOD}"), "//! X.\n"), 1);
        assert_eq!(broken("X.", &format!("rust-version.workspace = true\n{GOOD}"), "//! X.\n"), 0);
        assert_eq!(broken("X.", GOOD, "use x;\n"), 1);
        assert_eq!(broken("X.", GOOD, ""), 1);
    }

    #[test]
    fn published_crate_needs_metadata() {
        assert!(unpublishable(&published(Vec::new()), &[]).is_empty());
        let bare = Package { publish: None, ..package("x") };
        assert_eq!(unpublishable(&bare, &[]).len(), 5);
    }

    #[test]
    fn dependency_on_a_folder_names_its_version() {
        let wrong = |req: &str, kind: Option<&str>| {
            let dependency = Dependency {
                name: "y".to_owned(),
                kind: kind.map(str::to_owned),
                req: req.to_owned(),
                path: Some("/w/crates/y".into()),
            };
            unpublishable(&published(vec![dependency]), &[package("y")]).len()
        };
        assert_eq!(wrong("^0.1.0", None), 0);
        assert_eq!((wrong("*", None), wrong("^0.2.0", None)), (1, 1));
        assert_eq!(wrong("*", Some("dev")), 0);
    }
}
