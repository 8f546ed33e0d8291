//! The listener: takes connections of callers, and bounds what they may do.
//!
//! Everything that a caller can do slowly has a deadline, the number of connections has a bound, and
//! everything that runs is waited for. The service knows nothing of it, except that the body of a
//! request may fail with an error that says why.

mod activity;
mod body;
mod connection;
mod file_limit;
mod head_rejection;
mod health;
mod limits;
mod refusal;
mod service;
mod socket;
mod stream_deadline;
mod tls;

pub use self::{
    body::{ReplyBody, RequestBody},
    file_limit::max_connections,
    health::{HealthServer, serve_health},
    limits::ConnectionLimits,
    tls::{CertificateError, CertificateFiles, ServerTls},
};

use bytes::Bytes;
use connection::ConnectionContext;
use gateway_core::BoxError;
use http::{Request, Response};
use http_body::Body;
use hyper::service::Service;
use socket2::{SockRef, TcpKeepalive};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// Socket send buffer: the part of a response that the system holds for a caller that does not
/// read.
const SEND_BUFFER: u32 = 128 << 10;
/// The TCP user timeout of an unresponsive caller.
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// The pause after the process has run out of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens a port. What is set here holds for the connections too, which inherit it.
///
/// # Errors
///
/// If the address is taken, or not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    let silence = Duration::from_secs(15);
    let keepalive = TcpKeepalive::new().with_time(silence).with_interval(silence).with_retries(3);
    let options = SockRef::from(&socket);
    options.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    options.set_tcp_user_timeout(Some(DEAD_AFTER))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The stages of a listener's shutdown. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ListenerShutdown {
    /// No more connections are taken, and those without a request are closed.
    pub closing: CancellationToken,
    /// Cancelled when open requests are cut.
    pub over: CancellationToken,
}

/// A listener with its settings.
#[derive(Debug)]
pub struct Listener {
    /// The port.
    pub socket: TcpListener,
    /// The certificate, if connections are encrypted.
    pub tls: Option<ServerTls>,
    /// The limits of connections.
    pub limits: ConnectionLimits,
}

/// Serves until `drain` says that it is over, or that no more connections are taken and the last
/// one has ended. `make` makes the service of one connection. Dropping this drops the listener, but
/// not the connections.
pub async fn serve<M, S, B>(listener: Listener, make: M, drain: &ListenerShutdown)
where
    M: Fn(SocketAddr) -> S,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Listener { socket: listener, tls, limits } = listener;
    let tasks = TaskTracker::new();
    let shared = ConnectionContext {
        limits,
        tasks: tasks.clone(),
        closing: drain.closing.clone(),
        over: drain.over.clone(),
    };
    let http = Arc::new(shared.http());
    let room = Arc::new(Semaphore::new(limits.connections));
    let refusals = Arc::new(Semaphore::new(health::MAX_HEALTH_CONNECTIONS));
    while let Some((socket, caller)) = accept(&listener, drain).await {
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            let (service, http) = (make(caller), Arc::clone(&http));
            let (shared, salt) = (shared.clone(), caller.port());
            match tls.clone() {
                None => spawn(&tasks, permit, shared.serve(http, socket, service, salt)),
                Some(tls) => {
                    spawn(&tasks, permit, shared.serve_tls(http, (tls, socket), service, salt));
                }
            }
        } else if tls.is_some() {
            // To refuse it in its own words would cost more than to serve it.
            refusal::count();
        } else if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
            let (service, http) = (make(caller), Arc::clone(&http));
            let mut shared = shared.clone();
            // One health check, and then the connection ends.
            shared.limits.age = Duration::ZERO;
            spawn(&tasks, permit, async move {
                if health::is_health_check(&socket).await {
                    shared.serve(http, socket, service, caller.port()).await;
                } else {
                    shared.over.run_until_cancelled(refusal::refuse(socket)).await;
                }
            });
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Runs a connection, which holds its permit to the end.
fn spawn(
    tasks: &TaskTracker,
    permit: OwnedSemaphorePermit,
    connection: impl Future<Output = ()> + Send + 'static,
) {
    tasks.spawn(async move {
        connection.await;
        drop(permit);
    });
}

/// The next connection; `None` when no more are taken.
async fn accept(
    listener: &TcpListener,
    drain: &ListenerShutdown,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = drain.closing.run_until_cancelled(listener.accept()).await?;
        match accepted {
            Ok((socket, caller)) => {
                // Not every system lets connections inherit it.
                let _ = socket.set_nodelay(true);
                return Some((socket, caller));
            }
            // The caller went before its active.
            Err(error) if is_caller_error(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "accepting connections failed");
                drain.closing.run_until_cancelled(tokio::time::sleep(PAUSE)).await?;
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

#[cfg(test)]
mod tests;
