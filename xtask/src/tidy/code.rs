//! The Rust files of the workspace, parsed, each with the crate that it belongs to.

mod functions;
mod imports;
mod items;
mod settings;

pub(super) use self::{
    functions::long_functions,
    imports::import_circles,
    items::{test_names, type_names},
    settings::unread_settings,
};

use super::Source;
use crate::workspace::Package;
use std::path::Path;

/// A Rust file of a crate.
pub(super) struct RustFile<'a> {
    /// The name of the crate.
    pub(super) package: &'a str,
    /// The path from the workspace's root, with `/`.
    pub(super) path: &'a str,
    /// The path from the crate's folder, as in `src/lib.rs`.
    pub(super) within: &'a str,
    /// The text without the module of unit tests at its end.
    pub(super) code: &'a str,
    /// The parsed file.
    pub(super) syntax: syn::File,
}

impl RustFile<'_> {
    /// Whether the file holds nothing but tests, examples or benchmarks.
    pub(super) fn is_test(&self) -> bool {
        let folders = ["tests/", "it/", "examples/", "benches/"];
        self.within.ends_with("tests.rs")
            || self.within.contains("/tests/")
            || folders.iter().any(|folder| self.within.starts_with(folder))
    }
}

/// Parses the files of every crate. A file that is no Rust is left to the compiler to report.
pub(super) fn rust_files<'a>(
    root: &Path,
    packages: &'a [Package],
    files: &'a [Source],
) -> Vec<RustFile<'a>> {
    let folders: Vec<(String, &str)> =
        packages.iter().map(|package| (folder(root, package), package.name.as_str())).collect();
    let rust = files.iter().filter(|file| file.is("rs"));
    rust.filter_map(|file| {
        let (folder, package) = folders
            .iter()
            .filter(|(folder, _)| file.path.starts_with(folder))
            .max_by_key(|(folder, _)| folder.len())?;
        let syntax = syn::parse_file(&file.text).ok()?;
        let within = file.path.get(folder.len()..)?;
        let code = without_tests(&file.text);
        Some(RustFile { package, path: &file.path, within, code, syntax })
    })
    .collect()
}

/// The folder of a crate from the workspace's root, with a `/` at its end.
fn folder(root: &Path, package: &Package) -> String {
    let manifest = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path);
    let folder = manifest.parent().unwrap_or(Path::new("")).to_string_lossy().replace('\\', "/");
    format!("{folder}/")
}

/// The lines before the module of tests, which stands at the end of a file.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

/// Whether an item is compiled for tests only.
fn is_cfg_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

/// Whether a function is a test.
fn is_test_function(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tidy::source;

    /// Parses files of a crate `x` by their paths within `src`.
    pub(in crate::tidy) fn parsed(files: &[(&str, &str)], test: impl FnOnce(&[RustFile<'_>])) {
        let package = Package {
            manifest_path: "/w/crates/x/Cargo.toml".into(),
            ..crate::workspace::package("x")
        };
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| source(&format!("crates/x/src/{path}"), text))
            .collect();
        test(&rust_files(Path::new("/w"), &[package], &sources));
    }

    #[test]
    fn files_belong_to_the_crate_of_their_folder() {
        parsed(&[("lib.rs", "fn a() {}\n#[cfg(test)]\nmod tests {}"), ("y.md", "")], |files| {
            assert_eq!(files.len(), 1);
            assert_eq!((files[0].package, files[0].within), ("x", "src/lib.rs"));
            assert_eq!(files[0].code, "fn a() {}\n");
        });
    }

    #[test]
    fn test_files_are_recognised_by_path() {
        let files = [("tests.rs", ""), ("a/tests/b.rs", ""), ("attests.md", ""), ("a.rs", "")];
        parsed(&files, |files| {
            let tests: Vec<bool> = files.iter().map(RustFile::is_test).collect();
            assert_eq!(tests, [true, true, false]);
        });
    }
}
