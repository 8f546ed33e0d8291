//! The limits of connections to the gateway.

use gateway_config::Config;
use gateway_net::server::{self, ConnectionLimits};
use std::time::Duration;

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
