//! Links in the documentation lead somewhere.

use super::Source;
use std::path::{Component, Path, PathBuf};

/// Checks every relative link of every Markdown file.
pub(super) fn check(files: &[Source]) -> Vec<String> {
    let pages = files.iter().filter(|file| file.is("md"));
    pages.flat_map(|page| broken_links(page, files)).collect()
}

fn broken_links(page: &Source, files: &[Source]) -> Vec<String> {
    let links = targets(&page.text).filter(|link| !leads(&page.path, link, files));
    links.map(|link| format!("{}: nothing at `{link}`", page.path)).collect()
}

/// Returns the link targets, outside of code.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    let prose = text.lines().filter(move |line| {
        in_code ^= line.trim_start().starts_with("```");
        !in_code
    });
    prose.flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split([')', ' ']).next())
}

/// Whether a link leads out of the repository, into its own page, to a file or to a folder.
fn leads(page: &str, link: &str, files: &[Source]) -> bool {
    let target = link.split('#').next().unwrap_or_default();
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let target = resolved(&folder.join(target));
    files.iter().any(|file| Path::new(&file.path).starts_with(&target))
}

fn resolved(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            Component::Normal(name) => whole.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::check;

    fn broken_links(page: &str, text: &str) -> usize {
        check(&[source(page, text), source("docs/a.md", ""), source("crates/x/src/lib.rs", "")])
            .len()
    }

    #[test]
    fn files_and_folders_are_found() {
        assert_eq!(
            broken_links("README.md", "[a](docs/a.md) [x](crates/x) [p](docs/a.md#part)"),
            0
        );
        assert_eq!(broken_links("docs/b.md", "[a](a.md) [r](../crates/x/src/lib.rs)"), 0);
    }

    #[test]
    fn broken_link_is_reported() {
        assert_eq!(broken_links("README.md", "[a](a.md) and [b](docs/b.md)"), 2);
        assert_eq!(broken_links("docs/b.md", "[a](docs/a.md)"), 1);
    }

    #[test]
    fn other_sites_own_parts_and_code_are_not_looked_at() {
        assert_eq!(
            broken_links("README.md", "[a](https://x.y/z) [b](#part)\n```\na[0](x)\n```\n"),
            0
        );
    }
}
