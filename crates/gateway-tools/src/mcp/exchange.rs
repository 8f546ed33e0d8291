//! A message to a server over HTTP, and its answer: a JSON body, or an event of a stream.

use super::message::{NotificationMessage, ResponseMessage};
use crate::client::{ServiceClient, too_large};
use bytes::BytesMut;
use gateway_core::{Json, NotificationSink, ToolError, ToolErrorCode};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use memchr::memchr;

/// The answer of a server.
#[derive(Debug)]
pub(super) struct McpExchange {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The message; none if there is none, or what came is none.
    pub(super) message: Option<ResponseMessage>,
}

/// Posts `body` to `url`, and reads up to `max_bytes` of the answer; `notifications` takes what the
/// server notifies before that.
///
/// # Errors
///
/// If the server cannot be reached, breaks off, or says too much.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(super) async fn post(
    client: &ServiceClient,
    url: &str,
    mut headers: HeaderMap,
    body: Vec<u8>,
    (max_bytes, notifications): (usize, Option<&NotificationSink>),
) -> Result<McpExchange, ToolError> {
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let request = client.inner().post(url).headers(headers).body(body);
    let mut response = request.send().await.map_err(|error| failed(&error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let is_stream =
        headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
    let mut received = BytesMut::new();
    let mut events = EventReader { notifications, ..EventReader::default() };
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if received.len() + chunk.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        received.extend_from_slice(&chunk);
        // A stream may stay open behind the answer.
        if is_stream && let Some(message) = events.read(&received) {
            return Ok(McpExchange { status, headers, message: Some(message) });
        }
    }
    let message = if is_stream { events.end(&received) } else { parse(&received) };
    Ok(McpExchange { status, headers, message })
}

fn parse(bytes: &[u8]) -> Option<ResponseMessage> {
    let message: ResponseMessage = serde_json::from_slice(bytes).ok()?;
    (message.result.is_some() || message.error.is_some()).then_some(message)
}

fn failed(error: &reqwest::Error) -> ToolError {
    tracing::debug!(target: "gateway::tool", error = format!("{error:?}"));
    if error.is_connect() {
        ToolError::new(ToolErrorCode::Unavailable, "the server cannot be reached")
    } else {
        // It may have done its work.
        ToolError::new(ToolErrorCode::UpstreamInvalid, "the MCP server closed the connection")
    }
}

/// Looks for the answer among the events of a stream. Notifications are passed on, requests of the
/// server pass by.
#[derive(Default)]
struct EventReader<'a> {
    notifications: Option<&'a NotificationSink>,
    /// The number of received bytes that have been read.
    at: usize,
    data: Vec<u8>,
}

impl EventReader<'_> {
    fn read(&mut self, received: &[u8]) -> Option<ResponseMessage> {
        while let Some(end) = memchr(b'\n', received.get(self.at..)?) {
            let line = received.get(self.at..self.at + end)?;
            self.at += end + 1;
            if let Some(message) = self.line(line.strip_suffix(b"\r").unwrap_or(line)) {
                return Some(message);
            }
        }
        None
    }

    /// The stream has ended, perhaps without the last line's end.
    fn end(&mut self, received: &[u8]) -> Option<ResponseMessage> {
        let rest = received.get(self.at..).unwrap_or_default();
        self.line(rest).or_else(|| self.line(b""))
    }

    fn line(&mut self, line: &[u8]) -> Option<ResponseMessage> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let answer = parse(&data);
            if answer.is_none() {
                self.notify(&data);
            }
            return answer;
        }
        if let Some(more) = line.strip_prefix(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(more.strip_prefix(b" ").unwrap_or(more));
        }
        None
    }

    fn notify(&self, data: &[u8]) {
        let Some(sink) = self.notifications else { return };
        let message = serde_json::from_slice::<NotificationMessage>(data).ok();
        if message.is_some_and(|it| it.id.is_none() && it.method.starts_with("notifications/"))
            && let Ok(json) = serde_json::from_slice::<Json>(data)
        {
            sink(json);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a stream, wherever it is cut.
    #[track_caller]
    fn check(stream: &str, expected: Option<&str>) {
        for cut in 0..=stream.len() {
            let mut events = EventReader::default();
            let found = events.read(&stream.as_bytes()[..cut]);
            let found = found.or_else(|| events.read(stream.as_bytes()));
            let found = found.or_else(|| events.end(stream.as_bytes()));
            let result = found.and_then(|it| it.result);
            assert_eq!(result.as_ref().map(gateway_core::Json::get), expected, "{stream:?} {cut}");
        }
    }

    #[test]
    fn answer_is_found_among_events() {
        check("data: {\"result\":{\"n\":1.0}}\n\n", Some(r#"{"n":1.0}"#));
        check(
            ": hi\r\nevent: message\r\ndata: {\"method\":\"x\"}\r\n\r\nid: 1\r\ndata:{\"result\":1}\r\n\r\n",
            Some("1"),
        );
        check("data: {\"result\":\ndata: 2}", Some("2"));
        check("data: {\"method\":\"notifications/progress\"}\n\n", None);
        check("", None);
    }
}
