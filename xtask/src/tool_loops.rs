//! The loops that applications write around models with tools, with real SDKs: their own tools, the
//! gateway's, and both in one turn.
//!
//! ```text
//! tests/clients/tool_loops.{py,mjs} -> SDKs -> gateway -> scripted_upstream.py
//! ```

use crate::{
    dialect::{Dialect, UPSTREAM_KEY},
    gateway::{Binary, CLIENT_KEY, Gateway, Settings},
    process::{Background, free_port, python, tee},
    tally::Tally,
    terminal::say,
    test,
    workspace::Workspace,
};
use anyhow::Context as _;
use std::{fs, path::PathBuf, process::Command, time::Duration};

const START: Duration = Duration::from_secs(20);
const MODEL: &str = "scripted";

/// What `tool-loops` is to do.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where setup.sh has installed the clients
    #[arg(long)]
    dir: PathBuf,
    /// The folder of `scripted_upstream.py` [default: ../shared/clients]
    #[arg(long)]
    tools: Option<PathBuf>,
    /// The dialects of the provider behind the models; each in turn
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Dialect::Openai])]
    provider: Vec<Dialect>,
    #[command(flatten)]
    binary: Binary,
}

/// Runs the loops; fails if any does.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let tools = workspace.tools(arguments.tools.as_deref(), "clients")?;
    let dir = &arguments.dir;
    let dir = fs::canonicalize(dir).with_context(|| dir.display().to_string())?;
    let folder = workspace.scratch("tool-loops")?;
    let program = arguments.binary.path(workspace)?;
    let interpreter = dir.join("env/py/bin/python");
    let port = free_port()?;
    let mut server = python(&interpreter, &tools.join("scripted_upstream.py"));
    server.args(["--port", &port.to_string(), "--key", UPSTREAM_KEY]);
    let mut upstream = Background::start("upstream", &mut server, &folder)?;
    upstream.answers(port, "/health", START)?;
    let gateway = Gateway::start(&program, Some(&settings(port)), &folder)?;
    let scripts = workspace.root.join("tests/clients");
    let mut tally = Tally::default();
    for provider in &arguments.provider {
        let mut node = Command::new("node");
        node.arg(scripts.join("tool_loops.mjs")).env("NODE_MODULES", dir.join("node"));
        for command in [python(&interpreter, &scripts.join("tool_loops.py")), node] {
            say(format!("provider: {}", provider.name()));
            tally = tally + one(command, gateway.port, *provider)?;
        }
    }
    say(format!("logs: {}", folder.display()));
    say(tally.to_string());
    test::judge(tally)
}

fn one(mut command: Command, port: u16, provider: Dialect) -> anyhow::Result<Tally> {
    let model = format!("{}/{MODEL}", provider.name());
    command.args([&format!("http://127.0.0.1:{port}"), CLIENT_KEY, &model]);
    let (status, output) = tee(&mut command)?;
    let tally = output.lines().filter_map(Tally::leading).next_back().unwrap_or_default();
    Ok(tally.ended(status.success()))
}

fn settings(port: u16) -> Settings {
    let providers = Dialect::ALL.map(|dialect| dialect.provider(port)).to_vec();
    Settings { providers, keys: vec![CLIENT_KEY], ..Settings::default() }
}
