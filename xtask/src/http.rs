//! Just enough HTTP/1.1 to ask a server on this machine something and to read what it says.
//!
//! It is its own code, so that what it sees of the gateway's replies is not what a library made
//! of them.

use anyhow::{Context as _, bail, ensure};
use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// The read timeout of a server.
const SILENCE: Duration = Duration::from_secs(30);

/// A request. A connection carries one.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    method: &'a str,
    path: &'a str,
    body: &'a str,
    key: &'a str,
}

/// A reply, read to its end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, of which no framing is left.
    pub body: String,
}

impl<'a> Request<'a> {
    /// A request without a body.
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, body: "", key: "" }
    }

    /// A request with a JSON body.
    pub(crate) fn post(path: &'a str, body: &'a str) -> Self {
        Self { method: "POST", path, body, key: "" }
    }

    /// The same with another method.
    pub(crate) fn method(self, method: &'a str) -> Self {
        Self { method, ..self }
    }

    /// The same with a bearer key; an empty one is left out.
    pub(crate) fn key(self, key: &'a str) -> Self {
        Self { key, ..self }
    }

    /// Sends it to a port of this machine, and reads the reply.
    pub(crate) fn send(&self, port: u16) -> anyhow::Result<Reply> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        stream.write_all(self.text(port).as_bytes())?;
        let (mut bytes, mut read) = (Vec::new(), [0; 16 << 10]);
        while !Reply::is_whole(&bytes) {
            let length = stream.read(&mut read).context("the reply does not end")?;
            bytes.extend_from_slice(read.get(..length).unwrap_or_default());
            if length == 0 {
                break;
            }
        }
        Reply::parse(&bytes)
    }

    fn text(&self, port: u16) -> String {
        let Self { method, path, body, key } = self;
        let bearer = match *key {
            "" => String::new(),
            key => format!("authorization: Bearer {key}\r\n"),
        };
        let content = match body.len() {
            0 => String::new(),
            length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
        };
        let host = format!("host: 127.0.0.1:{port}\r\nconnection: close\r\n");
        format!("{method} {path} HTTP/1.1\r\n{host}{bearer}{content}\r\n{body}")
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short: String = self.body.chars().take(60).collect();
        write!(f, "{} {} {short}", self.method, self.path)
    }
}

impl Reply {
    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Whether nothing more can follow, even if the connection stays open.
    fn is_whole(bytes: &[u8]) -> bool {
        let framed = |reply: Self| {
            !reply.header("content-length").is_empty()
                || !reply.header("transfer-encoding").is_empty()
        };
        Self::parse(bytes).is_ok_and(framed)
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let end = find(bytes, b"\r\n\r\n").context("the reply has no head")?;
        let (head, rest) = bytes.split_at(end);
        let mut lines = std::str::from_utf8(head)?.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.with_context(|| format!("not a status line: {first}"))?.parse()?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers: Vec<(String, String)> =
            headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        let mut reply = Self { status, headers, body: String::new() };
        reply.body = String::from_utf8(reply.unframe(rest.get(4..).unwrap_or_default())?)?;
        Ok(reply)
    }

    /// A body that is shorter than was said, or that has no last chunk, is an error.
    fn unframe(&self, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        if self.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            return unchunk(body);
        }
        if let Ok(length) = self.header("content-length").parse::<usize>() {
            ensure!(body.len() == length, "{} of {length} bytes came", body.len());
        }
        Ok(body.to_vec())
    }
}

fn unchunk(mut body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = find(body, b"\r\n").context("the body has no last chunk")?;
        let (size, rest) = body.split_at(end);
        let size = usize::from_str_radix(std::str::from_utf8(size)?, 16)?;
        if size == 0 {
            return Ok(whole);
        }
        let Some(chunk) = rest.get(2..2 + size) else { bail!("a chunk is cut short") };
        whole.extend_from_slice(chunk);
        body = rest.get(2 + size + 2..).context("a chunk has no end")?;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Reply, Request};

    /// `expected` is a status and a body, or a part of the error.
    fn check(bytes: &str, expected: Result<(u16, &str), &str>) {
        match (Reply::parse(bytes.as_bytes()), expected) {
            (Ok(reply), Ok(expected)) => assert_eq!((reply.status, reply.body.as_str()), expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (actual, expected) => panic!("{bytes:?}: {actual:?}, not {expected:?}"),
        }
    }

    #[test]
    fn body_with_length_is_read() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Ok((200, "hi")));
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi", Err("2 of 3 bytes"));
    }

    #[test]
    fn chunked_body_is_read() {
        let head = "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n";
        check(&format!("{head}2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"), Ok((404, "hi!")));
        check(&format!("{head}2\r\nhi\r\n"), Err("no last chunk"));
        check(&format!("{head}5\r\nhi"), Err("cut short"));
    }

    #[test]
    fn invalid_replies_are_rejected() {
        check("", Err("no head"));
        check("SSH-2.0\r\n\r\n", Err("not a status line"));
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let reply = Reply::parse(b"HTTP/1.1 405 No\r\nAllow: GET\r\n\r\n").unwrap();
        assert_eq!((reply.header("allow"), reply.header("vary")), ("GET", ""));
    }

    #[test]
    fn response_ends_without_close() {
        assert!(Reply::is_whole(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"));
        assert!(!Reply::is_whole(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi"));
        assert!(!Reply::is_whole(b"HTTP/1.1 200 OK\r\n\r\nhi"));
    }

    #[test]
    fn request_has_content_length() {
        let text = Request::post("/x", "{}").text(1);
        assert!(text.starts_with("POST /x HTTP/1.1\r\n"), "{text}");
        assert!(text.ends_with("content-length: 2\r\n\r\n{}"), "{text}");
        assert!(!Request::get("/x").text(1).contains("content"));
    }
}
