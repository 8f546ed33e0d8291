//! A streamed answer, as it arrives.

use bytes::Bytes;
use futures_util::Stream;
use gateway_core::{BoxError, CallMeter, Chunk, ChunkStream, ErrorKind, GatewayError, Result};
use gateway_net::client::{BodyError, ResponseBody};
use gateway_wire::{StreamFraming, StreamReader, framing::EventSplitter};
use std::{
    future::Future as _,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{self, Sleep};

/// After the model has finished, accounts may follow for so long.
const USAGE_GRACE: Duration = Duration::from_secs(5);
/// After the last event, the end of the body may follow for so long; then the connection can be
/// used again.
const DRAIN_GRACE: Duration = Duration::from_millis(20);

/// The frames of an answer that arrives as `body`.
///
/// Bytes without an event, such as comments, make an empty frame: a sign of life. Dropping the
/// stream before its end closes the connection.
pub(crate) fn chunks(
    body: ResponseBody,
    framing: StreamFraming,
    (reader, meter): (Box<dyn StreamReader>, CallMeter),
) -> ChunkStream {
    let splitter = EventSplitter::new(framing, MAX_EVENT_BYTES);
    Box::pin(ResponseStream { body, splitter, reader, meter, patience: None, state: State::Open })
}

/// The largest event: pictures come in events of several megabytes.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// Returns the error for a broken connection.
pub(crate) fn cut(because: impl Into<BoxError>) -> GatewayError {
    GatewayError::new(
        ErrorKind::UpstreamCut,
        "the connection to the provider failed during the response",
    )
    .with_source(because)
}

struct ResponseStream {
    body: ResponseBody,
    splitter: EventSplitter,
    reader: Box<dyn StreamReader>,
    /// Records output and usage.
    meter: CallMeter,
    /// The timer for trailing events after the model has finished.
    patience: Option<Pin<Box<Sleep>>>,
    state: State,
}

enum State {
    /// The stream is open.
    Open,
    /// An error is next, after what came before it.
    Failing(GatewayError),
    /// The stream has ended.
    Ended,
}

/// A hand-written stream: it runs once for each piece of every streamed answer.
impl Stream for ResponseStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let this = &mut *self;
        loop {
            match mem::replace(&mut this.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Failing(error) => return Poll::Ready(Some(Err(error))),
                State::Open => this.state = State::Open,
            }
            let frame = match this.body.poll_data(cx) {
                Poll::Pending => {
                    ready!(this.poll_patience(cx));
                    Some(this.close(Chunk::default()))
                }
                Poll::Ready(Some(Ok(data))) => this.take(data),
                Poll::Ready(Some(Err(error))) => this.fail(error),
                Poll::Ready(None) => Some(this.ended()),
            };
            if let Some(frame) = frame {
                frame.record(&this.meter);
                return Poll::Ready(Some(Ok(frame)));
            }
        }
    }
}

impl ResponseStream {
    /// Takes in what arrived. What follows the last event is read, so that the connection can be
    /// used again, and ignored.
    fn take(&mut self, chunk: Bytes) -> Option<Chunk> {
        if self.reader.is_complete() {
            return None;
        }
        match self.splitter.push(chunk) {
            Ok(Some(block)) => Some(self.read(block)),
            Ok(None) => Some(Chunk::default()),
            Err(error) => {
                self.state = State::Failing(error);
                None
            }
        }
    }

    fn read(&mut self, block: Bytes) -> Chunk {
        let mut frame = Chunk::default();
        // What was waited for may have come, and other things may follow it.
        self.patience = None;
        if let Err(error) = self.reader.read(block, &mut frame) {
            self.state = State::Failing(error);
        }
        frame
    }

    /// After the finish nothing is missing; half an event is nothing.
    fn fail(&mut self, error: BodyError) -> Option<Chunk> {
        if self.reader.is_complete() || self.reader.is_finished() {
            return Some(self.close(Chunk::default()));
        }
        self.state = State::Failing(cut(error));
        None
    }

    /// The upstream said all it will say. Its last event may lack the empty line.
    fn ended(&mut self) -> Chunk {
        let frame = match self.splitter.finish() {
            Some(block) if !self.reader.is_complete() => self.read(block),
            Some(_) | None => Chunk::default(),
        };
        if matches!(self.state, State::Failing(_)) {
            return frame;
        }
        self.close(frame)
    }

    /// Nothing more is read.
    fn close(&mut self, mut frame: Chunk) -> Chunk {
        self.state = match self.reader.end(&mut frame) {
            Ok(()) => {
                self.meter.completed(None);
                State::Ended
            }
            Err(error) => State::Failing(error),
        };
        frame
    }

    /// Ready once what may follow the model's finish has been waited for long enough.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.reader.is_finished() && !self.reader.is_complete() {
            // The model goes on after all, as Gemini's do around code that they run.
            self.patience = None;
            return Poll::Pending;
        }
        let time = if self.reader.is_complete() { DRAIN_GRACE } else { USAGE_GRACE };
        let patience = self.patience.get_or_insert_with(|| Box::pin(time::sleep(time)));
        patience.as_mut().poll(cx)
    }
}
