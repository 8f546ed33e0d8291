//! The setup for real clients: their paths, and the providers behind the gateway.

use crate::{
    dialect::UPSTREAM_KEY,
    gateway::{Binary, Gateway, Settings},
    process::{Background, free_port, python, tee},
    tally::Tally,
    terminal::say,
    test,
    workspace::Workspace,
};
use anyhow::Context as _;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The start timeout of a provider: a real model has to be built and loaded.
const LOADING: Duration = Duration::from_mins(2);

/// The model name of the scripted and the real provider.
pub(crate) const MODEL: &str = "scripted";

/// The directories of clients, tools and logs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ClientKitArguments {
    /// Directory in which setup.sh has installed the clients
    #[arg(long)]
    dir: PathBuf,
    /// The folder of `run_clients.py` and `scripted_upstream.py` [default: ../shared/clients]
    #[arg(long)]
    tools: Option<PathBuf>,
    #[command(flatten)]
    binary: Binary,
}

/// Everything that was found.
pub(crate) struct ClientKit {
    /// The directory of the clients.
    pub(crate) dir: PathBuf,
    /// The directory of the tools.
    pub(crate) tools: PathBuf,
    program: PathBuf,
    /// The directory of the logs.
    folder: PathBuf,
}

impl ClientKitArguments {
    /// Finds everything; logs go to the scratch folder `name`.
    pub(crate) fn find(&self, workspace: &Workspace, name: &str) -> anyhow::Result<ClientKit> {
        let tools = workspace.tools(self.tools.as_deref(), "clients")?;
        let dir = fs::canonicalize(&self.dir).with_context(|| self.dir.display().to_string())?;
        let folder = workspace.scratch(name)?;
        Ok(ClientKit { dir, tools, program: self.binary.path(workspace)?, folder })
    }
}

impl ClientKit {
    /// Runs the script of this name in the clients' Python.
    pub(crate) fn python(&self, script: &Path) -> Command {
        python(&self.dir.join("env/py/bin/python"), script)
    }

    /// Starts the scripted provider and returns its port.
    pub(crate) fn scripted(&self) -> anyhow::Result<(Background, u16)> {
        let mut command = self.python(&self.tools.join("scripted_upstream.py"));
        command.args(["--key", UPSTREAM_KEY]);
        self.start(command)
    }

    /// Starts a real model and returns its port. It is built in the directory of the clients, not
    /// of the tools.
    pub(crate) fn real(&self) -> anyhow::Result<(Background, u16)> {
        let llama = self.dir.join("llama");
        let script = self.tools.join("llama/llama_serve.py");
        let mut command = python(&llama.join("venv/bin/python"), &script);
        command.args(["--api-key", UPSTREAM_KEY, "--alias", MODEL]);
        command.arg("--model").arg(llama.join("models/gemma-3-270m-q4_k_m.gguf"));
        self.start(command)
    }

    fn start(&self, mut command: Command) -> anyhow::Result<(Background, u16)> {
        let port = free_port()?;
        command.args(["--port", &port.to_string()]);
        let mut upstream = Background::start("upstream", &mut command, &self.folder)?;
        upstream.answers(port, "/health", LOADING)?;
        Ok((upstream, port))
    }

    /// Starts the gateway with `settings`.
    pub(crate) fn gateway(&self, settings: &Settings) -> anyhow::Result<Gateway> {
        Gateway::start(&self.program, Some(settings), &self.folder)
    }

    /// Says how it went; fails if anything did.
    pub(crate) fn judge(&self, tally: Tally) -> anyhow::Result<()> {
        say(format!("logs: {}", self.folder.display()));
        say(tally.to_string());
        test::judge(tally)
    }
}

/// Runs clients and reads from what they say how many of their checks passed.
pub(crate) fn count(mut clients: Command) -> anyhow::Result<Tally> {
    let (status, output) = tee(&mut clients)?;
    let tally = output.lines().filter_map(Tally::leading).next_back().unwrap_or_default();
    Ok(tally.ended(status.success()))
}
