//! A caller with one connection that it keeps.

use super::{answers, upstream::LockstepUpstream};
use anyhow::{Context as _, ensure};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// The response timeout: the gateway runs many times slower than usual.
const PATIENCE: Duration = Duration::from_mins(2);

/// A caller that sends one request at a time.
#[derive(Debug)]
pub(super) struct SequentialClient {
    reader: BufReader<TcpStream>,
    key: &'static str,
}

impl SequentialClient {
    /// Connects to a port of this machine.
    pub(super) fn connect(port: u16, key: &'static str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(stream), key })
    }

    /// Sends a body to the chat endpoint, and reads the answer to its end.
    ///
    /// # Errors
    ///
    /// If the answer is anything but a whole success.
    pub(super) fn chat(&mut self, body: &str, upstream: &LockstepUpstream) -> anyhow::Result<()> {
        let (key, length) = (self.key, body.len());
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n\
             authorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(request.as_bytes())?;
        let (status, length) = self.head()?;
        if let Some(length) = length {
            let mut body = vec![0; length];
            self.reader.read_exact(&mut body)?;
            ensure!(status == 200, "status {status}: {}", String::from_utf8_lossy(&body));
            ensure!(body.len() > 2, "an empty answer");
            return Ok(());
        }
        ensure!(status == 200, "status {status}");
        self.stream(upstream)
    }

    /// Reads a head: the status, and the length of the body if it has one.
    fn head(&mut self) -> anyhow::Result<(u16, Option<usize>)> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).context("not a status line")?.parse()?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            let Some((name, value)) = line.split_once(':') else { break };
            if name == "content-length" {
                length = Some(value.trim().parse()?);
            }
        }
        Ok((status, length))
    }

    /// Reads chunks, and lets the upstream go on after each with text.
    fn stream(&mut self, upstream: &LockstepUpstream) -> anyhow::Result<()> {
        let mut tail = String::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            let mut chunk = vec![0; length];
            self.reader.read_exact(&mut chunk)?;
            self.line()?;
            if length == 0 {
                break;
            }
            tail = String::from_utf8(chunk)?;
            if answers::has_text(&tail) {
                upstream.text_arrived()?;
            }
        }
        ensure!(tail.contains("[DONE]"), "the stream ends with {tail:?}");
        Ok(())
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.reader.read_line(&mut line)? > 0, "the gateway has hung up");
        Ok(line.trim_end().to_owned())
    }
}
