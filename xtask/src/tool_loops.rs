//! The loops that applications write around models with tools, with real SDKs: their own tools, the
//! gateway's, and both in one turn.
//!
//! ```text
//! tests/clients/tool_loops.{py,mjs} -> SDKs -> gateway -> scripted_upstream.py
//! ```

use crate::{
    clients,
    dialect::{Dialect, UPSTREAM_KEY},
    gateway::{Binary, CLIENT_KEY, Gateway, Provider, Settings},
    http::Request,
    process::{Background, free_port, python, tee},
    tally::Tally,
    terminal::say,
    test,
    workspace::Workspace,
};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

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
    /// Put a real model behind the gateway instead, and let it use one of the gateway's tools
    #[arg(long)]
    real: bool,
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
    if arguments.real {
        return test::judge(real(&program, (&dir, &tools), &folder)?);
    }
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

/// A real model uses the calculator and goes on. What it says is not looked at: it is a small one.
fn real(program: &Path, (dir, tools): (&Path, &Path), folder: &Path) -> anyhow::Result<Tally> {
    let port = free_port()?;
    let mut model = Background::start("model", &mut clients::model(dir, tools, port), folder)?;
    model.answers(port, "/health", clients::LOADING)?;
    let base_url = format!("http://127.0.0.1:{port}");
    let provider = Provider { name: "llamacpp", base_url, api_key: UPSTREAM_KEY };
    let settings =
        Settings { providers: vec![provider], tool_rounds: Some(1), ..Settings::default() };
    let gateway = Gateway::start(program, Some(&settings), folder)?;
    let known = Request::get("/v1/tools/calculator").send(gateway.port)?.body;
    let known: Value = serde_json::from_str(&known)?;
    let member = |name: &str| known.get(name).cloned().unwrap_or_default();
    let calculator = json!({
        "name": "calculator", "description": member("description"), "parameters": member("parameters"),
    });
    let ask = json!({
        "model": format!("llamacpp/{MODEL}"), "stream": true, "max_tokens": 100,
        "messages": [{ "role": "user", "content": "What is 17 plus 25? Use the calculator." }],
        "tools": [{ "type": "function", "function": calculator }], "tool_choice": "required",
        "parallel_tool_calls": false,
    });
    let reply = Request::post("/v1/chat/completions", &ask.to_string()).send(gateway.port)?;
    let counted = Request::get("/metrics").send(gateway.port)?.body;
    let is_run = |line: &str| {
        line.starts_with("llm_gateway_tool_calls_total{")
            && ["tool=\"calculator\"", "outcome=\"ok\"", "} 1"].iter().all(|it| line.contains(it))
    };
    let facts = [
        ("the answer has an end", reply.status == 200 && reply.body.contains("data: [DONE]")),
        ("it says something", reply.body.contains("\"content\":\"")),
        ("no call is left to the caller", !reply.body.contains("\"tool_calls\":")),
        ("the calculator was run once", counted.lines().any(is_run)),
    ];
    for (fact, is_so) in facts {
        say(format!("{}  {fact}", if is_so { "ok  " } else { "FAIL" }));
    }
    if facts.iter().any(|(_, is_so)| !is_so) {
        say(&reply.body);
    }
    let tally = facts.iter().map(|(_, is_so)| Tally::one(*is_so)).sum::<Tally>();
    say(format!("logs: {}", folder.display()));
    say(tally.to_string());
    Ok(tally)
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
