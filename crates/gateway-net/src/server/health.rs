//! Health checks, which are answered however busy the gateway is.
//!
//! A port of their own is served by a thread of its own, which the system schedules. On the port
//! that they share with callers, a few connections beyond the limit are kept free for them.

use super::{ConnectionLimits, Listener, ListenerShutdown, RequestBody, serve};
use bytes::Bytes;
use gateway_core::BoxError;
use http::{Request, Response};
use http_body::Body;
use hyper::service::Service;
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The number of connections beyond the limit, of health checks and of callers that are refused
/// with a response; further ones are cut off. As many may be on the port of health checks.
pub(super) const MAX_HEALTH_CONNECTIONS: usize = 64;
/// The time in which a connection has to show that it is a health check's.
const LIMIT: Duration = Duration::from_millis(250);
/// The beginnings of requests of health checks.
const HEALTH_PATHS: [&[u8]; 5] =
    [b"GET /health", b"GET /ready", b"GET /live", b"GET /metrics", b"HEAD /health"];

/// The server of a port for health checks. Dropping it closes the port.
#[derive(Debug)]
pub struct HealthServer {
    _open: DropGuard,
}

/// Serves health checks that come to `listener`. `make` makes the service of one connection.
///
/// # Errors
///
/// If there can be no more threads.
pub fn serve_health<M, S, B>(
    listener: TcpListener,
    limits: ConnectionLimits,
    make: M,
) -> io::Result<HealthServer>
where
    M: Fn(SocketAddr) -> S + Send + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // Health checks are answered to the very end: both stages come together.
    let open = CancellationToken::new();
    let drain = ListenerShutdown { closing: open.clone(), over: open.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A listener belongs to the runtime that it was made in.
    let listener = listener.into_std()?;
    std::thread::Builder::new().name("health".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let socket = TcpListener::from_std(listener)?;
            let limits = ConnectionLimits { connections: MAX_HEALTH_CONNECTIONS, ..limits };
            serve(Listener { name: "health_listener", socket, tls: None, limits }, make, &drain)
                .await;
            io::Result::Ok(())
        });
        if let Err(error) = served {
            tracing::error!(%error, "health server failed; health checks are not answered");
        }
    })?;
    Ok(HealthServer { _open: open.drop_guard() })
}

/// Whether a connection begins with a health check; nothing is read from it.
pub(super) async fn is_health_check(socket: &TcpStream) -> bool {
    let shows = async {
        let mut seen = [0; 16];
        loop {
            let length = socket.peek(&mut seen).await?;
            let seen = seen.get(..length).unwrap_or_default();
            let fits = |probe: &&[u8]| seen.starts_with(probe) || probe.starts_with(seen);
            match HEALTH_PATHS.iter().find(|probe| fits(probe)) {
                Some(probe) if seen.starts_with(probe) => return io::Result::Ok(true),
                Some(_) if length > 0 => tokio::time::sleep(PAUSE).await,
                Some(_) | None => return Ok(false),
            }
        }
    };
    matches!(tokio::time::timeout(LIMIT, shows).await, Ok(Ok(true)))
}

/// The pause between attempts to read the rest of a preface.
const PAUSE: Duration = Duration::from_millis(5);
