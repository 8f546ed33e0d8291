//! The service as a connection sees it: bodies are tracked, and the end of an old connection is
//! announced.

use super::{
    activity::ConnectionActivity,
    body::{ActiveRequest, ReplyBody, RequestBody},
    limits::ConnectionLimits,
};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::{body::Incoming, service::Service};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::Instant;

/// A service on one connection.
#[derive(Debug)]
pub(super) struct TrackedService<S> {
    pub(super) inner: S,
    pub(super) activity: Arc<ConnectionActivity>,
    pub(super) limits: ConnectionLimits,
    /// The time at which the connection reaches its maximum age.
    pub(super) old_at: Instant,
}

impl<S, B> Service<Request<Incoming>> for TrackedService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
{
    type Response = Response<ReplyBody<B>>;
    type Error = S::Error;
    type Future = ReplyFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if Instant::now() >= self.old_at {
            self.activity.close();
        }
        let multiplexed = request.version() > Version::HTTP_11;
        let active = ActiveRequest::begin(Arc::clone(&self.activity), multiplexed);
        let request =
            request.map(|body| RequestBody::new(body, self.limits, Arc::clone(&self.activity)));
        ReplyFuture { future: self.inner.call(request), active: Some(active) }
    }
}

pin_project_lite::pin_project! {
    /// An answer on its way.
    #[derive(Debug)]
    pub(super) struct ReplyFuture<F> {
        #[pin]
        future: F,
        active: Option<ActiveRequest>,
    }
}

impl<F, B, E> Future for ReplyFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ReplyBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx))?;
        // The caller must not send another request into a connection that is about to close.
        if this.active.as_ref().is_some_and(ActiveRequest::is_last) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // What follows has deadlines of its own.
            this.active.iter().for_each(ActiveRequest::keep);
        }
        // Only a future that is polled again after its end has lost it.
        let Some(active) = this.active.take() else { return Poll::Pending };
        Poll::Ready(Ok(response.map(|body| ReplyBody::new(body, active))))
    }
}
