//! The body of a request that is sent while it arrives.

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use gateway_core::BoxError;
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The pieces of the body of a request, which is sent in chunks while they come. An error of it ends the
/// request, and closes its connection.
pub struct UploadBody(Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>);

impl UploadBody {
    /// Creates a body of `pieces`.
    pub fn new(pieces: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Self {
        Self(Box::pin(pieces))
    }

    /// Polls for the next piece, which is not empty.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            match ready!(self.0.as_mut().poll_next(cx)) {
                Some(Ok(piece)) if piece.is_empty() => {}
                next => return Poll::Ready(next),
            }
        }
    }

    /// Polls for the next piece as a chunk of HTTP/1.1: the line before it, the piece, the line end
    /// behind it; or, once, for the last chunk.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<UploadChunk>> {
        Poll::Ready(match ready!(self.poll_piece(cx)) {
            Some(Ok(piece)) => {
                let mut line = BytesMut::with_capacity(18);
                line.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                Ok(UploadChunk::Piece([line.freeze(), piece, Bytes::from_static(b"\r\n")]))
            }
            Some(Err(error)) => Err(io::Error::other(error)),
            None => Ok(UploadChunk::Last(Bytes::from_static(b"0\r\n\r\n"))),
        })
    }
}

/// A chunk of HTTP/1.1, as it is written.
pub(super) enum UploadChunk {
    /// A piece of the body between its lines.
    Piece([Bytes; 3]),
    /// The last chunk: the body has ended.
    Last(Bytes),
}

impl fmt::Debug for UploadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadBody").finish_non_exhaustive()
    }
}
