//! Asks a running gateway whether it is well, as a container's health check does.

use crate::config::Config;
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// How long each step may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks the gateway of this configuration.
///
/// # Errors
///
/// If it cannot be reached, or is not well.
pub fn check(config: &Config) -> io::Result<()> {
    ask(reachable(config.server.host, config.server.port))
}

/// An address that means every address is not one to call.
fn reachable(host: IpAddr, port: u16) -> SocketAddr {
    let host = match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => host,
    };
    SocketAddr::new(host, port)
}

fn ask(address: SocketAddr) -> io::Result<()> {
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
    Err(io::Error::other("the gateway is not well"))
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
        assert_eq!(ask(address).is_ok(), well, "{answer}");
        server.join().unwrap();
    }

    #[test]
    fn only_200_is_well() {
        check("HTTP/1.1 200 OK\r\n\r\n", true);
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n", false);
        check("HTTP/1.1", false);
        check("", false);
    }

    #[test]
    fn nobody_is_not_well() {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        assert!(ask(free).is_err());
    }

    #[test]
    fn an_address_for_all_is_called_on_this_machine() {
        let called = |host: &str| reachable(host.parse().unwrap(), 1).to_string();
        assert_eq!(called("0.0.0.0"), "127.0.0.1:1");
        assert_eq!(called("::"), "[::1]:1");
        assert_eq!(called("192.0.2.1"), "192.0.2.1:1");
    }
}
