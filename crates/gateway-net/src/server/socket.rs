//! A socket that does not wait for ever.
//!
//! hyper closes none of these by itself: a caller that connects and says nothing, one that sends its
//! head byte by byte, one that takes nothing of its answer. Each state has its deadline:
//!
//! ```text
//! silent --byte--> head --request--> busy --answer--> idle --byte--> head
//! ```
//!
//! One timer serves them all. It is not touched when a deadline moves back, only when one comes
//! nearer, and it arms itself again if it goes off early: a request on a kept-alive connection
//! costs two readings of the clock.

use super::{
    activity::ConnectionActivity, head_rejection::HeadRejection, limits::ConnectionLimits,
};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// A socket with deadlines.
#[derive(Debug)]
pub(super) struct Socket<T> {
    inner: T,
    activity: Arc<ConnectionActivity>,
    limits: ConnectionLimits,
    state: State,
    /// The number of requests when the state was entered.
    seen: u32,
    /// The number of response parts when the caller last took one.
    offered: u32,
    read_by: Option<Instant>,
    write_by: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether bytes are awaited.
    blocked: bool,
    /// Whether our side is closed and only the rest of a body is awaited.
    lingers: bool,
    /// The rest of the reply that is written instead of one of hyper's.
    rejection: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Nothing has come yet.
    Silent,
    /// Part of a head has come.
    Head,
    /// All requests are answered.
    Idle,
}

impl<T> Socket<T> {
    /// Puts deadlines on `inner`.
    pub(super) fn new(
        inner: T,
        activity: Arc<ConnectionActivity>,
        limits: ConnectionLimits,
    ) -> Self {
        Self {
            inner,
            activity,
            limits,
            state: State::Silent,
            seen: 0,
            offered: 0,
            read_by: None,
            write_by: None,
            timer: None,
            blocked: false,
            lingers: false,
            rejection: None,
        }
    }

    /// Handles received bytes.
    fn on_bytes(&mut self) {
        let started = self.activity.started();
        // On a shared connection, bytes may be answers to pings; they do not begin a request.
        let pings = self.activity.is_multiplexed() && started > 0;
        if pings || self.activity.is_busy() {
            return;
        }
        if self.state != State::Head || self.seen != started {
            self.state = State::Head;
            self.seen = started;
            self.read_by = None;
        }
    }

    /// Sets or clears the read deadline while no bytes arrive.
    fn arm_read_deadline(&mut self) {
        if self.activity.is_busy() {
            self.arm_take_deadline();
            return;
        }
        let started = self.activity.started();
        if self.seen != started {
            self.state = State::Idle;
            self.seen = started;
            self.read_by = None;
        }
        let wait = match self.state {
            State::Silent => self.limits.first_byte,
            State::Head => self.limits.head,
            State::Idle => self.limits.idle,
        };
        self.read_by.get_or_insert_with(|| Instant::now() + wait);
    }

    /// On a shared connection an answer is held back by its own window, not by the socket.
    fn arm_take_deadline(&mut self) {
        let untaken = self.activity.untaken().filter(|_| self.activity.is_multiplexed());
        match untaken {
            Some(offered) if self.offered == offered && self.read_by.is_some() => {}
            Some(offered) => {
                self.offered = offered;
                self.read_by = Some(Instant::now() + self.limits.write);
            }
            None => self.read_by = None,
        }
    }

    /// Ready when a deadline has passed.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = earlier(self.read_by, self.write_by) else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        timer.as_mut().reset(deadline);
        timer.as_mut().poll(cx)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.blocked = polled.is_pending();
        if polled.is_ready() {
            if buffer.filled().len() > before {
                self.on_bytes();
            }
            return polled;
        }
        self.arm_read_deadline();
        ready!(self.poll_timer(cx));
        // A kept connection ends without a word; anything else is cut short.
        Poll::Ready(match self.state {
            State::Idle if !self.activity.is_busy() => Ok(()),
            State::Silent | State::Head | State::Idle => Err(late("the caller is too slow")),
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_rejected(bytes) {
            return self.poll_rejection(cx, bytes.len());
        }
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.first().is_some_and(|first| self.is_rejected(first)) {
            return self.poll_rejection(cx, slices.iter().map(|slice| slice.len()).sum());
        }
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper asks for the next head while it sends the end of an answer, and then no more. Only
        // now, with everything sent, is it seen that the connection has become idle.
        if self.blocked && !self.activity.is_busy() {
            self.arm_read_deadline();
            if self.poll_timer(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.lingers {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            if !self.activity.has_unread() {
                return Poll::Ready(Ok(()));
            }
            self.lingers = true;
            self.read_by = Some(Instant::now() + self.limits.linger);
            self.write_by = None;
        }
        self.poll_linger(cx).map(Ok)
    }
}

impl<T> Socket<T> {
    /// Whether `bytes` are hyper's rejection of a head, or its reply is being written.
    fn is_rejected(&mut self, bytes: &[u8]) -> bool {
        if self.state == State::Head && self.rejection.is_none() && !self.activity.is_busy() {
            self.rejection = HeadRejection::recognize(bytes).map(HeadRejection::reply);
            if self.rejection.is_some() {
                // Closed at once, the connection would be reset, and the reply lost.
                self.activity.mark_unread();
            }
        }
        self.rejection.is_some()
    }
}

/// Maximum number of reads of an unwanted body that are discarded in one poll.
const MAX_READS: usize = 16;

impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    /// Notes whether the caller takes what is written.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.write_by = None;
            return polled;
        }
        let wait: Duration = self.limits.write;
        self.write_by.get_or_insert_with(|| Instant::now() + wait);
        ready!(self.poll_timer(cx));
        Poll::Ready(Err(late("the caller does not read")))
    }

    /// Writes the reply to a head that is rejected, and reports that of hyper's as written.
    fn poll_rejection(&mut self, cx: &mut Context<'_>, replaced: usize) -> Poll<io::Result<usize>> {
        while let Some(rest) = self.rejection.take_if(|rest| !rest.is_empty()) {
            let polled = Pin::new(&mut self.inner).poll_write(cx, &rest);
            let polled = self.written(cx, polled);
            let taken = if let Poll::Ready(Ok(written)) = polled { written } else { 0 };
            self.rejection = Some(rest.get(taken..).unwrap_or_default().to_vec());
            ready!(polled)?;
        }
        Poll::Ready(Ok(replaced))
    }

    /// Throws away what still comes. Closing at once would reset the connection, and the caller's
    /// system would throw away the answer that it has not read yet.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        for _ in 0..MAX_READS {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.poll_timer(cx),
            }
        }
        ready_or_wake(self.poll_timer(cx), cx)
    }
}

fn ready_or_wake(polled: Poll<()>, cx: &Context<'_>) -> Poll<()> {
    if polled.is_pending() {
        cx.waker().wake_by_ref();
    }
    polled
}
