//! TCP connections to an upstream, to whichever of its addresses answers first.

use socket2::{SockRef, TcpKeepalive};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{self, Instant},
};

/// The head start of the preferred address family (Happy Eyeballs).
const FALLBACK_DELAY: Duration = Duration::from_millis(300);
/// The silence after which the system asks whether the upstream is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// The TCP user timeout of an unresponsive upstream.
#[cfg(target_os = "linux")]
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// Connects to one of `addresses` until `deadline`. The family of the first is preferred; the other
/// is tried besides it after a while, or when all of the preferred have failed.
///
/// # Errors
///
/// If none of them accepts the connection in time.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    receive_buffer: Option<u32>,
    deadline: Instant,
) -> io::Result<TcpStream> {
    let Some(first) = addresses.first() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses"));
    };
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|it| it.is_ipv4() == first.is_ipv4());
    if others.is_empty() {
        return connect_in_turn(&preferred, receive_buffer, deadline).await;
    }
    let preferred = connect_in_turn(&preferred, receive_buffer, deadline);
    let others = connect_in_turn(&others, receive_buffer, deadline);
    let (mut preferred, mut others) = (std::pin::pin!(preferred), std::pin::pin!(others));
    if let Ok(connected) = time::timeout(FALLBACK_DELAY, preferred.as_mut()).await {
        return match connected {
            Ok(stream) => Ok(stream),
            Err(_) => others.await,
        };
    }
    tokio::select! {
        connected = preferred.as_mut() => match connected {
            Ok(stream) => Ok(stream),
            Err(_) => others.await,
        },
        connected = others.as_mut() => match connected {
            Ok(stream) => Ok(stream),
            Err(_) => preferred.await,
        },
    }
}

/// Tries one address after the other, each for its part of the time.
async fn connect_in_turn(
    addresses: &[SocketAddr],
    receive_buffer: Option<u32>,
    deadline: Instant,
) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let parts = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match time::timeout(left / parts.max(1), connect_to(*address, receive_buffer)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(last)
}

async fn connect_to(address: SocketAddr, receive_buffer: Option<u32>) -> io::Result<TcpStream> {
    let socket = match address.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(size) = receive_buffer {
        // Before the connection is there: the window is scaled then.
        socket.set_recv_buffer_size(size)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    let options = SockRef::from(&stream);
    // A connection without these works all the same.
    let _ = options.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    #[cfg(target_os = "linux")]
    let _ = options.set_tcp_user_timeout(Some(DEAD_AFTER));
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn connected(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
        let deadline = Instant::now() + Duration::from_secs(5);
        connect(addresses, Some(64 << 10), deadline).await?.peer_addr()
    }

    async fn closed_port(host: &str) -> SocketAddr {
        TcpListener::bind((host, 0)).await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn refused_address_falls_back_to_the_next() {
        let open = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let open = (open.local_addr().unwrap(), open);
        let closed = closed_port("127.0.0.1").await;
        assert_eq!(connected(&[closed, open.0]).await.unwrap(), open.0);
        assert!(connected(&[closed]).await.is_err());
        assert_eq!(connected(&[]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn refused_family_falls_back_to_the_other() {
        let open = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = open.local_addr().unwrap();
        // Nothing listens there, whether or not the machine has the other family.
        let other = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port()));
        assert_eq!(connected(&[other, address]).await.unwrap(), address);
    }

    #[tokio::test]
    async fn silent_address_does_not_use_the_time_of_the_next() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) =
            time::timeout(Duration::from_millis(200), TcpStream::connect(silent)).await
        {
            waiting.push(stream.unwrap());
        }
        let open = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = open.local_addr().unwrap();
        let deadline = Instant::now() + Duration::from_millis(600);
        let stream = connect(&[silent, address], None, deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn connection_has_its_options() {
        let open = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let address = open.local_addr().unwrap();
        let capped = connect(&[address], Some(64 << 10), deadline).await.unwrap();
        let options = SockRef::from(&capped);
        assert!(options.tcp_nodelay().unwrap() && options.keepalive().unwrap());
        assert_eq!(options.tcp_keepalive_time().unwrap(), KEEPALIVE);
        // Linux doubles what is asked for, to have room for its own accounts.
        assert!(options.recv_buffer_size().unwrap() <= 128 << 10);
        #[cfg(target_os = "linux")]
        assert_eq!(options.tcp_user_timeout().unwrap(), Some(DEAD_AFTER));
    }
}
