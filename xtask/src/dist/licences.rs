//! The licences of what is in the program: most of them ask to be passed on.

use super::parts::{LinkedPackages, Package};
use anyhow::Context as _;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The names of licence files.
const NAMES: &[&str] = &["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// Writes every licence once, and before it who is under it.
pub(super) fn write(parts: &LinkedPackages) -> anyhow::Result<String> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut named = Vec::new();
    for package in parts.others() {
        let user = format!("{} {}", package.name, package.version);
        let texts = texts(package)?;
        if texts.is_empty() {
            named.push(format!("{user}: {}", package.license.as_deref().unwrap_or("not told")));
        }
        for text in texts {
            users.entry(text).or_default().push(user.clone());
        }
    }
    let mut out = "The program holds code of others, under these licences.\n".to_owned();
    for (text, mut users) in users {
        users.dedup();
        write!(out, "\n{}\n{}\n\n{text}\n", "=".repeat(80), users.join(", "))?;
    }
    if !named.is_empty() {
        write!(out, "\n{}\nPackages that name a licence without its text:\n\n", "=".repeat(80))?;
        writeln!(out, "{}", named.join("\n"))?;
    }
    Ok(out)
}

/// The licences that lie beside a package's manifest, and below it: those of the code of others
/// that a package brings along, such as the allocator in its binding.
fn texts(package: &Package) -> anyhow::Result<Vec<String>> {
    let folder = package.manifest_path.parent().unwrap_or(Path::new(""));
    let read = |file: &PathBuf| {
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    licences(folder).iter().map(read).collect()
}

/// The files of licences in a folder, then those of the folders in it, by name.
fn licences(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
    paths.sort();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|it| it.is_dir());
    let here = files.into_iter().filter(|file| is_licence(file));
    here.chain(folders.iter().flat_map(|it| licences(it))).collect()
}

fn is_licence(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().to_uppercase());
    name.is_some_and(|name| NAMES.iter().any(|begin| name.starts_with(begin)))
}

#[cfg(test)]
mod tests {
    use super::super::parts::tests::example;
    use super::{is_licence, licences, write};
    use crate::workspace::Workspace;
    use std::{fs, path::Path};

    #[test]
    fn package_without_licence_text_is_named() {
        let text = write(&example()).unwrap();
        assert!(text.contains("theirs 1.0.0: MIT") && !text.contains("ours"), "{text}");
    }

    #[test]
    fn bundled_licences_are_included() {
        let folder = Workspace::find().unwrap().scratch("licences").unwrap();
        fs::create_dir_all(folder.join("bundled")).unwrap();
        for name in ["LICENSE-MIT", "bundled/COPYING", "bundled/code.c"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let expected = ["LICENSE-MIT", "bundled/COPYING"].map(|name| folder.join(name));
        assert_eq!(licences(&folder), expected);
    }

    #[test]
    fn licences_have_many_names() {
        for (name, expected) in
            [("LICENSE-MIT", true), ("license.txt", true), ("COPYING", true), ("lib.rs", false)]
        {
            assert_eq!(is_licence(Path::new(name)), expected, "{name}");
        }
    }
}
