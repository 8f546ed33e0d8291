//! Bodies: of requests, which must keep coming, and of responses, whose end is noticed.

use super::{activity::ConnectionActivity, limits::ConnectionLimits, self_wake::read_part};
use bytes::Bytes;
use gateway_core::{ErrorKind, GatewayError};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    cell::Cell,
    error::Error as _,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// The body of a request. Fails with [`ErrorKind::RequestTimeout`] if it arrives too slowly, with
/// [`ErrorKind::InvalidRequest`] if its framing is broken, and with [`ErrorKind::Cancelled`] if the
/// caller disconnects.
///
/// The timer runs only while a read waits for bytes: a body that arrives with its head needs none.
#[derive(Debug)]
pub struct RequestBody {
    inner: Incoming,
    limits: ConnectionLimits,
    activity: Arc<ConnectionActivity>,
    clock: Option<Clock>,
    received: u64,
}

#[derive(Debug)]
struct Clock {
    started: Instant,
    timer: Pin<Box<Sleep>>,
}

impl RequestBody {
    pub(super) fn new(
        inner: Incoming,
        limits: ConnectionLimits,
        activity: Arc<ConnectionActivity>,
    ) -> Self {
        Self { inner, limits, activity, clock: None, received: 0 }
    }

    /// Ready when the body is too late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (limits, received) = (self.limits, self.received);
        let clock = self.clock.get_or_insert_with(|| {
            let started = Instant::now();
            Clock { started, timer: Box::pin(sleep_until(started + due(&limits, received))) }
        });
        loop {
            ready!(clock.timer.as_mut().poll(cx));
            let deadline = clock.started + due(&limits, received);
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            clock.timer.as_mut().reset(deadline);
        }
    }
}

/// Returns the time limit of a body after `received` bytes.
fn due(limits: &ConnectionLimits, received: u64) -> Duration {
    let seconds = received / u64::from(limits.body_rate.max(1));
    limits.body.min(limits.body_grace.max(Duration::from_secs(seconds)))
}

fn body_error(error: hyper::Error) -> GatewayError {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let malformed = matches!(
        cause.map(io::Error::kind),
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    );
    if malformed {
        let message = "the body of the request is malformed";
        return GatewayError::new(ErrorKind::InvalidRequest, message)
            .with_code("invalid_body")
            .with_source(error);
    }
    GatewayError::new(ErrorKind::Cancelled, "the caller disconnected").with_source(error)
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = GatewayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GatewayError>>> {
        let polled = read_part(|| {
            let polled = Pin::new(&mut self.inner).poll_frame(cx);
            (polled, self.inner.is_end_stream())
        });
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.received += u64::try_from(length).unwrap_or(u64::MAX);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(body_error(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(self.poll_late(cx));
                let message = "the request body is too slow";
                let error = GatewayError::new(ErrorKind::RequestTimeout, message);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.inner.is_end_stream() {
            self.activity.mark_unread();
        }
    }
}

/// The largest part of an answer that is handed over at once on a shared connection: hyper keeps
/// what it was given, however little the caller takes.
const MAX_PART: usize = 32 << 10;

/// The progress of a body during one poll of the task that drives it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum BodyProgress {
    /// The body was not polled.
    #[default]
    Untouched,
    /// Nothing more is there yet.
    Pending,
    /// A part was handed over.
    HandedOver,
}

thread_local! {
    static PROGRESS: Cell<BodyProgress> = const { Cell::new(BodyProgress::Untouched) };
}

/// Returns the progress of the body that this thread has polled last since the last call, on a
/// shared connection.
pub(super) fn take_progress() -> BodyProgress {
    PROGRESS.take()
}

/// A request that is being served. Dropping it ends it.
#[derive(Debug)]
pub(super) struct ActiveRequest {
    activity: Arc<ConnectionActivity>,
    multiplexed: bool,
    /// Whether part of the answer was handed over and not taken yet.
    offered: bool,
}

impl ActiveRequest {
    pub(super) fn begin(activity: Arc<ConnectionActivity>, multiplexed: bool) -> Self {
        activity.begin(multiplexed);
        Self { activity, multiplexed, offered: false }
    }

    /// Whether no other request may follow on the connection.
    pub(super) fn is_last(&self) -> bool {
        !self.multiplexed && self.activity.is_closing()
    }

    /// Counts the request as served for as long as the connection lasts.
    pub(super) fn keep(&self) {
        self.activity.begin(self.multiplexed);
    }

    /// The caller, who comes for more, has taken what was offered.
    fn taken(&mut self) {
        if std::mem::take(&mut self.offered) {
            self.activity.take();
        }
    }

    /// Counts a part as handed over. A socket of its own shows by itself whether the caller takes
    /// anything.
    fn offer(&mut self) {
        self.offered = true;
        self.activity.offer();
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.taken();
        self.activity.end();
    }
}

pin_project_lite::pin_project! {
    /// The body of an answer; its end is the end of the request.
    #[derive(Debug)]
    pub struct ReplyBody<B> {
        #[pin]
        inner: B,
        active: ActiveRequest,
        // What is left of a part that was too large.
        rest: Bytes,
    }
}

impl<B> ReplyBody<B> {
    pub(super) fn new(inner: B, active: ActiveRequest) -> Self {
        Self { inner, active, rest: Bytes::new() }
    }
}

impl<B: Body<Data = Bytes>> Body for ReplyBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if !this.active.multiplexed {
            return this.inner.poll_frame(cx);
        }
        this.active.taken();
        let mut polled = if this.rest.is_empty() {
            this.inner.poll_frame(cx)
        } else {
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(this.rest)))))
        };
        if let Poll::Ready(Some(Ok(frame))) = &mut polled {
            if let Some(data) = frame.data_mut().filter(|data| data.len() > MAX_PART) {
                *this.rest = data.split_off(MAX_PART);
            }
            this.active.offer();
        }
        let is_pending = polled.is_pending();
        PROGRESS.set(if is_pending { BodyProgress::Pending } else { BodyProgress::HandedOver });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
