//! The deadline of one stream of HTTP/2: a caller that takes nothing of an answer loses it, whatever
//! happens on the other streams of its connection.
//!
//! hyper runs each stream as a task of its own. It polls the body only when the caller has room for
//! more, so that a poll of the task which ends with a part of the body handed over, and no further
//! poll of the body, waits for the caller.

use super::body::{BodyProgress, take_progress};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

pin_project! {
    /// The task of a stream. Ends without a result if the caller takes nothing for too long; hyper
    /// resets a stream whose task is dropped.
    #[derive(Debug)]
    pub(super) struct StreamWithDeadline<F> {
        #[pin]
        task: F,
        limit: Duration,
        timer: Option<Pin<Box<Sleep>>>,
        // Whether the caller is waited for.
        is_waiting: bool,
    }
}

impl<F> StreamWithDeadline<F> {
    /// Lets the caller take `limit` for each part of the answer.
    pub(super) const fn new(task: F, limit: Duration) -> Self {
        Self { task, limit, timer: None, is_waiting: false }
    }
}

impl<F: Future> Future for StreamWithDeadline<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        take_progress();
        if let Poll::Ready(output) = this.task.poll(cx) {
            return Poll::Ready(Some(output));
        }
        match take_progress() {
            BodyProgress::Untouched => {}
            BodyProgress::Pending => *this.is_waiting = false,
            BodyProgress::HandedOver => {
                *this.is_waiting = true;
                let deadline = Instant::now() + *this.limit;
                match this.timer {
                    Some(timer) => timer.as_mut().reset(deadline),
                    None => *this.timer = Some(Box::pin(sleep_until(deadline))),
                }
            }
        }
        if *this.is_waiting
            && let Some(timer) = this.timer
        {
            ready!(timer.as_mut().poll(cx));
            metrics::counter!("llm_gateway_streams_reset_total", "reason" => "unread").increment(1);
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
