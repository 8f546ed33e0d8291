//! The recording of a streamed reply while it is sent.

use super::note;
use crate::reply;
use bytes::{Bytes, BytesMut};
use gateway_core::BoxError;
use gateway_sessions::{NOT_STORED_COMMENT, idempotency::Attempt};
use http::{Response, response};
use http_body::{Body, Frame};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Comments keep a connection alive; a caller that gets the recorded reply has not been waiting.
const COMMENT: &[u8] = b": ";

/// Passes a reply on. It ends when the reply is kept, or forgotten because it failed.
///
/// Dropping it before the end forgets the attempt.
pub(super) struct Recording {
    body: reply::Body,
    state: State,
}

enum State {
    /// The reply is being sent.
    Telling(Box<Telling>),
    /// The reply was sent; its record is being stored.
    Ending(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The record is stored.
    Ended,
}

struct Telling {
    attempt: Attempt,
    head: response::Parts,
    /// Absent once it is too large.
    told: Option<BytesMut>,
}

impl Recording {
    pub(super) fn new(body: reply::Body, attempt: Attempt, head: &response::Parts) -> Self {
        let mut copy = Response::new(()).into_parts().0;
        (copy.status, copy.headers) = (head.status, head.headers.clone());
        let telling = Telling { attempt, head: copy, told: Some(BytesMut::new()) };
        Self { body, state: State::Telling(Box::new(telling)) }
    }

    /// Starts to store the record.
    fn end(&mut self) {
        let State::Telling(telling) = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        self.state = State::Ending(telling.end());
    }
}

impl Telling {
    fn hear(&mut self, data: &[u8]) {
        let most = self.attempt.max_bytes();
        match &mut self.told {
            Some(told) if told.len() + data.len() > most => self.told = None,
            Some(told)
                if !data.starts_with(COMMENT)
                    || data.starts_with(NOT_STORED_COMMENT.as_bytes()) =>
            {
                told.extend_from_slice(data);
            }
            Some(_) | None => {}
        }
    }

    fn end(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { attempt, head, told } = *self;
        if attempt.has_failed() {
            return Box::pin(attempt.abandon());
        }
        match told {
            Some(told) => Box::pin(attempt.finish(note(&head, told.freeze()))),
            None => Box::pin(attempt.finish_without_reply()),
        }
    }
}

impl Body for Recording {
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
                State::Telling(telling) => {
                    let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
                    let Some(frame) = frame else {
                        this.end();
                        continue;
                    };
                    match &frame {
                        Ok(frame) => telling.hear(frame.data_ref().map_or(&[], |data| &**data)),
                        // It cannot be told to its end.
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
