//! Real SDKs and command-line clients against the gateway, with a scripted provider or a real
//! model behind it.
//!
//! ```text
//! run_clients.py -> SDKs -> gateway -> scripted_upstream.py, or llama_serve.py
//! ```

use crate::{
    dialect::{Dialect, UPSTREAM_KEY},
    gateway::{CLIENT_KEY, Provider, Settings},
    kit::{self, ClientKitArguments, MODEL},
    process::python,
    workspace::Workspace,
};

const EMBEDDING_MODEL: &str = "scripted-embedding";

/// The arguments of `clients`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    places: ClientKitArguments,
    /// Suites whose names contain one of these parts
    #[arg(long)]
    only: Option<String>,
    /// Checks that match this regular expression
    #[arg(long)]
    check: Option<String>,
    /// The models of the suites that change providers, one a provider: `openai=openai/gpt-6.1-sol,...`
    #[arg(long)]
    cross: Option<String>,
    /// The dialect of the provider
    #[arg(long, value_enum, default_value_t = Dialect::Openai)]
    provider: Dialect,
    /// Put a real model behind the gateway
    #[arg(long)]
    real: bool,
    /// Suites to run at a time
    #[arg(long, default_value_t = 1)]
    jobs: u32,
}

/// Runs the clients; fails if any check does.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let kit = arguments.places.find(workspace, "clients")?;
    let (_upstream, port) = if arguments.real { kit.real()? } else { kit.scripted()? };
    let gateway = kit.gateway(&settings(arguments, port))?;
    let mut clients = python("python3".as_ref(), &kit.tools.join("run_clients.py"));
    clients.arg("--envs").arg(&kit.dir).args(flags(arguments, gateway.port, port));
    kit.judge(kit::count(clients)?)
}

fn settings(arguments: &Arguments, port: u16) -> Settings {
    let providers = Dialect::ALL.map(|dialect| dialect.provider(port));
    let base_url = format!("http://127.0.0.1:{port}");
    let local = Provider { name: "llamacpp", base_url, api_key: UPSTREAM_KEY };
    let behind = if arguments.real { "local" } else { arguments.provider.name() };
    Settings {
        providers: providers.into_iter().chain([local]).collect(),
        keys: vec![CLIENT_KEY],
        aliases: vec![
            (MODEL, format!("{behind}/{MODEL}")),
            (EMBEDDING_MODEL, format!("openai/{EMBEDDING_MODEL}")),
        ],
        tool_rounds: None,
    }
}

fn flags(arguments: &Arguments, gateway: u16, upstream: u16) -> Vec<String> {
    let mut flags = vec!["--table".to_owned()];
    let mut add = |name: &str, value: &str| flags.extend([name.to_owned(), value.to_owned()]);
    add("--base-url", &format!("http://127.0.0.1:{gateway}/v1"));
    add("--api-key", CLIENT_KEY);
    add("--model", MODEL);
    add("--anthropic-model", MODEL);
    add("--jobs", &arguments.jobs.to_string());
    if !arguments.real {
        add("--embed-model", EMBEDDING_MODEL);
        add("--upstream-url", &format!("http://127.0.0.1:{upstream}"));
        add("--provider", arguments.provider.name());
    }
    for (name, value) in
        [("--only", &arguments.only), ("--check", &arguments.check), ("--cross", &arguments.cross)]
    {
        if let Some(value) = value {
            add(name, value);
        }
    }
    if arguments.real {
        flags.push("--real".to_owned());
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::{Arguments, flags, settings};
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Arguments {
        Line::parse_from(format!("x --dir d {line}").split_whitespace()).arguments
    }

    #[test]
    fn alias_leads_to_selected_provider() {
        let alias = |line: &str| settings(&parse(line), 7).aliases[0].1.clone();
        assert_eq!(alias(""), "openai/scripted");
        assert_eq!(alias("--provider gemini"), "gemini/scripted");
        assert_eq!(alias("--real"), "local/scripted");
    }

    #[test]
    fn each_dialect_has_its_address() {
        let text = settings(&parse(""), 7).text();
        for (name, path) in [("openai", "/v1"), ("anthropic", ""), ("gemini", "/v1beta")] {
            let section = format!("[providers.{name}]\nbase_url = \"http://127.0.0.1:7{path}\"\n");
            assert!(text.contains(&section), "{text}");
        }
    }

    #[test]
    fn flags_are_passed_on() {
        let passed = |line: &str| flags(&parse(line), 1, 2).join(" ");
        assert!(passed("--only openai-py,raw").contains("--only openai-py,raw"));
        assert!(
            passed("--check chat --provider ollama").contains("--provider ollama --check chat")
        );
        assert!(passed("--cross openai=a/b").contains("--cross openai=a/b"));
        assert!(passed("").contains("--upstream-url http://127.0.0.1:2"));
        let real = passed("--real");
        assert!(real.ends_with("--real") && !real.contains("--embed-model"), "{real}");
    }
}
