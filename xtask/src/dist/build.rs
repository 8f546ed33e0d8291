//! The contents of every package: the version, the program of each system, and what it prints of itself.

use super::{licences, parts::LinkedPackages, sbom, target::ReleaseTarget};
use crate::{terminal::say, workspace::Workspace};
use anyhow::{Context as _, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};
use xshell::cmd;

/// A release.
#[derive(Debug)]
pub(super) struct ReleaseInfo<'a> {
    pub(super) workspace: &'a Workspace,
    /// The folder of all packages.
    pub(super) dist: PathBuf,
    pub(super) version: String,
    /// The URL of the repository.
    pub(super) repository: String,
    /// The commit.
    pub(super) commit: String,
    /// The time of the commit, in seconds since 1970.
    pub(super) time: u64,
    pub(super) printed: PrintedFiles,
}

/// The program of one system.
#[derive(Debug)]
pub(super) struct ProgramBuild {
    pub(super) target: ReleaseTarget,
    pub(super) program: PathBuf,
    pub(super) sbom: String,
    pub(super) licences: String,
    /// The number of packages in the program.
    pub(super) parts: usize,
}

/// Files that the program prints.
#[derive(Debug)]
pub(super) struct PrintedFiles {
    pub(super) manual: String,
    /// For bash.
    pub(super) completions: String,
    /// The configuration file to begin with.
    pub(super) configuration: String,
}

impl<'a> ReleaseInfo<'a> {
    /// Begins with an empty folder. `runnable` is a program that runs here, if one was built.
    pub(super) fn new(workspace: &'a Workspace, runnable: Option<&Path>) -> anyhow::Result<Self> {
        let shell = &workspace.shell;
        let server = workspace.packages.iter().find(|it| it.name == "gateway-server");
        let server = server.context("there is no server")?;
        let dist = workspace.target.join("dist");
        if dist.exists() {
            fs::remove_dir_all(&dist).with_context(|| dist.display().to_string())?;
        }
        fs::create_dir_all(&dist).with_context(|| dist.display().to_string())?;
        Ok(Self {
            workspace,
            dist,
            version: server.version.clone(),
            repository: server.repository.clone().context("the server has no repository")?,
            commit: cmd!(shell, "git rev-parse HEAD").quiet().read()?,
            time: cmd!(shell, "git log -1 --format=%ct").quiet().read()?.parse()?,
            printed: PrintedFiles::of(workspace, runnable)?,
        })
    }

    /// The path of a file among the packages.
    pub(super) fn file(&self, folder: &str, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.dist.join(folder);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder.join(name))
    }
}

impl ProgramBuild {
    pub(super) fn new(
        workspace: &Workspace,
        target: ReleaseTarget,
        program: PathBuf,
        features: &[&str],
    ) -> anyhow::Result<Self> {
        target.check(workspace, &program)?;
        let parts = LinkedPackages::of(workspace, "gateway-server", features, target.triple)?;
        Ok(Self {
            target,
            program,
            sbom: sbom::write(&parts)?,
            licences: licences::write(&parts)?,
            parts: parts.others().count(),
        })
    }

    /// The name of the archive, and of the folder in it.
    pub(super) fn archive_name(&self, version: &str) -> String {
        format!("llm-gateway-{version}-{}", self.target.triple)
    }
}

impl PrintedFiles {
    /// Asks the program, or one that is built for it.
    fn of(workspace: &Workspace, runnable: Option<&Path>) -> anyhow::Result<Self> {
        let shell = &workspace.shell;
        let program = if let Some(program) = runnable {
            program.to_owned()
        } else {
            say("no program runs here: building one for its manual page");
            workspace.cargo("build --quiet --locked -p gateway-server").run()?;
            workspace.target.join("debug/gateway-server")
        };
        let file = workspace.scratch("dist")?.join("gateway.toml");
        if file.exists() {
            fs::remove_file(&file)?;
        }
        cmd!(shell, "{program} --config {file} init").quiet().ignore_stdout().run()?;
        let manual = cmd!(shell, "{program} man").quiet().read()?;
        ensure!(manual.contains(".TH"), "{} prints no manual page", program.display());
        Ok(Self {
            manual,
            completions: cmd!(shell, "{program} completions bash").quiet().read()?,
            configuration: fs::read_to_string(&file)?,
        })
    }
}
