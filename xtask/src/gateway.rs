//! The gateway's own program, built for release, configured and started beside a task.

use crate::{
    clock::Stopwatch,
    process::{Background, free_port, unlimited},
    workspace::Workspace,
};
use anyhow::Context as _;
use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The start timeout of the gateway.
const START: Duration = Duration::from_secs(20);

/// The key that callers show, where the gateway asks for one.
pub(crate) const CLIENT_KEY: &str = "sk-gateway";

/// The build of the program to run.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Binary {
    /// The gateway to run, instead of the one built from here
    #[arg(long, value_name = "PROGRAM")]
    binary: Option<PathBuf>,
}

/// The configuration of a gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The configured providers.
    pub providers: Vec<Provider>,
    /// The API keys of callers; without any, authentication is off.
    pub keys: Vec<&'static str>,
    /// Other names of models, and what they stand for.
    pub aliases: Vec<(&'static str, String)>,
    /// The maximum number of tool rounds; the default if absent.
    pub tool_rounds: Option<u32>,
}

/// A provider that is somewhere else than usual.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Provider {
    /// Its name, by which models are prefixed, too.
    pub name: &'static str,
    /// The base URL of the provider.
    pub base_url: String,
    /// The API key for the provider.
    pub api_key: &'static str,
}

/// A gateway that runs; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// The running program.
    pub process: Background,
    /// The port on the loopback address.
    pub port: u16,
    /// The time from the start to the first response.
    pub started_in: Duration,
}

impl Binary {
    /// The program in this file.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { binary: Some(path) }
    }

    /// Returns the path of the program, after building it if needed.
    pub(crate) fn path(&self, workspace: &Workspace) -> anyhow::Result<PathBuf> {
        self.built(workspace, "release", &[])
    }

    /// Returns the path of the program, built with this profile and these features if needed.
    pub(crate) fn built(
        &self,
        workspace: &Workspace,
        profile: &str,
        features: &[&str],
    ) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.binary {
            return fs::canonicalize(path).with_context(|| path.display().to_string());
        }
        let features = features.iter().map(|name| format!("--features={name}"));
        let build = workspace.cargo("build --locked -p gateway-server --profile").arg(profile);
        build.args(features).run()?;
        Ok(workspace.target.join(profile).join("gateway-server"))
    }
}

impl Settings {
    /// Renders the configuration file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for Provider { name, base_url, api_key } in &self.providers {
            let _infallible = writeln!(
                text,
                "[providers.{name}]\nbase_url = {base_url:?}\napi_key = {api_key:?}\n"
            );
        }
        for key in &self.keys {
            let _infallible = writeln!(text, "[[clients]]\nname = \"xtask\"\nkey = {key:?}\n");
        }
        if let Some(rounds) = self.tool_rounds {
            let _infallible = writeln!(text, "[tool_calls]\nmax_rounds = {rounds}\n");
        }
        if !self.aliases.is_empty() {
            text.push_str("[aliases]\n");
        }
        for (name, model) in &self.aliases {
            let _infallible = writeln!(text, "{name} = {model:?}");
        }
        text
    }
}

impl Gateway {
    /// Starts the program in an empty folder, with no more of this environment than it needs, and
    /// waits for its first answer.
    pub(crate) fn start(
        program: &Path,
        settings: Option<&Settings>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let mut command = unlimited(program);
        let text = settings.map(Settings::text);
        let port = Self::prepare(&mut command, text.as_deref(), folder)?;
        if settings.is_some() {
            command.envs(UNHINDERED.iter().copied());
        } else {
            // A newcomer asks less in a minute than a task does in a second.
            command.env("LLM_GATEWAY_RATE_LIMIT_BURST", "60");
        }
        Self::run(&mut command, port, folder)
    }

    /// Prepares a command that runs the program, perhaps inside another, with a configuration.
    /// Returns the port on which it will listen.
    pub(crate) fn configure(
        command: &mut Command,
        config: &str,
        folder: &Path,
    ) -> anyhow::Result<u16> {
        let port = Self::prepare(command, Some(config), folder)?;
        command.env("LLM_GATEWAY_MAX_CONCURRENT_REQUESTS", "100000");
        Ok(port)
    }

    fn prepare(command: &mut Command, config: Option<&str>, folder: &Path) -> anyhow::Result<u16> {
        let home = empty(&folder.join("gateway"))?;
        let port = free_port()?;
        command.env_clear().current_dir(&home);
        command.envs(
            ["PATH", "HOME", "TMPDIR"].iter().filter_map(|name| Some((name, env::var_os(name)?))),
        );
        command.env("LLM_GATEWAY_HOST", "127.0.0.1").env("LLM_GATEWAY_PORT", port.to_string());
        command.env("LLM_GATEWAY_DATA_DIR", home.join("data"));
        // Nothing balances load over a gateway that serves one task: it need not wait to be left.
        command.env("LLM_GATEWAY_DRAIN_DELAY", "0s");
        if let Some(config) = config {
            let file = home.join("gateway.toml");
            fs::write(&file, config)?;
            command.env("LLM_GATEWAY_CONFIG", file);
        }
        Ok(port)
    }

    fn run(command: &mut Command, port: u16, folder: &Path) -> anyhow::Result<Self> {
        let watch = Stopwatch::start();
        let mut process = Background::start("gateway", command, folder)?;
        process.answers(port, "/health", START)?;
        Ok(Self { process, port, started_in: watch.elapsed() })
    }
}

/// The settings that disable protections: a provider may fail on purpose, and there is one caller.
/// Unknown names do no harm.
const UNHINDERED: &[(&str, &str)] = &[
    ("LLM_GATEWAY_CACHE_ENABLED", "false"),
    ("LLM_GATEWAY_CIRCUIT_BREAKER_ENABLED", "false"),
    ("LLM_GATEWAY_CIRCUIT_BREAKER_FAILURE_THRESHOLD", "100"),
    ("LLM_GATEWAY_CMS_ENABLED", "false"),
    ("LLM_GATEWAY_MAX_CONCURRENT_REQUESTS", "100000"),
    ("LLM_GATEWAY_RATE_LIMIT_ENABLED", "false"),
    ("LLM_GATEWAY_RETRY_ENABLED", "false"),
];

fn empty(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Provider, Settings};

    #[test]
    fn configuration_file_has_only_set_values() {
        assert_eq!(Settings::default().text(), "");
        let settings = Settings {
            providers: vec![Provider {
                name: "openai",
                base_url: "http://x/v1".to_owned(),
                api_key: "k",
            }],
            keys: vec!["sk-a"],
            aliases: vec![("scripted", "openai/scripted".to_owned())],
            tool_rounds: Some(1),
        };
        let expected = "[providers.openai]\nbase_url = \"http://x/v1\"\napi_key = \"k\"\n\n\
                        [[clients]]\nname = \"xtask\"\nkey = \"sk-a\"\n\n\
                        [tool_calls]\nmax_rounds = 1\n\n\
                        [aliases]\nscripted = \"openai/scripted\"\n";
        assert_eq!(settings.text(), expected);
    }
}
