//! A real Redis for each test that asks for one.

use crate::backend::Directory;
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// A running server, on a port and in a directory of its own, which writes each change to a log.
pub(crate) struct Server {
    child: Child,
    port: u16,
    directory: Directory,
    arguments: Vec<String>,
}

impl Server {
    /// Starts a Redis server.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with these arguments besides.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let server = Self::spawned("--port", arguments, Directory::new());
        server.until("PING", "+PONG");
        server
    }

    /// Starts one that speaks nothing but TLS: it cannot be asked in the open.
    #[cfg(feature = "tls")]
    pub(crate) fn start_with_tls(arguments: &[&str]) -> Self {
        let arguments = [&["--port", "0"], arguments].concat();
        let server = Self::spawned("--tls-port", &arguments, Directory::new());
        while TcpStream::connect(("127.0.0.1", server.port)).is_err() {
            thread::park_timeout(Duration::from_millis(5));
        }
        server
    }

    /// Starts one that watches over others, as the file in `directory` says.
    pub(crate) fn start_sentinel(file: &Path, directory: Directory) -> Self {
        let port = free_port();
        let child = Command::new("redis-server")
            .arg(file)
            .args(["--sentinel", "--port", &port.to_string(), "--bind", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tests need a redis-server on the PATH");
        let server = Self { child, port, directory, arguments: Vec::new() };
        server.until("PING", "+PONG");
        server
    }

    fn spawned(port_is: &str, arguments: &[&str], directory: Directory) -> Self {
        let port = free_port();
        let own = [port_is.to_owned(), port.to_string()];
        let arguments: Vec<_> =
            own.into_iter().chain(arguments.iter().map(|it| (*it).to_owned())).collect();
        let child = spawn(&arguments, &directory);
        Self { child, port, directory, arguments }
    }

    /// Returns the port of the server.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of the server.
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
        self.child = spawn(&self.arguments, &self.directory);
        self.until("PING", "+PONG");
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

    /// Waits until its reply to `command` says `text`.
    pub(crate) fn until(&self, command: &str, text: &str) {
        for _ in 0..2_000 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self.ask(command).contains(text)
            {
                return;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        panic!("redis-server does not say {text}: {}", self.ask(command));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(arguments: &[String], directory: &Directory) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning"])
        .args(arguments)
        .arg("--dir")
        .arg(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests need a redis-server on the PATH")
}

/// Returns an unused port.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
