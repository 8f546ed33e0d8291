//! Knowing how a stream ended, so that it can be counted exactly once.

use crate::{Frame, FrameStream, GatewayError, Result};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// How a stream ended.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// To its last frame.
    Complete,
    /// With an error.
    Failed(&'a GatewayError),
    /// Nobody wanted the rest.
    Cancelled,
}

/// Something that watches a stream pass.
pub trait Witness: Send {
    /// Sees each frame.
    fn see(&mut self, frame: &Frame);

    /// Sees the end, once: completion, failure and hang-up alike.
    fn end(self: Box<Self>, end: End<'_>);
}

/// Shows `frames` to `witness`, which learns of their end exactly once, however that comes.
pub fn on_end(frames: FrameStream, witness: Box<dyn Witness>) -> FrameStream {
    Box::pin(OnEnd { frames, witness: Some(witness) })
}

struct OnEnd {
    frames: FrameStream,
    witness: Option<Box<dyn Witness>>,
}

impl OnEnd {
    fn end(&mut self, end: End<'_>) {
        if let Some(witness) = self.witness.take() {
            witness.end(end);
        }
    }
}

impl Stream for OnEnd {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let frame = ready!(self.frames.as_mut().poll_next(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(witness) = &mut self.witness {
                    witness.see(frame);
                }
            }
            Some(Err(error)) => self.end(End::Failed(error)),
            None => self.end(End::Complete),
        }
        Poll::Ready(frame)
    }
}

impl Drop for OnEnd {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, StreamEvent};
    use futures_util::{StreamExt as _, stream};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Witness for Log {
        fn see(&mut self, _: &Frame) {
            self.0.lock().unwrap().push("frame".to_owned());
        }

        fn end(self: Box<Self>, end: End<'_>) {
            self.0.lock().unwrap().push(match end {
                End::Complete => "complete".to_owned(),
                End::Failed(error) => error.code().to_owned(),
                End::Cancelled => "cancelled".to_owned(),
            });
        }
    }

    /// Takes `wanted` of `frames`, drops the rest, and checks what the witness saw.
    #[track_caller]
    fn check(frames: Vec<Result<Frame>>, wanted: usize, expected: &[&str]) {
        let log = Log::default();
        let frames = on_end(Box::pin(stream::iter(frames)), Box::new(log.clone()));
        futures_util::FutureExt::now_or_never(frames.take(wanted).for_each(|_| async {})).unwrap();
        assert_eq!(*log.0.lock().unwrap(), expected);
    }

    fn text() -> Frame {
        Frame::of(vec![StreamEvent::Text("a".into())])
    }

    #[test]
    fn complete() {
        check(vec![Ok(text()), Ok(text())], 9, &["frame", "frame", "complete"]);
    }

    #[test]
    fn cancelled() {
        check(vec![Ok(text()), Ok(text())], 1, &["frame", "cancelled"]);
    }

    #[test]
    fn failed() {
        let error = GatewayError::new(ErrorKind::UpstreamTimeout, "slow");
        check(vec![Ok(text()), Err(error)], 9, &["frame", "upstream_timeout"]);
    }
}
