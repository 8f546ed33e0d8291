//! A real Postgres, for gateways that share one.

use crate::{PATIENCE, port};
use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::time::{self, Instant};

/// The users that the server runs as where the tests run as root, which it refuses.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The password in the URL of the server, which no output may show.
pub const PASSWORD: &str = "pw-3f9c17d2ab";

/// A server on a port and in a directory of its own. Dropping it kills its processes and removes
/// the directory.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    home: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts a Postgres server.
    pub async fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateway-postgres-{}-{number}", process::id());
        let home = std::env::temp_dir().join(name);
        fs::create_dir_all(&home).expect("a directory for temporary files");
        if let Some((user, group)) = user() {
            chown(&home, Some(user), Some(group)).expect("a directory of ours");
        }
        let made = server_program("initdb")
            .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust"])
            .args(["--username=gateway", "-D"])
            .arg(home.join("data"))
            .output()
            .expect("the tests need Postgres (Debian: apt-get install postgresql)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = port::free();
        let mut postgres = Self { child: spawn(&home, port), home, port };
        postgres.is_up().await;
        postgres
    }

    /// Returns the URL of the server, with a password that it does not ask for.
    pub fn url(&self) -> String {
        format!("postgres://gateway:{PASSWORD}@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Ends all of its processes without a warning, as a crash of the machine would.
    pub fn kill(&mut self) {
        kill(&mut self.child);
    }

    /// Starts it again, with what it had written.
    pub async fn revive(&mut self) {
        self.child = spawn(&self.home, self.port);
        self.is_up().await;
    }

    /// Runs SQL, and returns what `psql` prints: rows without a head, with `|` between columns.
    pub fn ask(&self, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
            .args(["--command", sql, &self.url()])
            .output()
            .expect("the tests need psql (Debian: apt-get install postgresql)");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    async fn is_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask("SELECT 'up'") != "up" {
            assert!(Instant::now() < deadline, "postgres does not answer");
            // It refuses to start while a process of the killed one ends, and exits.
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                self.child = spawn(&self.home, self.port);
            }
            time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        kill(&mut self.child);
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Kills a server with the processes that it has started, each in a group of its own.
fn kill(child: &mut Child) {
    let server = child.id().to_string();
    let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
    let children = children.unwrap_or_default();
    let all = std::iter::once(&*server).chain(children.split_whitespace());
    // It may have been killed by the test.
    let _ = Command::new("kill").args(["-s", "KILL"]).args(all).stderr(Stdio::null()).status();
    let _ = child.wait();
}

fn spawn(home: &Path, port: u16) -> Child {
    server_program("postgres")
        .arg("-D")
        .arg(home.join("data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories=", "-c", "shared_buffers=16MB"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests need Postgres (Debian: apt-get install postgresql)")
}

/// A program of the server, as a user whom it accepts. Debian keeps them out of the `PATH`.
fn server_program(name: &str) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|it| it.path().join("bin").join(name)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    let mut command = Command::new(found.pop().unwrap_or_else(|| name.into()));
    if let Some((user, group)) = user() {
        command.uid(user).gid(group);
    }
    command
}

/// Returns the user and the group to run as, where we are root.
fn user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("a list of users");
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    USERS.into_iter().find_map(find)
}
