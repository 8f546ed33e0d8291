//! The exchanges that a scripted upstream records.

use crate::http::MessageHead;
use serde_json::Value;
use std::time::Duration;

/// A request that arrived, and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The index of the upstream's connection.
    pub connection: usize,
    /// The head of the request.
    pub head: MessageHead,
    /// The body of the request.
    pub body: Vec<u8>,
    /// The number of response bytes that were sent.
    pub sent: usize,
    /// The end of the exchange; absent while it is open.
    pub ended: Option<ExchangeEnd>,
}

/// The end of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExchangeEnd {
    /// The script was played to its end, the closing of the connection included.
    Played,
    /// The peer left before, so long after its request had arrived.
    Left(Duration),
}

impl Exchange {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a request of JSON")
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a request in UTF-8")
    }
}
