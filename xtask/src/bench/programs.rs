//! The programs that measure, built from sources beside this repository, and what they are
//! measured with.

use crate::{
    gateway::{CLIENT_KEY, Gateway, Provider, Settings},
    http::Request,
    process::{Background, free_port, unlimited},
    terminal::say,
    workspace::Workspace,
};
use anyhow::{Context as _, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use xshell::cmd;

/// The start timeout of a program.
const START: Duration = Duration::from_secs(10);

/// The target of a load.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum LoadTarget {
    /// The mock upstream itself.
    Direct,
    /// A proxy that passes bytes on.
    Bare,
    /// The gateway under test.
    Gateway,
}

impl LoadTarget {
    pub(super) const ALL: [Self; 3] = [Self::Direct, Self::Bare, Self::Gateway];
}

/// The paths of the measured programs.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
}

/// The programs that run during a measurement. Dropping them ends them.
#[derive(Debug)]
pub(super) struct RunningPrograms {
    mock: (Background, u16),
    bare: (Background, u16),
    /// The gateway under test.
    pub(super) gateway: Gateway,
}

impl Programs {
    /// Builds them, from a copy: the sources may be read-only, and are no part of this workspace.
    pub(super) fn build(workspace: &Workspace, sources: &Path) -> anyhow::Result<Self> {
        let (copy, target) =
            (workspace.target.join("bench/source"), workspace.target.join("bench"));
        let shell = &workspace.shell;
        fs::create_dir_all(&copy)?;
        cmd!(shell, "cp -R --no-preserve=mode,ownership {sources}/. {copy}").quiet().run()?;
        let manifest = copy.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).context("no manifest among the sources")?;
        fs::write(&manifest, standalone(&text))?;
        say("building the programs that measure");
        let build = cmd!(shell, "cargo build --release --quiet --manifest-path {manifest}");
        build.env("CARGO_TARGET_DIR", &target).run()?;
        Ok(Self { folder: target.join("release") })
    }

    /// Returns the path of the program `name`.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts the mock upstream, the bare proxy before it, and the gateway before it.
    pub(super) fn start(&self, gateway: &Path, logs: &Path) -> anyhow::Result<RunningPrograms> {
        let (mock_port, bare_port) = (free_port()?, free_port()?);
        let address = |port| format!("127.0.0.1:{port}");
        let mut mock = unlimited(&self.path("mockup"));
        mock.env("MOCK_LISTEN", address(mock_port));
        let mut mock = Background::start("mock", &mut mock, logs)?;
        mock.answers(mock_port, "/health", START)?;
        let mut bare = unlimited(&self.path("hyperproxy"));
        bare.args([
            "--mode",
            "raw",
            "--listen",
            &address(bare_port),
            "--upstream",
            &address(mock_port),
        ]);
        let mut bare = Background::start("bare", &mut bare, logs)?;
        bare.answers(bare_port, "/health", START)?;
        let gateway = Gateway::start(gateway, Some(&settings(mock_port)), logs)?;
        Ok(RunningPrograms { mock: (mock, mock_port), bare: (bare, bare_port), gateway })
    }
}

impl RunningPrograms {
    /// The process and the port of a target.
    pub(super) fn at(&self, target: LoadTarget) -> (u32, u16) {
        match target {
            LoadTarget::Direct => (self.mock.0.pid(), self.mock.1),
            LoadTarget::Bare => (self.bare.0.pid(), self.bare.1),
            LoadTarget::Gateway => (self.gateway.process.pid(), self.gateway.port),
        }
    }

    /// Changes how the mock upstream answers.
    pub(super) fn set_mock(&self, query: &str) -> anyhow::Result<()> {
        let path = format!("/_mock?{query}");
        let reply = Request::post(&path, "").send(self.mock.1)?;
        ensure!(reply.status == 200, "the mock upstream does not take {query}");
        Ok(())
    }
}

/// Returns the settings of a typical deployment: API keys, a route, token counting.
fn settings(mock: u16) -> Settings {
    let base_url = format!("http://127.0.0.1:{mock}/v1");
    Settings {
        providers: vec![Provider { name: "openai", base_url, api_key: "sk-upstream" }],
        keys: vec![CLIENT_KEY],
        aliases: Vec::new(),
        tool_rounds: None,
    }
}

/// A manifest that belongs to no workspace above it.
fn standalone(manifest: &str) -> String {
    if manifest.lines().any(|line| line.trim() == "[workspace]") {
        return manifest.to_owned();
    }
    format!("{manifest}\n[workspace]\n")
}

#[cfg(test)]
mod tests {
    use super::standalone;

    #[test]
    fn copied_manifest_is_standalone() {
        let once = standalone("[package]\nname = \"x\"\n");
        assert!(once.ends_with("[workspace]\n"), "{once}");
        assert_eq!(standalone(&once), once);
    }
}
