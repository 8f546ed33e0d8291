//! Pages and tables that the code writes are as the code would write them now.
//!
//! `gateway-server docs NAME` prints them. A page that is generated as a whole says so in its first
//! line, which is printed with the rest; otherwise a part of it stands between two lines:
//!
//! ```text
//! <!-- Made by `gateway-server docs NAME`; ... -->
//!
//! <!-- generated: NAME -->
//! <!-- end of generated -->
//! ```
//!
//! So a page enrols itself. `cargo xtask tidy --write` brings all of them up to date.

use super::Source;
use crate::{terminal::say, workspace::Workspace};
use anyhow::{Context as _, ensure};
use std::{collections::BTreeMap, fs};

const WHOLE: &str = "<!-- Made by `gateway-server docs ";
const BEGIN: &str = "<!-- generated: ";
const BEGIN_END: &str = " -->";
const END: &str = "<!-- end of generated -->";

/// Generated text by its name.
type Texts = BTreeMap<String, String>;

/// Compares every generated part with what the code says.
pub(super) fn check(workspace: &Workspace, files: &[Source]) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let texts = texts(workspace, files)?;
    for page in pages(files) {
        let fresh = renewed(&page.text, &texts).with_context(|| page.path.clone())?;
        if fresh != page.text {
            problems.push(format!("{} is out of date: cargo xtask tidy --write", page.path));
        }
    }
    Ok(problems)
}

/// Writes every page that is out of date anew.
pub(super) fn write(workspace: &Workspace, files: &[Source]) -> anyhow::Result<()> {
    let texts = texts(workspace, files)?;
    for page in pages(files) {
        let fresh = renewed(&page.text, &texts).with_context(|| page.path.clone())?;
        if fresh != page.text {
            fs::write(workspace.root.join(&page.path), fresh)?;
            say(format!("tidy: wrote {}", page.path));
        }
    }
    Ok(())
}

/// Asks the program for everything that some page wants.
fn texts(workspace: &Workspace, files: &[Source]) -> anyhow::Result<Texts> {
    let mut texts = Texts::new();
    for name in pages(files).flat_map(|page| wanted_tables(&page.text)) {
        if !texts.contains_key(name) {
            let docs = workspace.cargo("run --quiet --locked -p gateway-server -- docs").arg(name);
            texts.insert(name.to_owned(), docs.quiet().read()?);
        }
    }
    Ok(texts)
}

fn pages(files: &[Source]) -> impl Iterator<Item = &Source> {
    files.iter().filter(|file| file.is("md"))
}

/// The names of the generated parts of a page.
fn wanted_tables(page: &str) -> impl Iterator<Item = &str> {
    whole(page).into_iter().chain(page.lines().filter_map(name))
}

/// Returns the generator of the page, if all of it is generated.
fn whole(page: &str) -> Option<&str> {
    page.strip_prefix(WHOLE)?.split('`').next()
}

fn name(line: &str) -> Option<&str> {
    line.strip_prefix(BEGIN)?.strip_suffix(BEGIN_END)
}

/// The page, with every generated part as it should be.
fn renewed(page: &str, texts: &Texts) -> anyhow::Result<String> {
    if let Some(name) = whole(page) {
        let text = texts.get(name).with_context(|| format!("nothing generates `{name}`"))?;
        return Ok(format!("{}\n", text.trim_end()));
    }
    let mut fresh = String::with_capacity(page.len());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        fresh.push_str(line);
        fresh.push('\n');
        let Some(name) = name(line) else { continue };
        let text = texts.get(name).with_context(|| format!("nothing generates `{name}`"))?;
        ensure!(lines.any(|line| line == END), "`{name}` has no end: {END}");
        fresh.extend([text.trim_end(), "\n", END, "\n"]);
    }
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use super::{Texts, renewed, wanted_tables};

    fn check(page: &str, expected: Result<&str, &str>) {
        let texts = Texts::from([("keys".to_owned(), "| a |\n".to_owned())]);
        match (renewed(page, &texts), expected) {
            (Ok(fresh), Ok(expected)) => assert_eq!(fresh, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (fresh, _) => panic!("{page}: {fresh:?}"),
        }
    }

    #[test]
    fn outdated_part_is_replaced() {
        let fresh = "# x\n<!-- generated: keys -->\n| a |\n<!-- end of generated -->\ny\n";
        check("# x\n<!-- generated: keys -->\n| b |\n\n<!-- end of generated -->\ny\n", Ok(fresh));
        check(fresh, Ok(fresh));
    }

    #[test]
    fn text_outside_parts_is_unchanged() {
        check("# x\n\n  y\n", Ok("# x\n\n  y\n"));
    }

    #[test]
    fn unknown_or_unclosed_part_is_reported() {
        check("<!-- generated: cats -->\n<!-- end of generated -->\n", Err("cats"));
        check("<!-- generated: keys -->\n", Err("no end"));
    }

    #[test]
    fn whole_page_is_replaced() {
        check("<!-- Made by `gateway-server docs keys`; x -->\n# Keys\n", Ok("| a |\n"));
        check("<!-- Made by `gateway-server docs cats`; x -->\n", Err("cats"));
    }

    #[test]
    fn page_markers_name_generators() {
        let page = "<!-- generated: a -->\n<!-- end of generated -->\n<!-- generated: b -->\n";
        assert_eq!(wanted_tables(page).collect::<Vec<_>>(), ["a", "b"]);
        let page = "<!-- Made by `gateway-server docs keys`; edit the code -->\n# Keys\n";
        assert_eq!(wanted_tables(page).collect::<Vec<_>>(), ["keys"]);
    }
}
