//! A real Postgres for each test that asks for one.

use crate::{backend::Directory, redis_server::free_port};
use std::{
    fs,
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// A running server, on a port and in a directory of its own, without TLS.
pub(crate) struct PostgresServer {
    child: Child,
    port: u16,
    directory: Directory,
}

/// The users that the server runs as where the tests run as root, which it refuses.
const USERS: [&str; 2] = ["postgres", "nobody"];

impl PostgresServer {
    /// Starts a Postgres server.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with these settings besides.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let directory = Directory::new();
        let data = directory.path().join("data");
        if let Some(user) = user() {
            std::os::unix::fs::chown(directory.path(), Some(user.0), Some(user.1)).unwrap();
        }
        let made = command("initdb")
            .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust"])
            .args(["--username=gateway", "-D"])
            .arg(&data)
            .output()
            .expect("the tests need Postgres (Debian: apt-get install postgresql)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let usual = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        let written = [&[usual.as_str()], settings].concat().join("\n");
        fs::write(data.join("postgresql.conf"), written + "\n").unwrap();
        let port = free_port();
        let child = spawn(&data, port);
        let mut server = Self { child, port, directory };
        server.is_up();
        server
    }

    /// Gives a file to the user that servers run as.
    #[cfg(feature = "tls")]
    pub(crate) fn give(path: &Path) {
        if let Some((user, group)) = user() {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// Returns the URL of the server.
    pub(crate) fn url(&self) -> String {
        format!("postgres://gateway@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Returns its directory of data.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Ends it without a warning, as a crash would.
    pub(crate) fn kill(&mut self) {
        kill(&mut self.child);
    }

    /// Starts it again, with what it had written.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.data(), self.port);
        self.is_up();
    }

    /// Sends a signal to the server and its processes.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Runs SQL, and returns what `psql` prints.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, &self.url()])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    fn is_up(&mut self) {
        for _ in 0..2_000 {
            // It refuses to start while a process of the killed one ends, and exits.
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                self.child = spawn(&self.data(), self.port);
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self.ask("SELECT 'up'") == "up"
            {
                return;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        panic!("postgres does not answer: {}", self.ask("SELECT 'up'"));
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// Kills a server with the processes that it has started.
fn kill(child: &mut Child) {
    signal(child, "KILL");
    child.wait().ok();
}

/// Sends a signal to a server and to the processes that it has started, each in a group of its own.
fn signal(child: &Child, name: &str) {
    let server = child.id().to_string();
    let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
    let children = children.unwrap_or_default();
    let all = std::iter::once(&*server).chain(children.split_whitespace());
    Command::new("kill").args(["-s", name]).args(all).stderr(Stdio::null()).status().ok();
}

fn spawn(data: &Path, port: u16) -> Child {
    command("postgres")
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories=", "-c", "shared_buffers=16MB"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests need Postgres (Debian: apt-get install postgresql)")
}

/// A program of the server, as a user whom it accepts.
fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    if let Some((user, group)) = user() {
        command.uid(user).gid(group);
    }
    command
}

/// Returns the path of a program: Debian keeps those of the server out of the `PATH`.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|it| it.path().join("bin").join(name)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

/// Returns the user to run as, where we are root.
fn user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    USERS.into_iter().find_map(of)
}
