//! The lane of probes: whoever asks how the gateway is gets an answer, however busy it is.
//!
//! A port of their own is served by a thread of their own, whose turn the system sees to. On the
//! port that they share with everybody, a few connections beyond the limit are kept free for them.

use super::{Limits, ListenerShutdown, RequestBody, serve};
use bytes::Bytes;
use gateway_core::BoxError;
use http::{Request, Response};
use http_body::Body;
use hyper::service::Service;
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How many connections there may be beyond the limit, of probes and of those who are told that
/// there is no room; the others are just cut off. As many may be on the port of probes.
pub(super) const AT_ONCE: usize = 64;
/// How long a connection has to show that it is a probe's.
const LIMIT: Duration = Duration::from_millis(250);
/// The beginnings of requests of probes.
const PROBES: [&[u8]; 5] =
    [b"GET /health", b"GET /ready", b"GET /live", b"GET /metrics", b"HEAD /health"];

/// A port of probes that is being served. Dropping it closes the port.
#[derive(Debug)]
pub struct Lane {
    _open: DropGuard,
}

/// Serves probes that come to `listener`. `make` makes the service of one connection.
///
/// # Errors
///
/// If there can be no more threads.
pub fn begin<M, S, B>(listener: TcpListener, limits: Limits, make: M) -> io::Result<Lane>
where
    M: Fn(SocketAddr) -> S + Send + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // Probes are answered to the very end: both stages come together.
    let open = CancellationToken::new();
    let drain = ListenerShutdown { closing: open.clone(), over: open.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A listener belongs to the runtime that it was made in.
    let listener = listener.into_std()?;
    std::thread::Builder::new().name("health".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let limits = Limits { connections: AT_ONCE, ..limits };
            serve(listener, make, limits, &drain).await;
            io::Result::Ok(())
        });
        if let Err(error) = served {
            tracing::error!(%error, "probes are not answered");
        }
    })?;
    Ok(Lane { _open: open.drop_guard() })
}

/// Whether what comes first on a connection is a probe's; nothing is taken from it.
pub(super) async fn is_probes(socket: &TcpStream) -> bool {
    let shows = async {
        let mut seen = [0; 16];
        loop {
            let length = socket.peek(&mut seen).await?;
            let seen = seen.get(..length).unwrap_or_default();
            let fits = |probe: &&[u8]| seen.starts_with(probe) || probe.starts_with(seen);
            match PROBES.iter().find(|probe| fits(probe)) {
                Some(probe) if seen.starts_with(probe) => return io::Result::Ok(true),
                Some(_) if length > 0 => tokio::time::sleep(PAUSE).await,
                Some(_) | None => return Ok(false),
            }
        }
    };
    matches!(tokio::time::timeout(LIMIT, shows).await, Ok(Ok(true)))
}

/// How long to wait for the rest of a beginning.
const PAUSE: Duration = Duration::from_millis(5);
