//! Bodies: of requests, which are at hand, and of responses, which come.

use super::{error::BodyError, h1::Http1Body, upload::UploadBody};
use bytes::{Bytes, BytesMut};
use gateway_core::{BoxError, MemoryLease, UNCHARGED_BYTES};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A request body: pieces that are at hand, with their total as the content length, or those that are
/// still to come.
#[derive(Debug, Default)]
pub(super) struct BufferedBody {
    pieces: VecDeque<Bytes>,
    length: u64,
    upload: Option<UploadBody>,
}

impl From<UploadBody> for BufferedBody {
    fn from(upload: UploadBody) -> Self {
        Self { upload: Some(upload), ..Self::default() }
    }
}

impl From<Vec<Bytes>> for BufferedBody {
    fn from(pieces: Vec<Bytes>) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        Self { pieces, length, upload: None }
    }
}

impl Body for BufferedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(upload) = &mut self.upload {
            let next = ready!(upload.poll_piece(cx));
            return Poll::Ready(next.map(|piece| piece.map(Frame::data)));
        }
        let piece = self.pieces.pop_front();
        if let Some(piece) = &piece {
            self.length -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.upload.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.upload.is_some() { SizeHint::default() } else { SizeHint::with_exact(self.length) }
    }
}

/// The body of a response. Dropping it before its end closes the connection, or ends the stream of
/// HTTP/2.
#[derive(Debug)]
pub struct ResponseBody(Inner);

/// A body of which a limited part was collected.
#[derive(Debug)]
pub enum CollectedBody {
    /// The whole body.
    Whole(Bytes),
    /// A longer body.
    Long {
        /// The part that was read.
        read: Bytes,
        /// The rest, as it comes.
        rest: ResponseBody,
    },
}

#[derive(Debug)]
enum Inner {
    Http1(Http1Body),
    Http2(Incoming),
}

impl ResponseBody {
    pub(super) const fn http1(body: Http1Body) -> Self {
        Self(Inner::Http1(body))
    }

    pub(super) const fn http2(body: Incoming) -> Self {
        Self(Inner::Http2(body))
    }

    /// The number of bytes to come, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// Polls for the next data: of HTTP/1.1 all that one read brought, of however many chunks. The
    /// data is never empty; trailers are passed over.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or the framing is malformed. Nothing comes after an error.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.0 {
            Inner::Http1(body) => body.poll_data(cx),
            Inner::Http2(body) => loop {
                let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)?) else {
                    return Poll::Ready(None);
                };
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Poll::Ready(Some(Ok(data)));
                }
            },
        }
    }

    /// The whole body, if it is no longer than `limit`. Unless it is small, its bytes hold memory of
    /// `lease`: where that does not suffice, the connection is not read until it does.
    ///
    /// # Errors
    ///
    /// As [`collect`](Self::collect).
    pub async fn collect_leased(
        self,
        limit: usize,
        lease: impl FnOnce() -> MemoryLease,
    ) -> Result<Bytes, BodyError> {
        match self.collect_up_to(limit, lease).await? {
            CollectedBody::Whole(whole) => Ok(whole),
            CollectedBody::Long { .. } => Err(BodyError::TooLong(limit)),
        }
    }

    /// The whole body, if it is no longer than `size`; if it is, what of it was read until then. As
    /// [`collect_leased`](Self::collect_leased), its bytes hold memory of `lease`.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or the framing is malformed.
    pub async fn collect_up_to(
        mut self,
        size: usize,
        lease: impl FnOnce() -> MemoryLease,
    ) -> Result<CollectedBody, BodyError> {
        let announced = self.length();
        let announced = announced.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        if announced.is_some_and(|announced| announced > size) {
            let read = poll_fn(|cx| self.poll_data(cx)).await.transpose()?;
            return Ok(CollectedBody::Long { read: read.unwrap_or_default(), rest: self });
        }
        if announced.is_some_and(|announced| announced <= UNCHARGED_BYTES) {
            return self.collect(size).await.map(CollectedBody::Whole);
        }
        let (mut whole, mut lease) = (BytesMut::new(), lease());
        while let Some(data) = poll_fn(|cx| self.poll_data(cx)).await.transpose()? {
            let length = whole.len().saturating_add(data.len());
            if length > whole.capacity() {
                let capacity = length.max(announced.unwrap_or(2 * length).min(size));
                if capacity > UNCHARGED_BYTES {
                    lease.grow(capacity.saturating_sub(lease.bytes())).await;
                }
                whole.reserve(capacity - whole.len());
            }
            whole.extend_from_slice(&data);
            if length > size {
                return Ok(CollectedBody::Long { read: attached(lease, whole), rest: self });
            }
        }
        Ok(CollectedBody::Whole(attached(lease, whole)))
    }

    /// The whole body, if it is no longer than `limit`.
    ///
    /// # Errors
    ///
    /// If it is longer, the connection breaks, or the framing is malformed.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let mut next = async || poll_fn(|cx| self.poll_data(cx)).await.transpose();
        let Some(first) = next().await? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(BodyError::TooLong(limit));
        }
        let Some(second) = next().await? else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        let mut more = Some(second);
        while let Some(data) = more {
            if data.len() > limit - whole.len() {
                return Err(BodyError::TooLong(limit));
            }
            whole.extend_from_slice(&data);
            more = next().await?;
        }
        Ok(whole.freeze())
    }
}

/// `bytes`, which hold `lease` from now on, if it is one.
fn attached(lease: MemoryLease, bytes: BytesMut) -> Bytes {
    if lease.bytes() > 0 { lease.attach(bytes) } else { bytes.freeze() }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_data(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Http1(body) => body.is_end(),
            Inner::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Http1(body) => {
                body.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Inner::Http2(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn buffered_body_announces_its_length() {
        let pieces = ["ab", "", "c"].map(|piece| Bytes::from_static(piece.as_bytes()));
        let body = BufferedBody::from(pieces.to_vec());
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
    }
}
