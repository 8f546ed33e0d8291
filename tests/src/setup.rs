//! The configuration of a gateway for a test.

use crate::{Dialect, Gateway, Postgres, Redis, Upstream, gateway, platform::PlatformStub, port};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// The configuration of a gateway. Nothing of the environment of the tests gets into it.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    sections: Vec<(String, Vec<String>)>,
    environment: Vec<(String, String)>,
    unread: bool,
    /// Text behind the sections.
    appended: String,
    /// The data directory, if it outlives the gateway.
    data: Option<PathBuf>,
}

/// A data directory that outlives a gateway. Dropping it removes the directory.
#[derive(Debug)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// Creates a directory.
    pub fn new() -> Self {
        Self(directory("gateway-data"))
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for DataDirectory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        // What is left behind is in a directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A new directory, whose name begins with `name`.
fn directory(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("{name}-{}-{number}", process::id()));
    fs::create_dir_all(&path).expect("a directory for temporary files");
    path
}

impl Setup {
    /// Creates a gateway with default settings, except that it logs everything as JSON, stores
    /// nothing, has no rate limits and no retries: see [`Self::tenacious`].
    pub fn new() -> Self {
        Self::tenacious().write("resilience", "retry_max_attempts", "1").write(
            "resilience",
            "circuit_breaker_enabled",
            "false",
        )
    }

    /// Creates a gateway with default settings, except that it logs everything as JSON, stores
    /// nothing and has no rate limits.
    pub fn tenacious() -> Self {
        Self::default()
            .set("store", "backend", "memory")
            .set("log", "level", "trace")
            .set("log", "format", "json")
            .set("server", "drain_delay", "0s")
            .write("server", "allowed_hosts", "[\"h\", \"evil\"]")
            .write("limits", "enabled", "false")
    }

    /// The same, with the provider `lab` at `upstream`.
    pub fn before(upstream: &Upstream) -> Self {
        Self::new().provider("lab", &upstream.url())
    }

    /// Sets `key` of `[section]` to a text.
    #[must_use]
    pub fn set(self, section: &str, key: &str, value: &str) -> Self {
        self.write(section, key, &format!("{value:?}"))
    }

    /// Sets `key` of `[section]` to a value as TOML writes it; what was said before is forgotten.
    #[must_use]
    pub fn write(mut self, section: &str, key: &str, value: &str) -> Self {
        let line = format!("{key} = {value}");
        match self.sections.iter_mut().find(|(name, _)| name == section) {
            Some((_, lines)) => {
                lines.retain(|line| !line.starts_with(&format!("{key} = ")));
                lines.push(line);
            }
            None => self.sections.push((section.to_owned(), vec![line])),
        }
        self
    }

    /// Adds tables as TOML writes them, behind the sections that are set.
    #[must_use]
    pub fn append(mut self, text: &str) -> Self {
        self.appended.push_str(text);
        self
    }

    /// Sets the timeout `name`.
    #[must_use]
    pub fn timeout(self, name: &str, value: &str) -> Self {
        self.set("timeouts", name, value)
    }

    /// An upstream has this long for an answer that is not streamed.
    #[must_use]
    pub fn hurried(self, total: &str) -> Self {
        self.timeout("connect", total).timeout("first_byte", total).timeout("total", total)
    }

    /// A provider at `url`, which speaks like OpenAI unless its name says otherwise.
    #[must_use]
    pub fn provider(self, name: &str, url: &str) -> Self {
        let section = format!("providers.{name}");
        self.set(&section, "base_url", url)
    }

    /// Sets the dialect of the provider `name`, which is an OpenAI-compatible one otherwise.
    #[must_use]
    pub fn speaking(self, name: &str, dialect: Dialect) -> Self {
        let section = format!("providers.{name}");
        match dialect {
            Dialect::Chat => self,
            Dialect::Responses => self.set(&section, "api", "responses"),
            Dialect::Messages => self.set(&section, "kind", "anthropic"),
            Dialect::Gemini => self.set(&section, "kind", "gemini"),
            Dialect::Ollama => self.set(&section, "kind", "ollama"),
        }
    }

    /// A model called `id`: the provider's `m`, asked through that API of its.
    #[must_use]
    pub fn model(mut self, id: &str, provider: &str, api: &str) -> Self {
        let lines = [("id", id), ("provider", provider), ("upstream", "m"), ("api", api)];
        let lines = lines.map(|(name, value)| format!("{name} = {value:?}"));
        self.sections.push(("[models]".to_owned(), lines.to_vec()));
        self
    }

    /// A model name that these targets serve, a list as TOML writes it, one after the other.
    #[must_use]
    pub fn route(mut self, model: &str, targets: &str) -> Self {
        let lines = [format!("model = {model:?}"), format!("targets = {targets}")];
        self.sections.push(("[routes]".to_owned(), lines.to_vec()));
        self
    }

    /// Tools that the services of `platform` run.
    #[must_use]
    pub fn with_platform(self, platform: &PlatformStub) -> Self {
        self.set("services", "semantic_search_url", &platform.semantic_search.url())
            .set("services", "ai_agents_url", &platform.ai_agents.url())
            .set("services", "code_orchestrator_url", &platform.code_orchestrator.url())
    }

    /// A caller with this key, which may be short: only its hash is configured.
    #[must_use]
    pub fn client(mut self, name: &str, key: &str) -> Self {
        let hash = Sha256::digest(key);
        let lines = [format!("name = {name:?}"), format!("key_sha256 = \"{hash:x}\"")];
        self.sections.push(("[clients]".to_owned(), lines.to_vec()));
        self
    }

    /// Another caller, with these settings of its own as TOML writes them.
    #[must_use]
    pub fn second_client(mut self, name: &str, key: &str, settings: &[(&str, &str)]) -> Self {
        let hash = Sha256::digest(key);
        let mut lines = vec![format!("name = {name:?}"), format!("key_sha256 = \"{hash:x}\"")];
        lines.extend(settings.iter().map(|(key, value)| format!("{key} = {value}")));
        self.sections.push(("[clients]".to_owned(), lines));
        self
    }

    /// The same, but what it keeps is kept in a file of `data`.
    #[must_use]
    pub fn keeping(mut self, data: &DataDirectory) -> Self {
        self.data = Some(data.0.clone());
        self.set("store", "backend", "embedded")
    }

    /// Keeps its files in `directory`, which it makes if it is not there.
    #[must_use]
    pub fn data_in(mut self, directory: &Path) -> Self {
        self.data = Some(directory.to_owned());
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves its standard output unread.
    #[must_use]
    pub const fn unread(mut self) -> Self {
        self.unread = true;
        self
    }

    /// A gateway that keeps its state in `redis`, with others.
    #[must_use]
    pub fn sharing(self, redis: &Redis) -> Self {
        self.env("LLM_GATEWAY_STORE", "redis").env("REDIS_URL", &redis.url())
    }

    /// A gateway that keeps its state in `postgres`, with others.
    #[must_use]
    pub fn sharing_postgres(self, postgres: &Postgres) -> Self {
        self.env("LLM_GATEWAY_STORE", "postgres").env("DATABASE_URL", &postgres.url())
    }

    /// Starts the gateway and waits until it answers.
    pub async fn start(self) -> Gateway {
        for _ in 0..5 {
            let port = port::free();
            let home = self.write_down(port);
            if let Some(gateway) = gateway::spawn(home, port, &self.environment, self.unread).await
            {
                return gateway;
            }
        }
        panic!("the gateway does not start: it finds every port taken");
    }

    /// Starts a gateway whose own port the testkit cannot ask, and waits until its health checks answer
    /// on `health_port`.
    pub async fn start_with_health_port(self, health_port: u16) -> Gateway {
        let setup = self.write("server", "health_port", &health_port.to_string());
        let port = port::free();
        let home = setup.write_down(port);
        gateway::spawn_asking(home, (port, health_port), &setup.environment).await
    }

    /// Starts a gateway that fails to start; returns its exit code and output.
    pub async fn refused(self) -> (Option<i32>, String) {
        let port = port::free();
        gateway::refused(self.write_down(port), port, &self.environment).await
    }

    /// Writes the configuration to a directory of its own.
    fn write_down(&self, port: u16) -> PathBuf {
        let home = directory("gateway-test");
        fs::write(home.join("gateway.toml"), self.text(port, &home)).expect("a file");
        home
    }

    /// Writes this configuration over that of `gateway`, in one step. It keeps its port and its
    /// directory.
    pub fn overwrite(&self, gateway: &Gateway) {
        gateway.write(&self.text(gateway.address().port(), gateway.home()));
    }

    /// Returns the content of the configuration file.
    fn text(&self, port: u16, home: &Path) -> String {
        let data = self.data.clone().unwrap_or_else(|| home.join("data"));
        let all = self.clone().write("server", "port", &port.to_string()).set(
            "server",
            "data_dir",
            data.to_str().expect("a path in UTF-8"),
        );
        let sections =
            all.sections.iter().map(|(name, lines)| format!("[{name}]\n{}\n\n", lines.join("\n")));
        sections.collect::<String>() + &self.appended
    }
}
