//! The limits of connections to the gateway.

use anyhow::Context as _;
use gateway_config::Config;
use gateway_net::server::{self, CertificateFiles, ConnectionLimits, ServerTls};
use std::time::Duration;

/// Loads the certificate of the listeners, if they have one.
///
/// # Errors
///
/// If the files cannot be read, or the key is another certificate's.
pub fn server_tls(config: &Config) -> anyhow::Result<Option<ServerTls>> {
    let Some((certificate, key)) = config.tls.certificate() else { return Ok(None) };
    let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
    ServerTls::load(files).map(Some).context("cannot load the certificate")
}

/// Returns the configured limits, with defaults for the rest.
pub fn connection_limits(config: &Config) -> ConnectionLimits {
    let waits = &config.timeouts;
    ConnectionLimits {
        connections: config.server.max_connections.unwrap_or_else(server::max_connections),
        first_byte: waits.header,
        head: waits.header,
        idle: waits.idle_connection,
        write: waits.client_write,
        body: waits.body,
        body_grace: Duration::from_secs(5),
        body_rate: 1024,
        linger: Duration::from_secs(2),
        age: Duration::from_hours(1),
    }
}
