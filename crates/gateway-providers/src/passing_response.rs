//! A large response that is not streamed, and passes on while it arrives.
//!
//! ```text
//! arrives:    {"choices":[{"message":{"content":" | 30 MiB of text | "},"finish_reason":"stop"}], ...}
//! passed on:  {"choices":[{"message":{"content":" | as it arrives  | once the response is complete
//! ```
//!
//! The outline of the response, without its long strings, is read like any response, first as if it
//! ended with the long string, then at its end. What was passed on must be the same in both; a
//! response of which that is not sure is collected.

use crate::{large_body::process_body, passing_edits::PassingEdits, response_stream::cut};
use bytes::Bytes;
use futures_util::Stream;
use gateway_core::{
    CallMeter, Chunk, ChunkStream, GatewayError, MemoryLease, PassthroughBody, Result,
};
use gateway_net::client::{BodyError, ResponseBody};
use gateway_wire::{
    MAX_ANSWER_BYTES,
    json::{JsonOutline, OutlineStep},
    unreadable,
};
use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The memory that is taken at a time for the outline, in bytes.
const STEP: usize = 64 << 10;

/// A large response of which a part was read.
pub(crate) enum LargeResponse {
    /// It has no long string, or is not sure to stay the same: the whole body.
    Whole(Bytes),
    /// It passes on.
    Passing(Box<PassingResponse>),
}

/// The pieces of a response as they arrive, and what is metered of it at its end.
///
/// A response that breaks off, or turns out to be none, ends with an error. Dropping the stream
/// before its end closes the connection.
pub(crate) struct PassingResponse {
    body: ResponseBody,
    received: usize,
    outline: JsonOutline,
    edits: PassingEdits,
    /// The memory of the outline.
    lease: MemoryLease,
    /// The pieces that can be passed on.
    ready: VecDeque<Bytes>,
    /// The announced length, and what of it was passed on.
    length: Option<u64>,
    passed: u64,
    meter: CallMeter,
    has_ended: bool,
}

impl PassingResponse {
    /// Begins with the part `read` of a response, and goes on with `body` until the response can
    /// pass on.
    ///
    /// # Errors
    ///
    /// If it breaks off, or cannot be a response.
    pub(crate) async fn begin(
        (read, body): (Bytes, ResponseBody),
        announced: Option<u64>,
        (edits, lease, meter): (PassingEdits, MemoryLease, CallMeter),
    ) -> Result<LargeResponse> {
        let outline = JsonOutline::default();
        let (ready, received) = (VecDeque::new(), 0);
        let mut response = Box::new(Self {
            body,
            received,
            outline,
            edits,
            lease,
            ready,
            length: None,
            passed: 0,
            meter,
            has_ended: false,
        });
        let mut piece = Some(read);
        while let Some(next) = piece {
            let missing =
                (response.outline.text().len() + next.len()).saturating_sub(response.lease.bytes());
            if missing > 0 {
                response.lease.grow(missing.max(STEP)).await;
            }
            response.take(next)?;
            if !response.ready.is_empty() {
                response.length = response.known_length(announced);
                return Ok(LargeResponse::Passing(response));
            }
            piece = poll_fn(|cx| response.body.poll_data(cx)).await.transpose().map_err(cut)?;
        }
        let Self { outline, lease, .. } = *response;
        Ok(LargeResponse::Whole(lease.attach(outline.finish()?)))
    }

    /// The body as its caller gets it.
    pub(crate) const fn body(&self) -> PassthroughBody {
        PassthroughBody { status: 200, length: self.length }
    }

    /// The chunks of the response.
    pub(crate) fn chunks(self: Box<Self>) -> ChunkStream {
        self.meter.response_started();
        Pin::from(self)
    }

    /// The length of what is passed on, if nothing is edited: without the space before it.
    fn known_length(&self, announced: Option<u64>) -> Option<u64> {
        let text = self.outline.text();
        let space = text.len() - text.trim_ascii_start().len();
        announced.filter(|_| self.edits.change_nothing())?.checked_sub(space as u64)
    }

    /// Reads the next piece of the response.
    fn take(&mut self, mut piece: Bytes) -> Result<()> {
        self.received = self.received.saturating_add(piece.len());
        if self.received > MAX_ANSWER_BYTES {
            return Err(unreadable(BodyError::TooLong(MAX_ANSWER_BYTES)));
        }
        while !piece.is_empty() {
            let (read, step) = self.outline.read(&piece)?;
            let part = piece.split_to(read);
            match step {
                OutlineStep::Read => {}
                OutlineStep::Content => self.ready.push_back(part),
                OutlineStep::LongString => {
                    let (edits, outline) = (&mut self.edits, &self.outline);
                    let size = outline.text().len();
                    if let Some((mark, before)) = process_body(size, || edits.before(outline)) {
                        let content = self.outline.leave_out(&mark);
                        self.ready.extend([before, content].map(Bytes::from));
                    }
                }
            }
        }
        let size = self.outline.text().len();
        self.lease.charge(size.saturating_sub(self.lease.bytes()));
        Ok(())
    }

    /// The last chunk, once the response has ended and was found complete.
    fn end(&mut self) -> Result<Chunk> {
        let outline = mem::take(&mut self.outline).finish()?;
        let edits = &mut self.edits;
        let chunk = process_body(outline.len(), || edits.end(outline))?;
        let rest = chunk.verbatim.as_ref().map_or(0, Bytes::len) as u64;
        if self.length.is_some_and(|length| self.passed + rest != length) {
            return Err(unreadable("a response of another length than announced"));
        }
        Ok(chunk)
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                self.passed += piece.len() as u64;
                // After it, another attempt would be visible to the caller.
                let chunk = Chunk { verbatim: Some(piece), output: true, ..Chunk::default() };
                return Poll::Ready(Some(Ok(chunk)));
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            match ready!(self.body.poll_data(cx)) {
                Some(Ok(piece)) => {
                    if let Err(error) = self.take(piece) {
                        return self.fail(error);
                    }
                }
                Some(Err(error)) => return self.fail(cut(error)),
                None => {
                    self.has_ended = true;
                    let ended = self.end();
                    if ended.is_ok() {
                        self.meter.completed(None);
                    }
                    return Poll::Ready(Some(ended));
                }
            }
        }
    }

    fn fail(&mut self, error: GatewayError) -> Poll<Option<Result<Chunk>>> {
        self.has_ended = true;
        self.ready.clear();
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for PassingResponse {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let polled = ready!(self.poll_chunk(cx));
        if let Some(Ok(chunk)) = &polled {
            chunk.record(&self.meter);
        }
        Poll::Ready(polled)
    }
}
