//! The scripts of an upstream.

use crate::http;
use std::{fmt, time::Duration};

/// One step of a script.
#[derive(Clone, Debug)]
pub(crate) enum ScriptStep {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes, each in a segment of its own.
    Drip(Vec<u8>),
    /// Sends these bytes again and again, until the peer leaves.
    Flood(Vec<u8>),
    /// Waits for this time.
    Wait(Duration),
    /// Says nothing, until the peer leaves.
    Stall,
    /// Closes the connection, politely.
    Close,
    /// Adds a reset of the connection.
    Reset,
}

/// The script of one response. At its end the connection takes the next request, unless the script
/// closed it.
#[derive(Clone, Default)]
pub struct Script(pub(crate) Vec<ScriptStep>);

impl Script {
    /// Does nothing, so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole answer of JSON.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::whole(status, &[("content-type", "application/json")], body)
    }

    /// Creates a complete response with `content-length`.
    pub fn whole(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let length = body.as_ref().len().to_string();
        let headers = [headers, &[("content-length", &length)]].concat();
        Self::new().head(status, &headers).bytes(body)
    }

    /// The head of a streamed answer; its body comes in chunks.
    pub fn streaming() -> Self {
        let headers = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")];
        Self::new().head(200, &headers)
    }

    /// A streamed answer of these events, ended properly.
    pub fn events<T: AsRef<str>>(events: impl IntoIterator<Item = T>) -> Self {
        let all = Self::streaming();
        events.into_iter().fold(all, |script, event| script.event(event.as_ref())).end()
    }

    /// A head with these headers and no others.
    #[must_use]
    pub fn head(self, status: u16, headers: &[(&str, &str)]) -> Self {
        self.bytes(format!("HTTP/1.1 {status} Scripted\r\n{}\r\n", http::lines(headers)))
    }

    /// These bytes as they are.
    #[must_use]
    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push(ScriptStep::Send(bytes.as_ref().to_vec()));
        self
    }

    /// Adds these bytes as one chunk; no chunk if they are empty.
    #[must_use]
    pub fn chunk(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        if bytes.is_empty() { self } else { self.bytes(chunked(bytes)) }
    }

    /// The same, with `lines` among the fields of its head.
    #[must_use]
    pub fn with_fields(mut self, lines: &str) -> Self {
        if let Some(ScriptStep::Send(head)) = self.0.first_mut() {
            let end = head.windows(4).position(|it| it == b"\r\n\r\n").expect("a head") + 2;
            head.splice(end..end, lines.bytes());
        }
        self
    }

    /// This text as the data of an event.
    #[must_use]
    pub fn event(self, data: &str) -> Self {
        self.chunk(format!("data: {data}\n\n"))
    }

    /// The end of a body in chunks.
    #[must_use]
    pub fn end(self) -> Self {
        self.bytes("0\r\n\r\n")
    }

    /// Lets so many milliseconds pass.
    #[must_use]
    pub fn wait(self, millis: u64) -> Self {
        self.then(ScriptStep::Wait(Duration::from_millis(millis)))
    }

    /// Says nothing more, until the peer leaves.
    #[must_use]
    pub fn stall(self) -> Self {
        self.then(ScriptStep::Stall)
    }

    /// Closes the connection, politely.
    #[must_use]
    pub fn close(self) -> Self {
        self.then(ScriptStep::Close)
    }

    /// Resets the connection.
    #[must_use]
    pub fn reset(self) -> Self {
        self.then(ScriptStep::Reset)
    }

    /// Sends this event again and again, until the peer leaves.
    #[must_use]
    pub fn flood(self, data: &str) -> Self {
        self.then(ScriptStep::Flood(chunked(format!("data: {data}\n\n").as_bytes())))
    }

    /// The same, each byte in a segment of its own.
    #[must_use]
    pub fn dripping(self) -> Self {
        let drip =
            |act| if let ScriptStep::Send(bytes) = act { ScriptStep::Drip(bytes) } else { act };
        Self(self.0.into_iter().map(drip).collect())
    }

    /// Continues with `script`.
    #[must_use]
    pub fn then_all(mut self, script: Self) -> Self {
        self.0.extend(script.0);
        self
    }

    fn then(mut self, act: ScriptStep) -> Self {
        self.0.push(act);
        self
    }
}

/// Shortened: what matters is mostly how it ends.
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acts = self.0.iter().map(|act| match act {
            ScriptStep::Send(bytes) | ScriptStep::Drip(bytes) | ScriptStep::Flood(bytes) => {
                let tail = &bytes[bytes.len().saturating_sub(80)..];
                format!("...{}", String::from_utf8_lossy(tail))
            }
            ScriptStep::Wait(_) | ScriptStep::Stall | ScriptStep::Close | ScriptStep::Reset => {
                format!("{act:?}")
            }
        });
        f.debug_list().entries(acts).finish()
    }
}

/// A streamed answer of `body`, broken after `at` bytes of it, in each way that a body in chunks can
/// break: the connection is closed, it is reset, a chunk is malformed, a chunk is shorter than said.
pub fn cuts(body: &[u8], at: usize) -> [Script; 4] {
    let begun = Script::streaming().chunk(&body[..at]);
    let short = begun.clone().bytes("ff\r\n").bytes(&body[at..body.len().min(at + 1)]).close();
    [begun.clone().close(), begun.clone().reset(), begun.bytes("zz\r\n\r\n"), short]
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}
