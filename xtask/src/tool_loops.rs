//! The loops that applications write around models with tools, with real SDKs: their own tools, the
//! gateway's, and both in one turn.
//!
//! ```text
//! tests/clients/tool_loops.{py,mjs} -> SDKs -> gateway -> scripted_upstream.py
//! ```

use crate::{
    dialect::{Dialect, UPSTREAM_KEY},
    gateway::{CLIENT_KEY, Provider, Settings},
    http::Request,
    kit::{self, ClientKit, ClientKitArguments, MODEL},
    tally::Tally,
    terminal::say,
    workspace::Workspace,
};
use serde_json::{Value, json};
use std::process::Command;

/// The arguments of `tool-loops`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    places: ClientKitArguments,
    /// The dialects of the provider behind the models; each in turn
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Dialect::Openai])]
    provider: Vec<Dialect>,
    /// Put a real model behind the gateway instead, and let it use one of the gateway's tools
    #[arg(long)]
    real: bool,
}

/// Runs the loops; fails if any does.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let kit = arguments.places.find(workspace, "tool-loops")?;
    if arguments.real {
        return kit.judge(real(&kit)?);
    }
    let (_upstream, port) = kit.scripted()?;
    let gateway = kit.gateway(&settings(port))?;
    let scripts = workspace.root.join("tests/clients");
    let mut tally = Tally::default();
    for provider in &arguments.provider {
        let mut node = Command::new("node");
        node.arg(scripts.join("tool_loops.mjs")).env("NODE_MODULES", kit.dir.join("node"));
        for mut command in [kit.python(&scripts.join("tool_loops.py")), node] {
            say(format!("provider: {}", provider.name()));
            let model = format!("{}/{MODEL}", provider.name());
            let base_url = format!("http://127.0.0.1:{}", gateway.port);
            command.args([&base_url, CLIENT_KEY, &model]);
            tally = tally + kit::count(command)?;
        }
    }
    kit.judge(tally)
}

/// A real model uses the calculator and goes on. What it says is not looked at: it is a small one.
fn real(kit: &ClientKit) -> anyhow::Result<Tally> {
    let (_model, port) = kit.real()?;
    let base_url = format!("http://127.0.0.1:{port}");
    let provider = Provider { name: "llamacpp", base_url, api_key: UPSTREAM_KEY };
    let settings =
        Settings { providers: vec![provider], tool_rounds: Some(1), ..Settings::default() };
    let gateway = kit.gateway(&settings)?;
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
    Ok(facts.iter().map(|(_, is_so)| Tally::one(*is_so)).sum())
}

fn settings(port: u16) -> Settings {
    let providers = Dialect::ALL.map(|dialect| dialect.provider(port)).to_vec();
    Settings { providers, keys: vec![CLIENT_KEY], ..Settings::default() }
}
