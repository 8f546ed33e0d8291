//! Stream observers: every stream is accounted for exactly once.

use crate::{Chunk, ChunkStream, GatewayError, Result, catch_panic};
use futures_util::{Stream, stream};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The end of a stream.
#[derive(Clone, Copy, Debug)]
pub enum StreamEnd<'a> {
    /// The stream ran to its last chunk.
    Complete,
    /// The stream failed with an error.
    Failed(&'a GatewayError),
    /// The stream was dropped before its end.
    Cancelled,
}

/// An observer of a stream.
pub trait StreamObserver: Send {
    /// Observes a chunk before it is passed on.
    fn on_chunk(&mut self, chunk: &Chunk);

    /// Observes the end exactly once: completion, failure or cancellation.
    fn on_end(self: Box<Self>, end: StreamEnd<'_>);
}

/// Passes `chunks` on and reports each, and their end exactly once, to `witness`. A panic of
/// `chunks` is their last error.
pub fn observe(chunks: ChunkStream, witness: Box<dyn StreamObserver>) -> ChunkStream {
    Box::pin(ObservedStream { chunks, witness: Some(witness) })
}

struct ObservedStream {
    chunks: ChunkStream,
    witness: Option<Box<dyn StreamObserver>>,
}

impl ObservedStream {
    fn end(&mut self, end: StreamEnd<'_>) {
        if let Some(witness) = self.witness.take() {
            witness.on_end(end);
        }
    }
}

impl Stream for ObservedStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunks = &mut self.chunks;
        let chunk = match catch_panic(|| chunks.as_mut().poll_next(cx)) {
            Ok(polled) => ready!(polled),
            // The stream is gone, and whatever it held saw a panic, not a caller that left.
            Err(panic) => Some(Err(panic.end(|| *chunks = Box::pin(stream::empty())))),
        };
        match &chunk {
            Some(Ok(chunk)) => {
                if let Some(witness) = &mut self.witness {
                    witness.on_chunk(chunk);
                }
            }
            Some(Err(error)) => self.end(StreamEnd::Failed(error)),
            None => self.end(StreamEnd::Complete),
        }
        Poll::Ready(chunk)
    }
}

impl Drop for ObservedStream {
    fn drop(&mut self) {
        self.end(StreamEnd::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, StreamEvent};
    use futures_util::{StreamExt as _, stream};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct EndLog(Arc<Mutex<Vec<String>>>);

    impl StreamObserver for EndLog {
        fn on_chunk(&mut self, _: &Chunk) {
            self.0.lock().unwrap().push("frame".to_owned());
        }

        fn on_end(self: Box<Self>, end: StreamEnd<'_>) {
            self.0.lock().unwrap().push(match end {
                StreamEnd::Complete => "complete".to_owned(),
                StreamEnd::Failed(error) => error.code().to_owned(),
                StreamEnd::Cancelled => "cancelled".to_owned(),
            });
        }
    }

    /// Takes `wanted` of `chunks`, drops the rest, and checks what the witness saw.
    #[track_caller]
    fn check(chunks: Vec<Result<Chunk>>, wanted: usize, expected: &[&str]) {
        let log = EndLog::default();
        let chunks = observe(Box::pin(stream::iter(chunks)), Box::new(log.clone()));
        futures_util::FutureExt::now_or_never(chunks.take(wanted).for_each(|_| async {})).unwrap();
        assert_eq!(*log.0.lock().unwrap(), expected);
    }

    fn text() -> Chunk {
        Chunk::from_events(vec![StreamEvent::Text("a".into())])
    }

    #[test]
    fn completed_stream_is_observed_once() {
        check(vec![Ok(text()), Ok(text())], 9, &["frame", "frame", "complete"]);
    }

    #[test]
    fn dropped_stream_is_observed_as_cancelled() {
        check(vec![Ok(text()), Ok(text())], 1, &["frame", "cancelled"]);
    }

    #[test]
    fn panicking_stream_ends_with_an_error() {
        let log = EndLog::default();
        let panicking = stream::iter([1, 2]).map(|number| {
            assert!(number < 2, "a bug");
            Ok(text())
        });
        let mut chunks = observe(Box::pin(panicking), Box::new(log.clone()));
        let mut next = || futures_util::FutureExt::now_or_never(chunks.next()).unwrap();
        assert!(next().unwrap().is_ok());
        assert!(next().unwrap().unwrap_err().is_panic());
        assert!(next().is_none());
        assert_eq!(*log.0.lock().unwrap(), ["frame", "internal_error"]);
    }

    #[test]
    fn failed_stream_is_observed_with_error() {
        let error = GatewayError::new(ErrorKind::UpstreamTimeout, "slow");
        check(vec![Ok(text()), Err(error)], 9, &["frame", "upstream_timeout"]);
    }
}
