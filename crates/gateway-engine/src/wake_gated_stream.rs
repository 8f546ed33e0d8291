//! A stream that is asked again only after it has called for it.

use futures_util::{Stream, task::AtomicWaker};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A stream whose inner stream is polled only if it has woken its task since it was pending.
///
/// A server polls the body of a reply several times before it waits: after each chunk that it
/// writes, and after each flush. Below a streamed response are eight layers, which would all look
/// for what cannot have come.
#[derive(Debug)]
pub(crate) struct WakeGatedStream<S> {
    inner: S,
    calls: Arc<WakeCalls>,
    /// The waker of the inner stream.
    waker: Waker,
    is_pending: bool,
}

/// The calls of the inner stream for its task.
#[derive(Debug, Default)]
struct WakeCalls {
    task: AtomicWaker,
    has_called: AtomicBool,
}

impl Wake for WakeCalls {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_called.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<S> WakeGatedStream<S> {
    pub(crate) fn new(inner: S) -> Self {
        let calls = Arc::<WakeCalls>::default();
        let waker = Waker::from(Arc::clone(&calls));
        Self { inner, calls, waker, is_pending: false }
    }
}

impl<S: Stream + Unpin> Stream for WakeGatedStream<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = &mut *self;
        // Before the look at the calls: one that comes after it finds the task.
        this.calls.task.register(cx.waker());
        let has_called = this.calls.has_called.swap(false, Ordering::AcqRel);
        if this.is_pending && !has_called {
            return Poll::Pending;
        }
        let mut inner = Context::from_waker(&this.waker);
        let polled = Pin::new(&mut this.inner).poll_next(&mut inner);
        this.is_pending = polled.is_pending();
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::mpsc;

    /// Counts how often it is polled.
    struct CountedSource {
        received: mpsc::UnboundedReceiver<u8>,
        polls: Arc<AtomicUsize>,
    }

    impl Stream for CountedSource {
        type Item = u8;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u8>> {
            self.polls.fetch_add(1, Ordering::Relaxed);
            self.received.poll_recv(cx)
        }
    }

    #[test]
    fn pending_stream_is_polled_again_only_after_a_wake() {
        let (sender, received) = mpsc::unbounded_channel();
        let polls = Arc::new(AtomicUsize::new(0));
        let mut stream =
            WakeGatedStream::new(CountedSource { received, polls: Arc::clone(&polls) });
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = || stream.poll_next_unpin(&mut cx);
        for _ in 0..3 {
            assert!(poll().is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        sender.send(7).unwrap();
        assert_eq!(poll(), Poll::Ready(Some(7)));
        assert!(poll().is_pending());
        drop(sender);
        assert_eq!((poll(), polls.load(Ordering::Relaxed)), (Poll::Ready(None), 4));
    }

    #[tokio::test]
    async fn wake_reaches_the_task() {
        let (sender, received) = mpsc::unbounded_channel();
        let stream = CountedSource { received, polls: Arc::default() };
        let reading = WakeGatedStream::new(stream).collect::<Vec<_>>();
        let sending = async move {
            for number in 0..100 {
                sender.send(number).unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (read, ()) = tokio::join!(reading, sending);
        assert_eq!(read.len(), 100);
    }
}
