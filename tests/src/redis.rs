//! A real Redis, for gateways that share one.

use crate::{PATIENCE, port};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{self, Instant},
};

/// A server on a port and in a directory of its own, which writes each change to a log. Dropping it
/// kills the process and removes its directory.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    home: PathBuf,
    port: u16,
    appendfsync: &'static str,
}

impl Redis {
    /// Starts a Redis server.
    pub async fn start() -> Self {
        Self::synchronising("everysec").await
    }

    /// Starts one that synchronises its log `always`, `everysec` or not at all (`no`). With
    /// `everysec` it acknowledges, while the disk is slow, what it has not written for up to two
    /// seconds.
    pub async fn synchronising(appendfsync: &'static str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateway-redis-{}-{number}", process::id());
        let home = std::env::temp_dir().join(name);
        fs::create_dir_all(&home).expect("a directory for temporary files");
        let port = port::free();
        let redis = Self { child: spawn(&home, port, appendfsync), home, port, appendfsync };
        redis.is_up().await;
        redis
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    /// Starts it again, with what it had written.
    pub async fn revive(&mut self) {
        self.child = spawn(&self.home, self.port, self.appendfsync);
        self.is_up().await;
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        crate::signal(self.child.id(), name);
    }

    /// Sends it one command, and returns the reply as it comes: nothing, if none comes soon.
    pub async fn ask(&self, command: &str) -> String {
        let mut reply = vec![0; 64 << 10];
        let asking = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(format!("{command}\r\n").as_bytes()).await?;
            stream.read(&mut reply).await
        };
        let length = time::timeout(Duration::from_millis(500), asking).await;
        let length = length.ok().and_then(Result::ok).unwrap_or(0);
        String::from_utf8_lossy(&reply[..length]).into_owned()
    }

    async fn is_up(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.ask("PING").await.starts_with("+PONG") {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.home);
    }
}

fn spawn(home: &Path, port: u16, appendfsync: &str) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", appendfsync, "--loglevel", "warning"])
        .arg("--dir")
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests need a redis-server on the PATH")
}
