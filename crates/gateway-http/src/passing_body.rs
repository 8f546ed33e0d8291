//! The body of a reply that passes on while it arrives. Whatever ends it early ends the connection
//! abnormally: what the caller has then is never taken for the whole.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use gateway_core::{BoxError, Result, catch_panic};
use gateway_tasks::failpoint;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The pieces of a body, of which the length may be known.
pub(crate) struct PassingBody {
    /// Gone after the end, an error or a panic.
    pieces: Option<BoxStream<'static, Result<Bytes>>>,
    /// The bytes to come, if their number is known.
    remaining: Option<u64>,
}

impl PassingBody {
    pub(crate) const fn new(
        length: Option<u64>,
        pieces: BoxStream<'static, Result<Bytes>>,
    ) -> Self {
        Self { pieces: Some(pieces), remaining: length }
    }

    fn fail(&mut self, error: impl Into<BoxError>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.pieces = None;
        Poll::Ready(Some(Err(error.into())))
    }
}

impl Body for PassingBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
        let polled = catch_panic(|| {
            failpoint("reply_body");
            pieces.as_mut().poll_next(context)
        });
        let piece = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => {
                let error = panic.end(|| this.pieces = None);
                return this.fail(error);
            }
        };
        match piece {
            Some(Ok(piece)) => {
                if let Some(remaining) = &mut this.remaining {
                    *remaining = remaining.saturating_sub(piece.len() as u64);
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(Err(error)) => this.fail(error),
            None => {
                this.pieces = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use gateway_core::{ErrorKind, GatewayError};
    use http_body_util::BodyStream;

    /// Whether each frame of a body of `pieces` is data, and what is known of the rest before it.
    fn frames(pieces: Vec<Result<Bytes>>) -> Vec<bool> {
        let body = PassingBody::new(Some(4), stream::iter(pieces).boxed());
        let frames = BodyStream::new(body).map(|frame| frame.is_ok());
        frames.collect().now_or_never().unwrap()
    }

    #[test]
    fn body_ends_with_its_first_error() {
        let piece = || Ok(Bytes::from_static(b"ab"));
        assert_eq!(frames(vec![piece(), piece()]), [true, true]);
        let cut = || Err(GatewayError::new(ErrorKind::UpstreamCut, "cut"));
        assert_eq!(frames(vec![piece(), cut(), piece()]), [true, false]);
    }

    #[test]
    fn panicking_body_fails_once() {
        let pieces = stream::iter([1, 2]).map(|number| {
            assert!(number < 2, "a bug");
            Ok(Bytes::from_static(b"ab"))
        });
        let mut body = PassingBody::new(Some(4), pieces.boxed());
        assert_eq!(body.size_hint().exact(), Some(4));
        let frames = BodyStream::new(&mut body).map(|frame| frame.is_ok());
        assert_eq!(frames.collect::<Vec<_>>().now_or_never().unwrap(), [true, false]);
        assert_eq!(body.size_hint().exact(), Some(2));
    }
}
