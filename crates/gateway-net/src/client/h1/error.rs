//! Responses that break the grammar of HTTP/1.1, or a bound.

use thiserror::Error;

/// The reason why a response cannot be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidResponse {
    /// The head is not HTTP/1.
    #[error("the response head is malformed")]
    Head,
    /// The head exceeds the bound on its size or on its number of fields.
    #[error("the response head is too long")]
    HeadTooLong,
    /// The head took longer than its deadline from its first byte to its last.
    #[error("the response head timed out")]
    HeadTooSlow,
    /// More interim responses came than are accepted.
    #[error("too many interim responses")]
    TooManyInterim,
    /// The protocol was switched unasked.
    #[error("unexpected protocol switch")]
    SwitchedProtocols,
    /// The length is not a number, or there are two that differ.
    #[error("the content length is malformed or ambiguous")]
    ContentLength,
    /// There is a length and a transfer coding.
    #[error("the response has both a content length and a transfer encoding")]
    ConflictingLength,
    /// A transfer coding other than `chunked`.
    #[error("the transfer encoding is not supported")]
    TransferEncoding,
    /// The size line of a chunk is malformed.
    #[error("a chunk size is malformed")]
    ChunkSize,
    /// A chunk does not end where its size says.
    #[error("a chunk does not end with CRLF")]
    ChunkEnd,
    /// Chunk extensions exceed their bound.
    #[error("the chunk extensions are too long")]
    ExtensionsTooLong,
    /// Trailer fields are malformed, or exceed their bound.
    #[error("the trailers are malformed or too long")]
    Trailers,
    /// The connection ended before the response.
    #[error("the response is incomplete")]
    Incomplete,
}
