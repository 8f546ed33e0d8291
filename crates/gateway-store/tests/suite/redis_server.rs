//! A real Redis for each test that asks for one.

use crate::backend::Directory;
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// A running server, on a port and in a directory of its own, which writes each change to a log.
pub(crate) struct Server {
    child: Child,
    port: u16,
    directory: Directory,
}

impl Server {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let directory = Directory::new();
        let port = free_port();
        let child = spawn(port, &directory);
        let server = Self { child, port, directory };
        server.wait();
        server
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How to reach it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, with what it had written.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, &self.directory);
        self.wait();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Sends it one command, and returns the reply as it comes.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut reply = vec![0; 64 << 10];
        let length = stream.read(&mut reply).unwrap_or(0);
        String::from_utf8_lossy(&reply[..length]).into_owned()
    }

    /// Waits until it answers.
    fn wait(&self) {
        for _ in 0..2_000 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self.ask("PING").starts_with("+PONG")
            {
                return;
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        panic!("redis-server does not answer");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(port: u16, directory: &Directory) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning"])
        .arg("--dir")
        .arg(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests need a redis-server on the PATH")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
