//! The recording of a streamed reply while it is sent.

use super::note;
use crate::reply;
use bytes::{Bytes, BytesMut};
use gateway_core::BoxError;
use gateway_sessions::{NOT_STORED_COMMENT, idempotency::IdempotentAttempt};
use http::{Response, response};
use http_body::{Body, Frame};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The prefix of keep-alive comments, which are not part of the recorded reply.
const COMMENT: &[u8] = b": ";

/// A body that records a reply while it is sent. It ends when the record is stored, or removed
/// after a failure.
///
/// Dropping it before the end abandons the attempt.
pub(super) struct RecordingBody {
    body: reply::Body,
    state: State,
}

enum State {
    /// The reply is being sent.
    Sending(Box<ReplyRecording>),
    /// The reply was sent; its record is being stored.
    Ending(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The record is stored.
    Ended,
}

struct ReplyRecording {
    attempt: IdempotentAttempt,
    head: response::Parts,
    /// Absent once it is too large.
    bytes: Option<BytesMut>,
}

impl RecordingBody {
    pub(super) fn new(
        body: reply::Body,
        attempt: IdempotentAttempt,
        head: &response::Parts,
    ) -> Self {
        let mut copy = Response::new(()).into_parts().0;
        (copy.status, copy.headers) = (head.status, head.headers.clone());
        let recording = ReplyRecording { attempt, head: copy, bytes: Some(BytesMut::new()) };
        Self { body, state: State::Sending(Box::new(recording)) }
    }

    /// Starts to store the record.
    fn end(&mut self) {
        let State::Sending(recording) = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        self.state = State::Ending(recording.end());
    }
}

impl ReplyRecording {
    fn hear(&mut self, data: &[u8]) {
        let most = self.attempt.max_bytes();
        match &mut self.bytes {
            Some(bytes) if bytes.len() + data.len() > most => self.bytes = None,
            Some(bytes)
                if !data.starts_with(COMMENT)
                    || data.starts_with(NOT_STORED_COMMENT.as_bytes()) =>
            {
                bytes.extend_from_slice(data);
            }
            Some(_) | None => {}
        }
    }

    fn end(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { attempt, head, bytes } = *self;
        if attempt.has_failed() {
            return Box::pin(attempt.abandon());
        }
        match bytes {
            Some(bytes) => Box::pin(attempt.finish(note(&head, bytes.freeze()))),
            None => Box::pin(attempt.finish_without_reply()),
        }
    }
}

impl Body for RecordingBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Ended => return Poll::Ready(None),
                State::Ending(ending) => {
                    ready!(ending.as_mut().poll(cx));
                    this.state = State::Ended;
                }
                State::Sending(recording) => {
                    let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
                    let Some(frame) = frame else {
                        this.end();
                        continue;
                    };
                    match &frame {
                        Ok(frame) => recording.hear(frame.data_ref().map_or(&[], |data| &**data)),
                        // The reply is incomplete and cannot be replayed.
                        Err(_) => this.state = State::Ended,
                    }
                    // Many callers leave once they have read the last event.
                    if this.body.is_end_stream() {
                        this.end();
                    }
                    return Poll::Ready(Some(frame));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}
