//! A caller that sends exact bytes.

use crate::{
    PATIENCE,
    http::{self, Body, MessageHead},
};
use serde_json::Value;
use std::{future::Future, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};

/// A connection of a caller.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
    gone: Option<BodyEnd>,
}

/// A reply, as far as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The head of the reply.
    pub head: MessageHead,
    /// Its body, freed of its framing.
    pub body: Vec<u8>,
    /// The end of the body.
    pub ending: BodyEnd,
}

/// The end of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyEnd {
    /// At its delimitation.
    Proper,
    /// With the connection, before its framing says.
    Cut,
    /// With a reset of the connection.
    Reset,
    /// With bytes that are no chunk.
    Broken,
}

/// Returns the bytes of a request with `content-length`; `Host` is the first header. A body without a
/// type is JSON.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let is_typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let json = [("Content-Type", "application/json")];
    let json: &[(&str, &str)] = if body.is_empty() || is_typed { &[] } else { &json };
    let length = body.len().to_string();
    let length: &[(&str, &str)] =
        if body.is_empty() { &[] } else { &[("Content-Length", &length)] };
    let headers = [&[("Host", "localhost")], json, headers, length].concat();
    let head = format!("{method} {path} HTTP/1.1\r\n{}\r\n", http::lines(&headers));
    [head.as_bytes(), body].concat()
}

async fn in_time<T>(waiting: impl Future<Output = T>) -> T {
    time::timeout(PATIENCE, waiting).await.expect("something should have come by now")
}

impl RawConnection {
    /// Connects to `address`.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = in_time(TcpStream::connect(address)).await.expect("somebody listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, buffer: Vec::new(), gone: None }
    }

    /// Connects to `address`; `None` if the connection is refused.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = in_time(TcpStream::connect(address)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream, buffer: Vec::new(), gone: None })
    }

    /// Sends `bytes`. A closed connection shows when the reply is read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = in_time(self.stream.write_all(bytes.as_ref())).await;
    }

    /// Says that nothing more will be said.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("an open connection");
    }

    /// Leaves by a reset.
    pub fn abort(self) {
        self.stream.set_zero_linger().expect("a TCP socket");
    }

    /// The next reply to anything but `HEAD`.
    pub async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("the connection closed without a reply")
    }

    /// The next reply, if the connection does not close before it.
    pub async fn try_reply(&mut self) -> Option<Reply> {
        let mut stream = self.try_begin().await?;
        while stream.more().await {}
        let ending = stream.ending();
        Some(Reply { head: stream.head, body: stream.text, ending })
    }

    /// The head of the next reply, if the connection does not close before it. What comes after it
    /// is left to be read.
    pub async fn try_head(&mut self) -> Option<MessageHead> {
        loop {
            if let Some(head) = MessageHead::take(&mut self.buffer) {
                return Some(head);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next reply, from its head on.
    pub async fn begin(&mut self) -> StreamingReply<'_> {
        self.try_begin().await.expect("the connection closed without a reply")
    }

    async fn try_begin(&mut self) -> Option<StreamingReply<'_>> {
        let head = self.try_head().await?;
        let bodiless = head.word(1).starts_with('1') || ["204", "304"].contains(&head.word(1));
        let body = if bodiless { Body::Ended } else { head.body(Body::UntilClose) };
        Some(StreamingReply { raw: self, head, body, text: Vec::new() })
    }

    /// Waits until the peer closes the connection; returns the bytes before it.
    pub async fn closed(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Returns the end of the connection, if it has ended.
    pub const fn gone(&self) -> Option<BodyEnd> {
        self.gone
    }

    /// Whether there was more to read.
    async fn fill(&mut self) -> bool {
        if self.gone.is_some() {
            return false;
        }
        self.gone = match in_time(self.stream.read_buf(&mut self.buffer)).await {
            Ok(0) => Some(BodyEnd::Cut),
            Ok(_) => None,
            Err(_) => Some(BodyEnd::Reset),
        };
        self.gone.is_none()
    }
}

/// A reply that is still coming.
#[derive(Debug)]
pub struct StreamingReply<'raw> {
    raw: &'raw mut RawConnection,
    /// The head of the reply.
    pub head: MessageHead,
    body: Body,
    /// The received part of the body that was not returned yet.
    text: Vec<u8>,
}

impl StreamingReply<'_> {
    /// The next event or comment without its blank line, if the body does not end before it.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<_> = self.text.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&block[..end]).into_owned());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next bytes of the body, until there are `length`, or the end.
    pub async fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.text.len() < length && self.more().await {}
        std::mem::take(&mut self.text)
    }

    /// Returns the end of the body, once it is known.
    pub fn ending(&self) -> BodyEnd {
        match (self.body, self.raw.gone) {
            (Body::Ended, _) | (Body::UntilClose, Some(BodyEnd::Cut)) => BodyEnd::Proper,
            (Body::Broken, _) => BodyEnd::Broken,
            (_, gone) => gone.expect("the body has ended"),
        }
    }

    /// Whether the body went on.
    async fn more(&mut self) -> bool {
        let before = self.text.len();
        loop {
            self.body.take(&mut self.raw.buffer, &mut self.text);
            if self.text.len() > before {
                return true;
            }
            if matches!(self.body, Body::Ended | Body::Broken) || !self.raw.fill().await {
                return false;
            }
        }
    }
}

impl Reply {
    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.head.word(1).parse().expect("a status")
    }

    /// The first of its headers called `name`; empty without one.
    pub fn header(&self, name: &str) -> &str {
        self.head.header(name).unwrap_or_default()
    }

    /// Its body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a reply in UTF-8")
    }

    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error} in a reply of {}: {}", self.status(), self.text())
        })
    }

    /// Returns its status and, of an error, the code: `429 rate_limited`.
    pub fn status_and_code(&self) -> String {
        let code = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        let code = code["error"]["code"].as_str().unwrap_or_default().to_owned();
        format!("{} {code}", self.status()).trim_end().to_owned()
    }

    /// The data of its events.
    pub fn events(&self) -> Vec<String> {
        let data = |block: &str| {
            let lines: Vec<_> =
                block.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            lines.join("\n")
        };
        self.text().split("\n\n").map(data).filter(|data| !data.is_empty()).collect()
    }

    /// Returns the text of its events, followed by the finish in brackets (`[stop]`), the code of
    /// an error as `<code>`, and `[DONE]`; `~` if the body did not end properly.
    pub fn event_text(&self) -> String {
        let mut text: String = self.events().iter().map(|event| text_of(event)).collect();
        if self.ending != BodyEnd::Proper {
            text.push('~');
        }
        text
    }
}

/// Returns the text of one event.
fn text_of(event: &str) -> String {
    let Ok(event) = serde_json::from_str::<Value>(event) else { return event.to_owned() };
    if let Some(code) = event["error"]["code"].as_str() {
        return format!("<{code}>");
    }
    let choice = &event["choices"][0];
    let text = choice["delta"]["content"].as_str().unwrap_or_default();
    let finish = choice["finish_reason"].as_str().map(|it| format!("[{it}]"));
    format!("{text}{}", finish.unwrap_or_default())
}
