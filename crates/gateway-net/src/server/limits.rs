//! Limits of a listener and its connections.

use std::time::Duration;

/// The limits of a listener and its connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The number of connections that are served at once.
    pub connections: usize,
    /// For the first byte of a connection.
    pub first_byte: Duration,
    /// For the head of a request, from its first byte.
    pub head: Duration,
    /// For the next request.
    pub idle: Duration,
    /// For the caller to take more of an answer.
    pub write: Duration,
    /// For the whole body of a request.
    pub body: Duration,
    /// For the beginning of a body, before its rate counts.
    pub body_grace: Duration,
    /// Minimum average rate of a request body, in bytes per second.
    pub body_rate: u32,
    /// For the rest of a body that is not read, so that the response is not lost with it.
    pub linger: Duration,
    /// After this, a connection is closed as soon as it has no request.
    pub age: Duration,
}
