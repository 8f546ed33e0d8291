//! A connection of a caller, from its first byte to its last.

use super::{
    activity::ConnectionActivity, connection_service::ConnectionService, limits::ConnectionLimits,
    self_wake::SelfWakingPoll, service::TrackedService, socket::Socket,
    stream_deadline::StreamWithDeadline, tls::ServerTls,
};
use hyper::rt::Executor;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The settings and the tasks that all connections of a listener share.
#[derive(Clone, Debug)]
pub(super) struct ConnectionContext {
    pub(super) limits: ConnectionLimits,
    /// Everything that runs for connections.
    pub(super) tasks: TaskTracker,
    /// No more requests are taken.
    pub(super) closing: CancellationToken,
    /// Cancelled when open requests are cut.
    pub(super) over: CancellationToken,
}

/// Runs the requests of shared connections, which end with everything else.
#[derive(Clone, Debug)]
pub(super) struct TrackedExecutor {
    tasks: TaskTracker,
    over: CancellationToken,
    /// The time for the caller to take more of an answer.
    write: Duration,
}

impl<F> Executor<F> for TrackedExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let over = self.over.clone();
        // A connection on which nothing at all is taken is closed before that, as a whole.
        let stream = StreamWithDeadline::new(future, self.write + self.write / 4);
        self.tasks.spawn(async move { over.run_until_cancelled_owned(stream).await });
    }
}

impl ConnectionContext {
    /// The settings of HTTP. Without a timer of its own for HTTP/1: the socket has the deadlines.
    pub(super) fn http(&self) -> auto::Builder<TrackedExecutor> {
        let (tasks, over) = (self.tasks.clone(), self.over.clone());
        let executor = TrackedExecutor { tasks, over, write: self.limits.write };
        let mut builder = auto::Builder::new(executor);
        // At most 100 headers is hyper's default, and saying so would put them on the heap.
        // No `pipeline_flush`: it lifts the bound of the buffer, and an answer that nobody takes
        // grows.
        builder.http1().max_buf_size(64 << 10).half_close(false);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(100)
            .initial_stream_window_size(256 << 10)
            .initial_connection_window_size(1 << 20)
            .max_header_list_size(32 << 10)
            .max_send_buf_size(64 << 10)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_pending_accept_reset_streams(20);
        builder
    }

    /// Serves a connection under TLS to its end, if a session is agreed on in the time for a first
    /// byte.
    pub(super) async fn serve_tls<S>(
        self,
        http: Arc<auto::Builder<TrackedExecutor>>,
        (tls, socket): (ServerTls, TcpStream),
        service: S,
        salt: u16,
    ) where
        S: ConnectionService,
    {
        if let Some(stream) = tls.accept(socket, self.limits.first_byte).await {
            self.serve(http, stream, service, salt).await;
        }
    }

    /// Serves a connection to its end. `salt` spreads the ends of connections that began together.
    pub(super) async fn serve<T, S>(
        self,
        http: Arc<auto::Builder<TrackedExecutor>>,
        socket: T,
        service: S,
        salt: u16,
    ) where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: ConnectionService,
    {
        let closing = self.closing.child_token();
        let activity = Arc::new(ConnectionActivity::new(closing.clone()));
        let io = TokioIo::new(Socket::new(socket, Arc::clone(&activity), self.limits));
        let old_at = Instant::now() + spread(self.limits.age, salt);
        let service = TrackedService { inner: service, activity, limits: self.limits, old_at };
        let mut connection = pin!(http.serve_connection_with_upgrades(io, service));
        let waking = SelfWakingPoll::new();
        let result = tokio::select! {
            biased;
            result = poll_fn(|cx| waking.poll(connection.as_mut(), cx)) => result,
            () = closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    result = poll_fn(|cx| waking.poll(connection.as_mut(), cx)) => result,
                    () = self.over.cancelled() => return,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(error = &*error, "connection to a caller failed");
        }
    }
}

/// From 90 to 110 percent of `age`.
fn spread(age: Duration, salt: u16) -> Duration {
    age.saturating_mul(90 + u32::from(salt % 21)) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_began_together_do_not_end_together() {
        let age = Duration::from_secs(100);
        assert_eq!(spread(age, 0), Duration::from_secs(90));
        assert_eq!(spread(age, 20), Duration::from_secs(110));
        assert_eq!(spread(age, 21), Duration::from_secs(90));
        assert!(spread(Duration::MAX, u16::MAX) > age);
    }
}
