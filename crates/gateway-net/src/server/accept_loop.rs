//! The task that accepts connections, and what they share.

use super::{
    ConnectionService, Listener, ListenerShutdown, ServerTls,
    connection::{ConnectionContext, TrackedExecutor},
    health, refusal,
};
use hyper_util::server::conn::auto;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The pause after the process has run out of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts the connections of a listener. `M` makes the service of one.
pub(super) struct AcceptLoop<M> {
    socket: TcpListener,
    tls: Option<ServerTls>,
    closing: CancellationToken,
    make: M,
    shared: ConnectionContext,
    http: Arc<auto::Builder<TrackedExecutor>>,
    /// The connections that may be open.
    room: Arc<Semaphore>,
    /// Permits for further connections, which are refused with a response.
    refusals: Arc<Semaphore>,
}

impl<M, S> AcceptLoop<M>
where
    M: Fn(SocketAddr) -> S,
    S: ConnectionService,
{
    pub(super) fn new(listener: Listener, make: M, drain: &ListenerShutdown) -> Self {
        let Listener { name: _, socket, tls, limits } = listener;
        let shared = ConnectionContext {
            limits,
            tasks: TaskTracker::new(),
            closing: drain.closing.clone(),
            over: drain.over.clone(),
        };
        let http = Arc::new(shared.http());
        let room = Arc::new(Semaphore::new(limits.connections));
        let refusals = Arc::new(Semaphore::new(health::MAX_HEALTH_CONNECTIONS));
        Self { socket, tls, closing: drain.closing.clone(), make, shared, http, room, refusals }
    }

    /// Accepts connections until no more are taken.
    pub(super) async fn run(&self) {
        while let Some((socket, caller)) = self.accept().await {
            if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
                self.begin(permit, socket, caller);
            } else if self.tls.is_some() {
                // To refuse it in its own words would cost more than to serve it.
                refusal::count();
            } else if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
                self.refuse(permit, socket, caller);
            }
        }
    }

    /// Closes the port, and waits for the last connection.
    pub(super) async fn close(self) {
        let Self { socket, shared, .. } = self;
        drop(socket);
        shared.tasks.close();
        shared.tasks.wait().await;
    }

    fn begin(&self, permit: OwnedSemaphorePermit, socket: TcpStream, caller: SocketAddr) {
        let (service, http) = ((self.make)(caller), Arc::clone(&self.http));
        let (shared, salt) = (self.shared.clone(), caller.port());
        match self.tls.clone() {
            None => self.spawn(permit, shared.serve(http, socket, service, salt)),
            Some(tls) => self.spawn(permit, shared.serve_tls(http, (tls, socket), service, salt)),
        }
    }

    /// Serves a connection beyond the limit only if it is one of a health check.
    fn refuse(&self, permit: OwnedSemaphorePermit, socket: TcpStream, caller: SocketAddr) {
        let (service, http) = ((self.make)(caller), Arc::clone(&self.http));
        let mut shared = self.shared.clone();
        // One health check, and then the connection ends.
        shared.limits.age = Duration::ZERO;
        self.spawn(permit, async move {
            if health::is_health_check(&socket).await {
                shared.serve(http, socket, service, caller.port()).await;
            } else {
                shared.over.run_until_cancelled(refusal::refuse(socket)).await;
            }
        });
    }

    /// Runs a connection, which holds its permit to the end.
    fn spawn(
        &self,
        permit: OwnedSemaphorePermit,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        self.shared.tasks.spawn(async move {
            connection.await;
            drop(permit);
        });
    }

    /// The next connection; `None` when no more are taken.
    async fn accept(&self) -> Option<(TcpStream, SocketAddr)> {
        loop {
            let accepted = self.closing.run_until_cancelled(self.socket.accept()).await?;
            match accepted {
                Ok((socket, caller)) => {
                    // Not every system lets connections inherit it.
                    let _ = socket.set_nodelay(true);
                    return Some((socket, caller));
                }
                // The caller went before it was accepted.
                Err(error) if is_caller_error(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accepting connections failed");
                    self.closing.run_until_cancelled(tokio::time::sleep(PAUSE)).await?;
                }
            }
        }
    }
}

fn is_caller_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
