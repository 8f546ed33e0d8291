//! The health check of a running gateway, for containers.

use gateway_config::Config;
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// The first byte of an alert of TLS.
const ALERT: u8 = 21;
/// The time limit of each step.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks the gateway of this configuration for `/health`.
///
/// # Errors
///
/// If it cannot be reached, or does not answer 200. With TLS and without a port of their own for
/// health checks, an answer under TLS is enough: whether the certificate is valid for callers is not
/// a matter of this process.
pub fn check_health(config: &Config) -> io::Result<()> {
    let server = &config.server;
    let has_tls = config.tls.certificate().is_some();
    match server.health_port {
        Some(port) if has_tls => request_health(reachable(server.host, port)),
        None if has_tls => greet(reachable(server.host, server.port)),
        Some(_) | None => request_health(reachable(server.host, server.port)),
    }
}

/// Sends bytes that are not TLS, which a listener of TLS answers with an alert.
fn greet(address: SocketAddr) -> io::Result<()> {
    let mut socket = TcpStream::connect_timeout(&address, LIMIT)?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_write_timeout(Some(LIMIT))?;
    socket.write_all(b"GET /health HTTP/1.1\r\n\r\n")?;
    let mut kind = [0; 1];
    socket.read_exact(&mut kind)?;
    if kind == [ALERT] {
        return Ok(());
    }
    Err(io::Error::other("the gateway is unhealthy"))
}

/// Returns the address to call: an unspecified one stands for this machine.
pub(crate) fn reachable(host: IpAddr, port: u16) -> SocketAddr {
    let host = match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => host,
    };
    SocketAddr::new(host, port)
}

fn request_health(address: SocketAddr) -> io::Result<()> {
    let mut socket = TcpStream::connect_timeout(&address, LIMIT)?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut status = [0; 12];
    socket.read_exact(&mut status)?;
    if &status == b"HTTP/1.1 200" {
        return Ok(());
    }
    Err(io::Error::other("the gateway is unhealthy"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that answers once.
    #[track_caller]
    fn check(answer: &'static str, well: bool) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
        });
        assert_eq!(request_health(address).is_ok(), well, "{answer}");
        server.join().unwrap();
    }

    #[test]
    fn only_status_200_is_healthy() {
        check("HTTP/1.1 200 OK\r\n\r\n", true);
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n", false);
        check("HTTP/1.1", false);
        check("", false);
    }

    #[test]
    fn unreachable_gateway_is_unhealthy() {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        assert!(request_health(free).is_err());
    }

    #[test]
    fn unspecified_address_is_called_on_loopback() {
        let called = |host: &str| reachable(host.parse().unwrap(), 1).to_string();
        assert_eq!(called("0.0.0.0"), "127.0.0.1:1");
        assert_eq!(called("::"), "[::1]:1");
        assert_eq!(called("192.0.2.1"), "192.0.2.1:1");
    }
}
