//! The listener: takes connections of callers, and bounds what they may do.
//!
//! Everything that a caller can do slowly has a deadline, the number of connections has a bound, and
//! everything that runs is waited for. The service knows nothing of it, except that the body of a
//! request may fail with an error that says why.

mod accept_loop;
mod activity;
mod body;
mod connection;
mod connection_service;
mod file_limit;
mod head_rejection;
mod health;
mod limits;
mod refusal;
mod self_wake;
mod service;
mod socket;
mod stream_deadline;
mod tls;

pub use self::{
    body::{ReplyBody, RequestBody},
    connection_service::ConnectionService,
    file_limit::max_connections,
    health::{HealthServer, serve_health},
    limits::ConnectionLimits,
    tls::{CertificateError, CertificateFiles, ServerTls},
};

use accept_loop::AcceptLoop;
use socket2::{SockRef, TcpKeepalive};
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// Socket send buffer: the part of a response that the system holds for a caller that does not
/// read.
const SEND_BUFFER: u32 = 128 << 10;
/// The TCP user timeout of an unresponsive caller.
const DEAD_AFTER: Duration = Duration::from_secs(30);

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
    /// The name of the task that accepts its connections, in metrics and in health checks.
    pub name: &'static str,
    /// The port.
    pub socket: TcpListener,
    /// The certificate, if connections are encrypted.
    pub tls: Option<ServerTls>,
    /// The limits of connections.
    pub limits: ConnectionLimits,
}

/// Serves until `drain` says that it is over, or that no more connections are taken and the last
/// one has ended. `make` makes the service of one connection. A panic of the task that accepts them
/// restarts it, and connections wait in the system meanwhile. Dropping this drops the listener, but
/// not the connections.
pub async fn serve<M, S>(listener: Listener, make: M, drain: &ListenerShutdown)
where
    M: Fn(SocketAddr) -> S,
    S: ConnectionService,
{
    let name = listener.name;
    let accepting = AcceptLoop::new(listener, make, drain);
    gateway_tasks::supervise(name, || accepting.run()).await;
    accepting.close().await;
}

#[cfg(test)]
mod tests;
