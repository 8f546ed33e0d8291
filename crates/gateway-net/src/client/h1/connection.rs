//! A connection of HTTP/1.1 with its current request.
//!
//! All connections of a thread read into one buffer, and received bytes are copied out in their
//! exact size: an idle connection holds no buffer.

use super::{
    error::InvalidResponse,
    head::{HeadParser, ParsedHead},
};
use crate::client::{
    error::ExchangeError,
    pool::Host,
    stream::UpstreamStream,
    upload::{UploadBody, UploadChunk},
};
use bytes::{Buf as _, Bytes};
use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    time::Instant,
};

/// Maximum size of one read, in bytes.
const READ_SIZE: usize = 32 << 10;
/// A body up to this size is copied behind the head and written with it.
const COPIED_BODY: usize = 16 << 10;
/// Maximum number of slices in one vectored write.
const MAX_SLICES: usize = 16;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection in use. Dropping it closes it.
#[derive(Debug)]
pub(in crate::client) struct Http1Connection {
    stream: UpstreamStream,
    host: Arc<Host>,
    /// The unwritten part of the request.
    unsent: VecDeque<Bytes>,
    /// The part of the body that is still to come; absent for a body that is at hand.
    upload: Option<UploadBody>,
    /// Why the body did not come to its end.
    upload_error: Option<io::Error>,
    /// Whether what was written may still be in a buffer of TLS.
    unflushed: bool,
    /// Whether any byte of a response came.
    is_answered: bool,
    /// Why the rest of the request cannot be written. The response may have come before.
    write_error: Option<io::Error>,
}

/// A connection that was lost before the head of a response was whole.
#[derive(Debug)]
pub(in crate::client) enum ConnectionLost {
    /// The peer closed the connection.
    Closed {
        /// Whether a byte of a response came.
        is_answered: bool,
        /// The error of the socket; nothing if it was closed in order.
        source: Option<io::Error>,
    },
    /// The received bytes are not a valid response.
    Invalid(InvalidResponse),
}

impl ConnectionLost {
    /// Whether no byte of a response came. A connection that was used before was then closed for its
    /// idleness, as a rule, while the request was on its way.
    pub(in crate::client) const fn is_unanswered(&self) -> bool {
        matches!(self, Self::Closed { is_answered: false, .. })
    }
}

impl From<ConnectionLost> for ExchangeError {
    fn from(lost: ConnectionLost) -> Self {
        match lost {
            ConnectionLost::Closed { source, .. } => Self::Closed(source),
            ConnectionLost::Invalid(invalid) => Self::Invalid(invalid),
        }
    }
}

/// The result of one read.
pub(in crate::client) enum Input {
    /// The number of bytes received.
    Bytes(usize),
    /// The end of the connection.
    End,
}

impl Http1Connection {
    pub(in crate::client) const fn new(stream: UpstreamStream, host: Arc<Host>) -> Self {
        Self {
            stream,
            host,
            unsent: VecDeque::new(),
            upload: None,
            upload_error: None,
            unflushed: false,
            is_answered: false,
            write_error: None,
        }
    }

    /// Gives the connection to the next request, if everything of this one was written.
    pub(in crate::client) fn release(self) {
        if self.unsent.is_empty() && !self.unflushed && self.write_error.is_none() {
            self.host.check_in(self.stream);
        }
    }

    /// Writes a request: at once if it is small, else as far as the socket takes it. The rest is
    /// written as the response is polled.
    ///
    /// `head` writes the head into a buffer that is reused.
    pub(in crate::client) fn start(
        &mut self,
        cx: &mut Context<'_>,
        head: impl FnOnce(&mut Vec<u8>),
        body: &[Bytes],
    ) {
        OUTPUT.with_borrow_mut(|output| {
            output.clear();
            head(output);
            let length: usize = body.iter().map(Bytes::len).sum();
            let rest = if length <= COPIED_BODY {
                for piece in body {
                    output.extend_from_slice(piece);
                }
                &[]
            } else {
                body
            };
            self.write_first(cx, output, rest);
        });
    }

    /// Writes the head of a request whose body is sent in chunks while it comes.
    pub(in crate::client) fn start_upload(
        &mut self,
        cx: &mut Context<'_>,
        head: impl FnOnce(&mut Vec<u8>),
        body: UploadBody,
    ) {
        let mut output = Vec::new();
        head(&mut output);
        self.unsent.push_back(output.into());
        self.upload = Some(body);
        self.unflushed = true;
        self.poll_send(cx);
    }

    /// Writes `head` and `body`, and keeps what was not taken.
    fn write_first(&mut self, cx: &mut Context<'_>, head: &[u8], body: &[Bytes]) {
        let stream = Pin::new(&mut self.stream);
        let written = if body.is_empty() {
            stream.poll_write(cx, head)
        } else {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let pieces = [head].into_iter().chain(body.iter().map(|piece| &**piece));
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                *slice = IoSlice::new(piece);
            }
            let count = (body.len() + 1).min(MAX_SLICES);
            stream.poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
        };
        self.unflushed = true;
        let mut written = match written {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(error)) => return self.write_error = Some(error),
            Poll::Pending => 0,
        };
        if let Some(rest) = head.get(written..).filter(|rest| !rest.is_empty()) {
            self.unsent.push_back(Bytes::copy_from_slice(rest));
        }
        written = written.saturating_sub(head.len());
        for piece in body {
            if written < piece.len() {
                self.unsent.push_back(piece.slice(written..));
            }
            written = written.saturating_sub(piece.len());
        }
        self.poll_send(cx);
    }

    /// Goes on writing. An error ends it; what was answered before is still read.
    pub(in crate::client) fn poll_send(&mut self, cx: &mut Context<'_>) {
        if self.unflushed
            && let Poll::Ready(Err(error)) = self.poll_send_rest(cx)
        {
            self.unsent.clear();
            self.upload = None;
            self.unflushed = false;
            self.write_error = Some(error);
        }
    }

    fn poll_send_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send_pieces(cx))?;
            let Some(upload) = &mut self.upload else { break };
            match upload.poll_chunk(cx) {
                Poll::Ready(Ok(UploadChunk::Piece(pieces))) => self.unsent.extend(pieces),
                Poll::Ready(Ok(UploadChunk::Last(last))) => {
                    self.upload = None;
                    self.unsent.push_back(last);
                }
                Poll::Ready(Err(error)) => {
                    self.upload = None;
                    self.upload_error = Some(error);
                    return Poll::Pending;
                }
                Poll::Pending => {
                    // What there is need not wait for what comes.
                    ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                    return Poll::Pending;
                }
            }
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Writes the pieces that are there.
    fn poll_send_pieces(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            for (slice, piece) in slices.iter_mut().zip(&self.unsent) {
                *slice = IoSlice::new(piece);
            }
            let count = self.unsent.len().min(MAX_SLICES);
            let slices = slices.get(..count).unwrap_or_default();
            let mut written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            while let Some(piece) = self.unsent.front_mut().filter(|_| written > 0) {
                let length = piece.len().min(written);
                piece.advance(length);
                written -= length;
                if piece.is_empty() {
                    self.unsent.pop_front();
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, while the rest of the request is written, and has `take` look at what came.
    pub(in crate::client) fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<(Input, T)>> {
        self.poll_send(cx);
        if let Some(error) = self.upload_error.take() {
            return Poll::Ready(Err(error));
        }
        INPUT.with_borrow_mut(|input| {
            let mut buffer = ReadBuf::new(input);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let came = buffer.filled();
            let read = if came.is_empty() { Input::End } else { Input::Bytes(came.len()) };
            Poll::Ready(Ok((read, take(came))))
        })
    }

    /// Reads until the final head is whole. What came of the body with it is decoded.
    pub(in crate::client) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        parser: &mut HeadParser,
    ) -> Poll<Result<(ParsedHead, BodyStart), ConnectionLost>> {
        loop {
            let parsed = ready!(self.poll_read(cx, |came| {
                // Nothing is no part of a head, and the clock is not needed.
                if came.is_empty() { Ok(None) } else { first(parser, came) }
            }));
            match parsed {
                Ok((Input::End, _)) => {
                    let (is_answered, source) = (self.is_answered, self.write_error.take());
                    return Poll::Ready(Err(ConnectionLost::Closed { is_answered, source }));
                }
                Err(source) => {
                    let (is_answered, source) = (self.is_answered, Some(source));
                    return Poll::Ready(Err(ConnectionLost::Closed { is_answered, source }));
                }
                Ok((Input::Bytes(_), Err(invalid))) => {
                    return Poll::Ready(Err(ConnectionLost::Invalid(invalid)));
                }
                Ok((Input::Bytes(_), Ok(Some(first)))) => return Poll::Ready(Ok(first)),
                Ok((Input::Bytes(_), Ok(None))) => self.is_answered = true,
            }
        }
    }
}

/// The part of a body that arrived with the head.
#[derive(Debug, Default)]
pub(in crate::client) struct BodyStart {
    pub(in crate::client) data: Bytes,
    /// Whether something came after its end.
    pub(in crate::client) has_excess: bool,
}

/// Parses `came` up to the final head, and decodes what follows it.
fn first(
    parser: &mut HeadParser,
    came: &[u8],
) -> Result<Option<(ParsedHead, BodyStart)>, InvalidResponse> {
    let Some((mut parsed, used)) = parser.push(came, Instant::now())? else { return Ok(None) };
    let rest = came.get(used..).unwrap_or_default();
    let mut start = BodyStart::default();
    if !rest.is_empty() {
        let (data, decoded) = parsed.body.decode(rest);
        start = BodyStart { data, has_excess: decoded < rest.len() };
    }
    Ok(Some((parsed, start)))
}
