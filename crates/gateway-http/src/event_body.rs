//! The body of a streamed reply. A panic while it is written ends this reply and no other.

use bytes::Bytes;
use futures_util::Stream;
use gateway_core::{BoxError, catch_panic};
use gateway_tasks::failpoint;
use http_body::Frame;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Server-sent events as the frames of a body. After a panic, it fails: the caller sees that the
    /// reply is cut.
    pub(crate) struct EventBody<S> {
        // Gone after a panic.
        #[pin]
        events: Option<S>,
    }
}

impl<S> EventBody<S> {
    pub(crate) const fn new(events: S) -> Self {
        Self { events: Some(events) }
    }
}

impl<S: Stream<Item = Bytes>> Stream for EventBody<S> {
    type Item = Result<Frame<Bytes>, BoxError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let Some(events) = this.events.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = catch_panic(|| {
            failpoint("reply_body");
            events.poll_next(context)
        });
        match polled {
            Ok(polled) => Poll::Ready(ready!(polled).map(|event| Ok(Frame::data(event)))),
            Err(panic) => {
                let error = panic.end(|| this.events.set(None));
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, StreamExt as _, stream};

    #[test]
    fn panicking_body_fails_once() {
        let events = stream::iter([1, 2]).map(|number| {
            assert!(number < 2, "a bug");
            Bytes::from_static(b"event")
        });
        let body: Vec<_> = EventBody::new(events).collect().now_or_never().unwrap();
        let shown: Vec<_> = body.iter().map(Result::is_ok).collect();
        assert_eq!(shown, [true, false]);
    }
}
