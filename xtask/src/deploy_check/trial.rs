//! A run of the program with a rendered environment, against stubs of the platform.
//!
//! The stubs and Redis listen on their usual ports of one loopback address, and every host name of
//! the environment stands for that address.

use super::environment::{ContainerEnvironment, KEY};
use crate::{
    clock::{Stopwatch, pause},
    http::{Reply, Request},
    needs,
    process::{Background, free_port},
    workspace::Workspace,
};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

/// The address of the stubs.
const STUBS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
const REDIS_PORT: u16 = 6379;
const SEARCH_PORT: u16 = 8081;
/// The start timeout of a program.
const START: Duration = Duration::from_secs(20);
/// The number of requests after which a limit must have refused one.
const MOST_REQUESTS: usize = 200;
const CHAT: &str = "/v1/chat/completions";
const SESSIONS: &str = "/v1/sessions";
const TOOL: &str = r#"{"name":"search_corpus","arguments":{"query":"tides"}}"#;

const LOCAL_MODEL: &str = "local/phi-4";
/// The model of an environment without the service of local models.
const FAKE_MODEL: &str = "fake/echo";
const NOT_SET: &str = "not set";

/// The columns of the table.
pub(super) const CHECKS: [&str; 5] = ["ready", "tool", "local model", "session", "limit"];

/// The services of the platform and Redis; dropping them ends them.
#[derive(Debug)]
pub(super) struct PlatformStubs {
    _platform: Background,
    _redis: Background,
}

impl PlatformStubs {
    /// Starts the program `platform` and Redis.
    pub(super) fn start(
        workspace: &Workspace,
        platform: &Path,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        needs::redis_server(&workspace.shell)?;
        let mut command = Command::new(platform);
        command.args(["--newer", &STUBS.to_string()]);
        let platform = Background::start("platform-stub", &mut command, folder)?;
        let mut command = Command::new("redis-server");
        let (host, port) = (STUBS.to_string(), REDIS_PORT.to_string());
        command.args(["--bind", &host, "--port", &port, "--save", "", "--appendonly", "no"]);
        let redis = Background::start("redis", command.current_dir(folder), folder)?;
        for (port, process) in [(SEARCH_PORT, &platform), (REDIS_PORT, &redis)] {
            accepts(SocketAddr::new(IpAddr::V4(STUBS), port), process)?;
        }
        Ok(Self { _platform: platform, _redis: redis })
    }
}

/// Waits until a program accepts connections.
fn accepts(address: SocketAddr, process: &Background) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    while watch.elapsed() < START {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        pause(Duration::from_millis(20));
    }
    bail!("nothing listens on {address}:\n{}", process.last_words())
}

/// A gateway that runs with a rendered environment.
#[derive(Debug)]
struct GatewayTrial {
    process: Background,
    port: u16,
    probe_port: u16,
    /// The key of the caller; none if callers need none.
    key: &'static str,
    /// The model of the chat: of the platform if the environment has its address.
    model: &'static str,
    /// Whether the environment has a limit for the caller.
    is_limited: bool,
}

/// Runs the program with an environment; returns a cell for each of [`CHECKS`], and the first error.
pub(super) fn run(
    gateway: &Path,
    environment: &ContainerEnvironment,
    folder: &Path,
) -> (Vec<String>, anyhow::Result<()>) {
    let trial = match GatewayTrial::start(gateway, environment, folder) {
        Ok(trial) => trial,
        Err(error) => return (vec!["no start".to_owned(); CHECKS.len()], Err(error)),
    };
    let results =
        [trial.ready(), trial.tool(), trial.local_model(), trial.session(), trial.limit()];
    let mut cells = Vec::new();
    let mut failure = Ok(());
    for (name, result) in CHECKS.iter().zip(results) {
        cells.push(result.as_ref().map_or_else(|_| "FAIL".to_owned(), Clone::clone));
        if let Err(error) = result
            && failure.is_ok()
        {
            let log = trial.process.last_words();
            failure = Err(error.context(format!("{name}; the gateway logged:\n{log}\n")));
        }
    }
    (cells, failure)
}

impl GatewayTrial {
    fn start(
        gateway: &Path,
        environment: &ContainerEnvironment,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let mut environment = environment.clone();
        environment.lead_to(&STUBS.to_string());
        let variables = &mut environment.variables;
        let (port, probe_port) = (free_port()?, free_port()?);
        // Redis serves all environments; each has limits and sessions of its own.
        let prefix = format!("{port}:");
        variables.insert("LLM_GATEWAY_STORE__REDIS_PREFIX".to_owned(), prefix);
        let has_models = variables.contains_key("LLM_GATEWAY_INFERENCE_SERVICE_URL");
        if !has_models {
            // In production, the fake provider is served only if it is switched on.
            variables.insert("LLM_GATEWAY_FAKE_ENABLED".to_owned(), "true".to_owned());
        }
        let needs_key = variables.get("LLM_GATEWAY_AUTH").is_none_or(|it| it != "off");
        let has_probe_port = variables.contains_key("LLM_GATEWAY_HEALTH_PORT");
        variables.insert("LLM_GATEWAY_PORT".to_owned(), port.to_string());
        if has_probe_port {
            variables.insert("LLM_GATEWAY_HEALTH_PORT".to_owned(), probe_port.to_string());
        }
        if let Some(address) = variables.get_mut("LLM_GATEWAY_ADMIN_LISTEN") {
            *address = format!("0.0.0.0:{}", free_port()?);
        }
        variables.insert("LLM_GATEWAY_DRAIN_DELAY".to_owned(), "0s".to_owned());
        let data = folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let data = data.to_str().context("a path in UTF-8")?;
        variables.insert("LLM_GATEWAY_DATA_DIR".to_owned(), data.to_owned());
        let mut command = Command::new(gateway);
        command.env_clear().envs(&environment.variables).current_dir(folder);
        let mut process = Background::start("gateway", &mut command, folder)?;
        process.answers(port, "/health", START)?;
        let probe_port = if has_probe_port { probe_port } else { port };
        let key = if needs_key { KEY } else { "" };
        let is_limited = environment.file.is_some() || !needs_key;
        let model = if has_models { LOCAL_MODEL } else { FAKE_MODEL };
        Ok(Self { process, port, probe_port, key, model, is_limited })
    }

    fn send(&self, request: Request<'_>) -> anyhow::Result<Reply> {
        request.key(self.key).send(self.port)
    }

    /// Sends a request; returns the JSON of a reply with `status`.
    fn json(&self, request: Request<'_>, status: u16) -> anyhow::Result<Value> {
        let reply = self.send(request)?;
        ensure!(reply.status == status, "{} {}", reply.status, reply.body);
        serde_json::from_str(&reply.body).context("a reply that is not JSON")
    }

    fn ready(&self) -> anyhow::Result<String> {
        let reply = Request::get("/health/ready").send(self.probe_port)?;
        let body: Value = serde_json::from_str(&reply.body)?;
        ensure!(reply.status == 200, "{body}");
        Ok(text(&body, "status"))
    }

    fn tool(&self) -> anyhow::Result<String> {
        let body = self.json(Request::post("/v1/tools/execute", TOOL), 200)?;
        ensure!(body.get("success") == Some(&Value::Bool(true)), "{body}");
        Ok("search_corpus".to_owned())
    }

    fn local_model(&self) -> anyhow::Result<String> {
        let body = self.json(Request::post(CHAT, &self.chat(None)), 200)?;
        if self.model == FAKE_MODEL {
            return Ok(NOT_SET.to_owned());
        }
        let text = body.pointer("/choices/0/message/content").and_then(Value::as_str);
        let path = match text {
            Some("Directly.") => "direct",
            Some("Through the context service.") => "by CMS",
            _ => bail!("{body}"),
        };
        Ok(path.to_owned())
    }

    fn session(&self) -> anyhow::Result<String> {
        let session = self.json(Request::post(SESSIONS, "{}"), 201)?;
        let id = session.get("id").and_then(Value::as_str).context("a session without id")?;
        self.json(Request::post(CHAT, &self.chat(Some(id))), 200)?;
        let kept = self.json(Request::get(&format!("{SESSIONS}/{id}")), 200)?;
        let messages =
            kept.get("messages").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
        ensure!(messages == 2, "{kept}");
        Ok("2 messages".to_owned())
    }

    fn limit(&self) -> anyhow::Result<String> {
        if !self.is_limited {
            return Ok(NOT_SET.to_owned());
        }
        for number in 1..=MOST_REQUESTS {
            let reply = self.send(Request::post(CHAT, &self.chat(None)))?;
            if reply.status == 429 {
                ensure!(!reply.header("retry-after").is_empty(), "429 without retry-after");
                return Ok(format!("429 after {number}"));
            }
            ensure!(reply.status == 200, "{} {}", reply.status, reply.body);
        }
        bail!("{MOST_REQUESTS} requests at once were served")
    }

    /// Returns the body of a request to the model, perhaps in a session.
    fn chat(&self, session: Option<&str>) -> String {
        chat(self.model, session)
    }
}

/// Returns the text of a member.
fn text(body: &Value, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn chat(model: &str, session: Option<&str>) -> String {
    let messages = json!([{ "role": "user", "content": "When is high water?" }]);
    let body = match session {
        Some(id) => json!({ "model": model, "messages": messages, "session_id": id }),
        None => json!({ "model": model, "messages": messages }),
    };
    body.to_string()
}

#[cfg(test)]
mod tests {
    use super::chat;

    #[test]
    fn session_is_named_only_if_there_is_one() {
        assert!(!chat("m", None).contains("session_id"));
        assert!(chat("m", Some("s-1")).contains(r#""session_id":"s-1""#));
    }
}
