//! Programs that are not built here: finds them, or installs them where the system allows it.
//!
//! A person at a terminal is asked first; a run without one, as in CI, installs what it needs.

use crate::{
    terminal::say,
    workspace::{Workspace, program},
};
use anyhow::{Context as _, bail};
use std::{
    env, fs,
    io::{self, BufRead as _, IsTerminal as _},
    path::{Path, PathBuf},
};
use xshell::{Shell, cmd};

/// The server against which the Redis store is tested. Tests start it themselves, on a port of
/// their own: a running service is neither needed nor used.
pub(crate) fn redis_server(shell: &Shell) -> anyhow::Result<()> {
    debian(shell, "redis-server", "redis-server", "the tests of the Redis store")
}

/// The server against which the Postgres store is tested; tests start it themselves too. Debian
/// keeps its programs out of the `PATH`.
pub(crate) fn postgres_server(shell: &Shell) -> anyhow::Result<()> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut servers = versions.map(|version| version.path().join("bin/postgres"));
    if servers.any(|server| server.is_file()) && program("psql").is_some() {
        return Ok(());
    }
    debian(shell, "postgres", "postgresql", "the tests of the Postgres store")
}

/// Installs the tool that makes disks fail. Tests without it report that they were skipped.
pub(crate) fn strace(shell: &Shell) {
    if let Err(error) = debian(shell, "strace", "strace", "the tests of failing disks") {
        say(format!("{error:#}; they will be skipped"));
    }
}

/// Installs the tool that counts instructions.
pub(crate) fn valgrind(shell: &Shell) -> anyhow::Result<()> {
    debian(shell, "valgrind", "valgrind", "the order of functions")
}

/// Installs the tool that decompresses recordings.
pub(crate) fn zstd(shell: &Shell) -> anyhow::Result<()> {
    debian(shell, "zstd", "zstd", "packed recordings")
}

/// A browser, and what drives it.
pub(crate) fn chromium(shell: &Shell) -> anyhow::Result<()> {
    debian(shell, "chromium", "chromium", "the checks of the console")?;
    debian(shell, "chromedriver", "chromium-driver", "the checks of the console")
}

/// Makes sure of a program that a Debian package brings.
fn debian(shell: &Shell, name: &str, package: &str, user: &str) -> anyhow::Result<()> {
    if program(name).is_some() {
        return Ok(());
    }
    let installed = confirm(&format!("{name} is missing: install the Debian package {package}"))
        .and_then(|()| apt_get(shell, package));
    installed.with_context(|| {
        format!("{user} need {name}: please install it (Debian: apt-get install {package})")
    })?;
    if program(name).is_none() {
        bail!("{package} is installed, but there is no {name} on the PATH");
    }
    Ok(())
}

fn apt_get(shell: &Shell, package: &str) -> anyhow::Result<()> {
    let Some(apt) = program("apt-get") else { bail!("there is no apt-get here") };
    let mut root = as_root(shell)?;
    root.extend(["env".to_owned(), "DEBIAN_FRONTEND=noninteractive".to_owned()]);
    let (first, rest) = root.split_first().context("a command")?;
    cmd!(shell, "{first} {rest...} {apt} update --quiet").run()?;
    cmd!(shell, "{first} {rest...} {apt} install --yes --no-install-recommends {package}").run()?;
    Ok(())
}

/// The words that make a command run as root: none if we are, `sudo` if it asks nothing.
fn as_root(shell: &Shell) -> anyhow::Result<Vec<String>> {
    if cmd!(shell, "id -u").quiet().read()? == "0" {
        return Ok(Vec::new());
    }
    if program("sudo").is_none() || cmd!(shell, "sudo -n true").quiet().run().is_err() {
        bail!("installing takes root, or sudo without a password");
    }
    Ok(vec!["sudo".to_owned(), "-n".to_owned()])
}

/// A Python that can import `jsonschema`, in a virtual environment under the target folder.
pub(crate) fn python_with_jsonschema(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    python_with(workspace, "jsonschema", "jsonschema")
}

/// A Python that can import what a package brings, in a virtual environment of that package.
pub(crate) fn python_with(
    workspace: &Workspace,
    package: &str,
    module: &str,
) -> anyhow::Result<PathBuf> {
    let shell = &workspace.shell;
    let venv = workspace.scratch(&format!("python-{package}"))?;
    let python = venv.join("bin/python3");
    if can_import(shell, &python, module) {
        return Ok(python);
    }
    confirm(&format!("make a virtual environment with {package} in {}", venv.display()))?;
    cmd!(shell, "python3 -m venv --clear {venv}").run().context("python3 -m venv")?;
    cmd!(shell, "{python} -m pip install --quiet --disable-pip-version-check {package}").run()?;
    Ok(python)
}

/// Cargo's front end for Zig as the compiler and linker of C, and Zig itself.
pub(crate) fn zigbuild(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let shell = &workspace.shell;
    let venv = workspace.scratch("python-zig")?;
    let (python, zigbuild) = (venv.join("bin/python3"), venv.join("bin/cargo-zigbuild"));
    if zigbuild.is_file() {
        return Ok(zigbuild);
    }
    confirm(&format!(
        "make a virtual environment with cargo-zigbuild and Zig in {}",
        venv.display()
    ))?;
    cmd!(shell, "python3 -m venv --clear {venv}").run().context("python3 -m venv")?;
    let quiet = ["--quiet", "--disable-pip-version-check"];
    cmd!(shell, "{python} -m pip install {quiet...} cargo-zigbuild ziglang").run()?;
    Ok(zigbuild)
}

/// The standard library for another system.
pub(crate) fn rust_target(shell: &Shell, triple: &str) -> anyhow::Result<()> {
    let installed = cmd!(shell, "rustup target list --installed").quiet().read();
    let installed =
        installed.context("releases need rustup for the standard library of other systems")?;
    if installed.lines().any(|line| line == triple) {
        return Ok(());
    }
    confirm(&format!("the standard library for {triple} is missing: install it with rustup"))?;
    Ok(cmd!(shell, "rustup target add {triple}").run()?)
}

/// Asks the person at the terminal, if there is one.
///
/// # Errors
///
/// If the answer is not yes.
fn confirm(proposal: &str) -> anyhow::Result<()> {
    let is_asked = env::var_os("CI").is_none() && io::stdin().is_terminal();
    if !is_asked {
        say(proposal);
        return Ok(());
    }
    say(format!("{proposal}? [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if is_yes(&answer) { Ok(()) } else { bail!("not installed, as was answered") }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

fn can_import(shell: &Shell, python: &Path, module: &str) -> bool {
    let import = format!("import {module}");
    python.is_file() && cmd!(shell, "{python} -c {import}").quiet().ignore_stderr().run().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{can_import, debian, is_yes};
    use std::path::Path;
    use xshell::Shell;

    #[test]
    fn installed_tool_is_not_installed_again() {
        debian(&Shell::new().unwrap(), "cargo", "no-such-package", "nobody").unwrap();
    }

    #[test]
    fn only_yes_is_consent() {
        assert!(is_yes("y\n") && is_yes(" Yes"));
        assert!(!is_yes("\n") && !is_yes("no") && !is_yes(""));
    }

    #[test]
    fn missing_environment_imports_nothing() {
        assert!(!can_import(&Shell::new().unwrap(), Path::new("/no/such/python"), "sys"));
    }
}
