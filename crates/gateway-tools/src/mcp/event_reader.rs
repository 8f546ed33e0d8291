//! The messages among the events of a stream.

use super::message::{NotificationMessage, ResponseMessage, ServerRequest, parse_response};
use bytes::{Buf as _, BytesMut};
use gateway_core::Json;
use memchr::memchr;
use std::time::Duration;

/// A message of a server.
#[derive(Debug)]
pub(super) enum ServerMessage {
    /// The response to the request that opened the stream.
    Response(ResponseMessage),
    /// A request to the client.
    Request(ServerRequest),
    /// A notification, as it was written.
    Notification(Json),
}

/// Reads the events of a stream, wherever the network cuts them.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    /// The number of received bytes that have been read and not discarded.
    at: usize,
    data: Vec<u8>,
    /// The id of the last event that has one.
    last_id: Option<String>,
    /// The pause before a stream that has ended is resumed, if the server sets it.
    pub(super) retry: Option<Duration>,
}

impl EventReader {
    /// Returns the next message in `received`, which holds the stream so far, without what has been
    /// [discarded](Self::discard).
    pub(super) fn next(&mut self, received: &[u8]) -> Option<ServerMessage> {
        while let Some(end) = memchr(b'\n', received.get(self.at..)?) {
            let line = received.get(self.at..self.at + end)?;
            self.at += end + 1;
            if let Some(message) = self.line(line.strip_suffix(b"\r").unwrap_or(line)) {
                return Some(message);
            }
        }
        None
    }

    /// Returns the last message of a stream that has ended, perhaps without its last line's end.
    pub(super) fn end(&mut self, received: &[u8]) -> Option<ServerMessage> {
        let rest = received.get(self.at..).unwrap_or_default();
        self.at = received.len();
        self.line(rest).or_else(|| self.line(b""))
    }

    /// Begins with a resumed stream; returns the id of the last event of the one before.
    pub(super) fn restart(&mut self) -> Option<String> {
        (self.at, self.data) = (0, Vec::new());
        self.last_id.take()
    }

    /// Takes what has been read off the beginning of `received`.
    pub(super) fn discard(&mut self, received: &mut BytesMut) {
        received.advance(std::mem::take(&mut self.at).min(received.len()));
    }

    /// Whether the data of a message has begun, and not ended.
    pub(super) const fn is_within_message(&self) -> bool {
        !self.data.is_empty()
    }

    /// Takes a line; returns the message that it ends.
    fn line(&mut self, line: &[u8]) -> Option<ServerMessage> {
        if line.is_empty() {
            return message(&std::mem::take(&mut self.data));
        }
        let (name, value) = match memchr(b':', line) {
            Some(at) => (line.get(..at)?, line.get(at + 1..)?),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"id" => self.last_id = String::from_utf8(value.to_vec()).ok(),
            b"retry" => {
                let millis = std::str::from_utf8(value).ok().and_then(|it| it.parse().ok());
                self.retry = millis.map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
        None
    }
}

fn message(data: &[u8]) -> Option<ServerMessage> {
    if let Some(response) = parse_response(data) {
        return Some(ServerMessage::Response(response));
    }
    let message: NotificationMessage = serde_json::from_slice(data).ok()?;
    match message.id {
        Some(id) => {
            let NotificationMessage { method, params, .. } = message;
            Some(ServerMessage::Request(ServerRequest { id, method, params }))
        }
        None if message.method.starts_with("notifications/") => {
            serde_json::from_slice(data).ok().map(ServerMessage::Notification)
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of a stream, wherever it is cut.
    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        for cut in 0..=stream.len() {
            let mut events = EventReader::default();
            let mut found = Vec::new();
            while let Some(message) = events.next(&stream.as_bytes()[..cut]) {
                found.push(written(&message));
            }
            while let Some(message) = events.next(stream.as_bytes()) {
                found.push(written(&message));
            }
            found.extend(events.end(stream.as_bytes()).as_ref().map(written));
            assert_eq!(found, expected, "{stream:?} {cut}");
        }
    }

    fn written(message: &ServerMessage) -> String {
        match message {
            ServerMessage::Response(it) => format!("={}", it.result.as_ref().unwrap().get()),
            ServerMessage::Request(it) => format!("{} {}", it.id.get(), it.method),
            ServerMessage::Notification(it) => it.get().to_owned(),
        }
    }

    #[test]
    fn messages_are_found_among_events() {
        check("data: {\"result\":{\"n\":1.0}}\n\n", &[r#"={"n":1.0}"#]);
        check(
            ": hi\r\nevent: message\r\ndata: {\"method\":\"x\"}\r\n\r\nid: 1\r\ndata:{\"result\":1}\r\n\r\n",
            &["=1"],
        );
        check("data: {\"result\":\ndata: 2}", &["=2"]);
        let progress = r#"{"method":"notifications/progress"}"#;
        check(&format!("data: {progress}\n\n"), &[progress]);
        check(
            "data: {\"id\":\"a\",\"method\":\"roots/list\"}\n\ndata: {\"result\":3}\n\n",
            &["\"a\" roots/list", "=3"],
        );
        check("", &[]);
    }

    #[test]
    fn position_and_pause_are_remembered() {
        let mut events = EventReader::default();
        assert!(events.next(b"id: e1\nretry: 50\ndata: \n\nid: e2\nretry: x\n\n").is_none());
        assert_eq!(events.restart().as_deref(), Some("e2"));
        assert_eq!(events.retry, Some(Duration::from_millis(50)));
    }
}
