//! The framing of a response's body.
//!
//! Sans-IO: bytes go in as they were read, data comes out, and only the state of the grammar is
//! held in between. Trailers, which are rare, are buffered until they are complete.

use super::{chunked::ChunkParser, error::InvalidResponse};
use bytes::Bytes;

/// The decoder of one body.
///
/// ```
/// use gateway_net::client::h1::BodyDecoder;
///
/// let mut decoder = BodyDecoder::chunked();
/// let (data, used) = decoder.decode(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
/// assert_eq!((&*data, used, decoder.is_end()), (&b"abcde"[..], 20, true));
/// ```
#[derive(Debug)]
pub struct BodyDecoder(State);

/// The delimitation of the rest of a body.
#[derive(Debug)]
enum State {
    /// The remaining bytes of a body with a known length.
    Length(u64),
    /// The body ends with the connection.
    UntilClose,
    Chunked(ChunkParser),
    End,
    /// Nothing more can be decoded.
    Failed(InvalidResponse),
}

impl BodyDecoder {
    /// A decoder of a body of `length` bytes.
    pub const fn with_length(length: u64) -> Self {
        Self(if length == 0 { State::End } else { State::Length(length) })
    }

    /// A decoder of a chunked body.
    pub const fn chunked() -> Self {
        Self(State::Chunked(ChunkParser::new()))
    }

    /// A decoder of a body that ends with the connection.
    pub const fn until_close() -> Self {
        Self(State::UntilClose)
    }

    /// Whether the whole body was decoded.
    pub const fn is_end(&self) -> bool {
        matches!(self.0, State::End)
    }

    /// The number of bytes left, if the head of the response announced it.
    pub const fn remaining(&self) -> Option<u64> {
        match self.0 {
            State::Length(left) => Some(left),
            State::End => Some(0),
            State::UntilClose | State::Chunked(_) | State::Failed(_) => None,
        }
    }

    /// Why no more can be decoded, if the framing was malformed or exceeded a bound.
    pub const fn error(&self) -> Option<InvalidResponse> {
        match self.0 {
            State::Failed(error) => Some(error),
            State::Length(_) | State::UntilClose | State::Chunked(_) | State::End => None,
        }
    }

    /// Decodes `input`: all data in it, of however many chunks, and the number of bytes consumed.
    ///
    /// Less than the whole input is consumed only if the body ends within it, or fails.
    pub fn decode(&mut self, input: &[u8]) -> (Bytes, usize) {
        match &mut self.0 {
            State::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= length as u64;
                if *left == 0 {
                    self.0 = State::End;
                }
                (Bytes::copy_from_slice(input.get(..length).unwrap_or_default()), length)
            }
            State::UntilClose => (Bytes::copy_from_slice(input), input.len()),
            State::Chunked(parser) => {
                let (data, used, is_end) = parser.decode(input);
                match is_end {
                    Ok(false) => {}
                    Ok(true) => self.0 = State::End,
                    Err(error) => self.0 = State::Failed(error),
                }
                (Bytes::from(data), used)
            }
            State::End | State::Failed(_) => (Bytes::new(), 0),
        }
    }

    /// Ends the input: the connection was closed, with which the body fails if it is not complete.
    pub fn finish(&mut self) {
        match self.0 {
            State::UntilClose => self.0 = State::End,
            State::Length(_) | State::Chunked(_) => {
                self.0 = State::Failed(InvalidResponse::Incomplete);
            }
            State::End | State::Failed(_) => {}
        }
    }
}
