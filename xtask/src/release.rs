//! Makes a release, or says why there can be none.
//!
//! A release is a version of the server, what the change log says of it, and a tag. Crates that
//! changed since the last one need another version.

use crate::{terminal::say, workspace::Workspace};
use anyhow::{Context as _, ensure};
use std::fs;
use xshell::cmd;

/// The arguments of `release`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only say what is missing and what would be done
    #[arg(long)]
    dry_run: bool,
}

const LOG: &str = "CHANGELOG.md";
const UNRELEASED: &str = "## [Unreleased]";

/// Checks the preconditions of a release; without `--dry-run`, makes it: the changelog gets its
/// heading, and a tag is set. Nothing is pushed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let version = version_of(workspace, "gateway-server")?;
    let log = fs::read_to_string(workspace.root.join(LOG))?;
    let problems = problems(workspace, &version, &log)?;
    for problem in &problems {
        say(format!("release: {problem}"));
    }
    let day = cmd!(workspace.shell, "date -u +%F").quiet().read()?;
    let released = released_changelog(&log, &version, &day);
    say(format!("release: v{version}, with {} changes", changes(&log).count()));
    if arguments.dry_run {
        say("release: nothing was written, committed or tagged");
    }
    ensure!(problems.is_empty(), "{} problems, see above", problems.len());
    if !arguments.dry_run {
        let (shell, tag) = (&workspace.shell, format!("v{version}"));
        fs::write(workspace.root.join(LOG), released)?;
        cmd!(shell, "git commit --quiet --message {tag} {LOG}").run()?;
        cmd!(shell, "git tag --annotate --message {tag} {tag}").run()?;
    }
    Ok(())
}

fn problems(workspace: &Workspace, version: &str, log: &str) -> anyhow::Result<Vec<String>> {
    let shell = &workspace.shell;
    let mut problems = Vec::new();
    let changed = cmd!(shell, "git status --porcelain").quiet().read()?;
    if !changed.is_empty() {
        problems.push(format!("{} files are not committed", changed.lines().count()));
    }
    if changes(log).next().is_none() {
        problems.push(format!("{LOG} tells of no change under `{UNRELEASED}`"));
    }
    let tags = cmd!(shell, "git tag --list v*").quiet().read()?;
    if tags.lines().any(|tag| tag == format!("v{version}")) {
        problems.push(format!("v{version} is released already: raise the server's version"));
    }
    if let Some(last) = cmd!(shell, "git describe --tags --abbrev=0 --match v*")
        .quiet()
        .ignore_stderr()
        .read()
        .ok()
        .filter(|tag| !tag.is_empty())
    {
        problems.extend(stale(workspace, &last)?);
    }
    Ok(problems)
}

/// Crates that changed since the last release, and are still called the same.
fn stale(workspace: &Workspace, last: &str) -> anyhow::Result<Vec<String>> {
    let shell = &workspace.shell;
    let mut stale = Vec::new();
    for package in &workspace.packages {
        let manifest = package.manifest_path.strip_prefix(&workspace.root)?;
        let folder = manifest.parent().context("a manifest lies in a folder")?;
        let changed = cmd!(shell, "git diff --name-only {last} -- {folder}").quiet().read()?;
        let old = format!("{last}:{}", manifest.display());
        let old = cmd!(shell, "git show {old}").quiet().ignore_stderr().read().unwrap_or_default();
        let (old, new) = (version_in(&old), fs::read_to_string(&package.manifest_path)?);
        if !changed.is_empty() && old == version_in(&new) {
            stale.push(format!("{} changed since {last}: raise its version", package.name));
        }
    }
    Ok(stale)
}

fn version_of(workspace: &Workspace, name: &str) -> anyhow::Result<String> {
    let package = workspace.packages.iter().find(|it| it.name == name);
    let manifest = fs::read_to_string(&package.context("there is no server")?.manifest_path)?;
    Ok(version_in(&manifest).context("the server has no version")?.to_owned())
}

/// The version that a manifest gives its package.
fn version_in(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    line.map(|version| version.trim_matches('"'))
}

/// Returns the changes since the last release.
fn changes(log: &str) -> impl Iterator<Item = &str> {
    let section = log.lines().skip_while(|line| *line != UNRELEASED).skip(1);
    section.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("- "))
}

/// The change log after a release.
fn released_changelog(log: &str, version: &str, day: &str) -> String {
    log.replacen(UNRELEASED, &format!("{UNRELEASED}\n\n## [{version}] - {day}"), 1)
}

#[cfg(test)]
mod tests {
    use super::{changes, released_changelog, version_in};

    const LOG: &str = "# Log\n\n## [Unreleased]\n\n### Added\n\n- One.\n- Two.\n\n## [0.1.0] - 2026-01-01\n\n- Old.\n";

    #[test]
    fn changes_are_those_since_the_last_release() {
        assert_eq!(changes(LOG).collect::<Vec<_>>(), ["- One.", "- Two."]);
        assert_eq!(changes("## [0.1.0]\n- Old.\n").count(), 0);
    }

    #[test]
    fn release_empties_unreleased_section() {
        let released = released_changelog(LOG, "0.2.0", "2026-02-03");
        assert_eq!(changes(&released).count(), 0);
        assert!(released.contains("## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n### Added"));
    }

    #[test]
    fn version_is_read_from_package_section() {
        let manifest = "[package]\nname = \"x\"\nversion = \"0.1.0\"\n[dependencies]\ny = { version = \"2\" }\n";
        assert_eq!(version_in(manifest), Some("0.1.0"));
        assert_eq!(version_in("name = \"x\"\n"), None);
    }
}
