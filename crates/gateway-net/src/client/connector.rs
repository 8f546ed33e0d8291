//! Connecting to an upstream: a name, a socket, TLS, all within one limit.

use super::{
    error::{ConnectError, SettingsError},
    host::Origin,
    resolver::CachingResolver,
    settings::ClientSettings,
    stream::UpstreamStream,
    tcp, tls,
};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    time::{self, Instant},
};
use tokio_rustls::TlsConnector;

/// The longest time for a name: then there is time left to connect to its last known address.
const NAME_LIMIT: Duration = Duration::from_secs(2);

/// Connects in steps, so that it is known which of them failed.
pub(super) struct Connector {
    resolver: CachingResolver,
    tls: TlsConnector,
    limit: Duration,
    receive_buffer: Option<u32>,
}

/// A new connection, and the protocol that was agreed on.
#[derive(Debug)]
pub(super) enum NewConnection {
    Http1(UpstreamStream),
    Http2(UpstreamStream),
}

impl Connector {
    pub(super) fn new(settings: &ClientSettings) -> Result<Self, SettingsError> {
        let limit = settings.connect_timeout;
        let tls: ClientConfig = tls::config(&settings.extra_roots)?;
        Ok(Self {
            resolver: CachingResolver::system(NAME_LIMIT.min(limit / 2)),
            tls: TlsConnector::from(Arc::new(tls)),
            limit,
            receive_buffer: settings.receive_buffer,
        })
    }

    /// Connects to `origin`, TLS included if it has that.
    ///
    /// # Errors
    ///
    /// If the name has no address, no address accepts, or TLS is not agreed on, each in time.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<NewConnection, ConnectError> {
        let deadline = Instant::now() + self.limit;
        let stream = self.connect_tcp(origin, deadline).await?;
        if !origin.is_secure {
            return Ok(NewConnection::Http1(UpstreamStream::Plain(stream)));
        }
        self.secure(origin, stream, deadline).await.map_err(ConnectError::Tls)
    }

    async fn connect_tcp(
        &self,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<TcpStream, ConnectError> {
        let addresses = if let Ok(address) = origin.host.parse() {
            vec![SocketAddr::new(address, origin.port)]
        } else {
            let resolving = time::timeout_at(deadline, self.resolver.resolve(&origin.host));
            let mut addresses = resolving
                .await
                .map_err(|late| ConnectError::Dns(late.into()))?
                .map_err(ConnectError::Dns)?;
            for address in &mut addresses {
                address.set_port(origin.port);
            }
            addresses
        };
        tcp::connect(&addresses, self.receive_buffer, deadline).await.map_err(ConnectError::Tcp)
    }

    async fn secure(
        &self,
        origin: &Origin,
        stream: TcpStream,
        deadline: Instant,
    ) -> io::Result<NewConnection> {
        let name = ServerName::try_from(origin.host.clone()).map_err(io::Error::other)?;
        let securing = self.tls.connect(name, stream);
        let stream = Box::new(time::timeout_at(deadline, securing).await??);
        let is_http2 = tls::is_http2(stream.get_ref().1);
        let stream = UpstreamStream::Tls(stream);
        Ok(if is_http2 { NewConnection::Http2(stream) } else { NewConnection::Http1(stream) })
    }
}
