//! The gateway as its users run it: a process.

use crate::{PATIENCE, RawConnection, Reply, Setup, Upstream, binary, openai, request};
use serde_json::Value;
use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tokio::time::{self, Instant};

/// A running gateway. Dropping it kills the process and removes its directory.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    home: PathBuf,
    address: SocketAddr,
    environment: Vec<(String, String)>,
}

/// Starts a gateway in `home`; nothing if its port was taken meanwhile.
pub(crate) async fn spawn(
    home: PathBuf,
    port: u16,
    environment: &[(String, String)],
    unread: bool,
) -> Option<Gateway> {
    let child = process(&home, environment, unread);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut gateway = Gateway { child, home, address, environment: environment.to_vec() };
    gateway.is_up().await.then_some(gateway)
}

/// Starts a gateway in `home`, and asks its second port whether it is there.
pub(crate) async fn spawn_asking(
    home: PathBuf,
    (port, health_port): (u16, u16),
    environment: &[(String, String)],
) -> Gateway {
    let child = process(&home, environment, false);
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let environment = environment.to_vec();
    let mut gateway = Gateway { child, home, address: address(health_port), environment };
    assert!(gateway.is_up().await, "a port is taken");
    gateway.address = address(port);
    gateway
}

/// Starts a gateway in `home` that fails to start; returns its exit code and output.
pub(crate) async fn refused(
    home: PathBuf,
    port: u16,
    environment: &[(String, String)],
) -> (Option<i32>, String) {
    let child = process(&home, environment, false);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut gateway = Gateway { child, home, address, environment: Vec::new() };
    let ended = gateway.stopped().await;
    (ended.code(), gateway.stdout() + &gateway.stderr())
}

fn process(home: &Path, environment: &[(String, String)], unread: bool) -> Child {
    let file = |name| Stdio::from(File::create(home.join(name)).expect("a file"));
    Command::new(binary::path())
        .current_dir(home)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(if unread { Stdio::piped() } else { file("stdout") })
        .stderr(file("stderr"))
        .spawn()
        .expect("the gateway can be started")
}

impl Gateway {
    /// A gateway with the provider `lab` at `upstream`.
    pub async fn before(upstream: &Upstream) -> Self {
        Setup::before(upstream).start().await
    }

    /// Waits until it answers. Fails loudly unless it only found its port taken.
    async fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a process of ours") {
                let said = self.stdout() + &self.stderr();
                assert!(said.contains("in use"), "the gateway ended with {status}: {said}");
                return false;
            }
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return self.get("/health").await.status() == 200;
            }
            assert!(Instant::now() < deadline, "the gateway does not answer: {}", self.stdout());
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns the address of the gateway.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection to it.
    pub async fn connect(&self) -> RawConnection {
        RawConnection::connect(self.address).await
    }

    /// Sends `bytes` on a connection of their own.
    pub async fn send(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut raw = self.connect().await;
        raw.send(bytes).await;
        raw.reply().await
    }

    /// Sends `GET path`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(request("GET", path, &[], b"")).await
    }

    /// Posts `body` to the chat.
    pub async fn chat(&self, body: impl AsRef<[u8]>) -> Reply {
        self.send(chat(body)).await
    }

    /// Asks `model` something, with these members besides.
    pub async fn ask(&self, model: &str, besides: Value) -> Reply {
        self.chat(openai::ask(model, besides)).await
    }

    /// Begins to ask `model` something, with these members besides.
    pub async fn asking(&self, model: &str, besides: Value) -> RawConnection {
        let mut raw = self.connect().await;
        raw.send(chat(openai::ask(model, besides))).await;
        raw
    }

    /// Returns its standard output so far.
    pub fn stdout(&self) -> String {
        // Without a file, nobody reads it.
        fs::read_to_string(self.home.join("stdout")).unwrap_or_default()
    }

    /// Returns its standard error so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.home.join("stderr")).expect("text in UTF-8")
    }

    /// The lines of its log.
    pub fn log(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
        };
        // The last line may not be there whole.
        let log = self.stdout();
        log.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse).collect()
    }

    /// Waits until `number` requests to models have an outcome, and returns their log lines.
    pub async fn outcomes(&self, number: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut told = self.log();
            told.retain(|line| line["target"] == "gateway::outcome");
            if told.len() >= number {
                return told;
            }
            assert!(Instant::now() < deadline, "{number} outcomes expected, there are {told:#?}");
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the line of the request with this id is in the log: its outcome or its refusal.
    pub async fn logged(&self, request_id: &str) {
        let is_it = |line: &Value| {
            let target = &line["target"];
            line["request_id"] == request_id
                && (target == "gateway::outcome" || target == "gateway::refused")
        };
        let deadline = Instant::now() + PATIENCE;
        while !self.log().iter().any(is_it) {
            assert!(Instant::now() < deadline, "{request_id} is not in the log");
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns its directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Writes `text` over its configuration, in one step.
    pub fn write(&self, text: &str) {
        let new = self.home.join("gateway.toml.new");
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.home.join("gateway.toml")).expect("a file");
    }

    /// Returns the output of the program's command `command` with this gateway's configuration.
    pub fn command(&self, command: &str) -> String {
        self.run(&[command])
    }

    /// Returns the output of the program with these arguments and this gateway's configuration.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.output(arguments, &[]).1
    }

    /// The same, with the variables of this gateway.
    pub fn run_in_environment(&self, arguments: &[&str]) -> String {
        self.output(arguments, &self.environment).1
    }

    /// Returns the exit code and the output of the program with these arguments and variables.
    pub fn output(
        &self,
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> (Option<i32>, String) {
        let mut asked = Command::new(binary::path());
        let asked = asked.current_dir(&self.home).env_clear().args(arguments);
        let asked = asked.envs(environment.iter().map(|(name, value)| (name, value)));
        let said = asked.output().expect("the program can be started");
        let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        (said.status.code(), text)
    }

    /// The sum of the series of `metric` whose labels hold `label`.
    pub async fn metric(&self, metric: &str, label: &str) -> f64 {
        let text = self.get("/metrics").await;
        let rest = |line: &'_ str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            (name == metric && labels.contains(label)).then(|| value.parse::<f64>().ok())?
        };
        text.text().lines().filter_map(rest).sum()
    }

    /// Asks the process to stop, as a supervisor does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the process a signal.
    pub fn signal(&self, name: &str) {
        crate::signal(self.child.id(), name);
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process without a warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    /// Starts it again, with its configuration and what it has written.
    pub async fn revive(&mut self) {
        self.child = process(&self.home, &self.environment, false);
        assert!(self.is_up().await, "its port is taken");
    }

    /// Kills the process and starts it again, with the same directory, port and variables.
    pub async fn restart(mut self) -> Self {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let home = std::mem::take(&mut self.home);
        let environment = std::mem::take(&mut self.environment);
        let again = spawn(home, self.address.port(), &environment, false).await;
        again.expect("the port is free again")
    }

    /// Waits until the process has stopped.
    pub async fn stopped(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a process of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "the gateway does not stop");
            time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.home.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.home);
        }
    }
}

/// A chat request with this body.
fn chat(body: impl AsRef<[u8]>) -> Vec<u8> {
    let headers = [("Content-Type", "application/json")];
    request("POST", "/v1/chat/completions", &headers, body.as_ref())
}
