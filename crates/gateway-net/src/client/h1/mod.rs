//! HTTP/1.1 to an upstream, driven by the request: no task and no channel of its own.
//!
//! `head` and `framing` are the grammar of responses, sans-IO; `connection` reads and writes;
//! `body` is what a caller of the client reads from.

mod body;
mod chunked;
mod connection;
mod error;
mod framing;
mod head;

pub(in crate::client) use self::{
    body::Http1Body,
    connection::{ConnectionLost, Http1Connection},
};
pub use self::{
    error::InvalidResponse,
    framing::BodyDecoder,
    head::{HeadParser, ParsedHead},
};

#[cfg(test)]
mod tests;
