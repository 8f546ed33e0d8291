//! How many requests run at one time, and who may administer the gateway.

use super::{clients::hash, section::section, value::Value};
use gateway_core::state::KeyHash;
use secrecy::{ExposeSecret, SecretString};
use std::{net::SocketAddr, time::Duration};

section! {
    /// How many requests to models and runs of tools there are at one time; what is above is turned away with 503, at once.
    pub Admission {
        /// How many there may be in all.
        max_concurrent_requests: usize = 9000, within 1..=1_000_000, prefixed ["MAX_CONCURRENT_REQUESTS"];
        /// How many of one tenant, if callers have keys; above, 429.
        max_per_tenant: usize = 1000, within 1..=1_000_000;
        /// How many with one provider.
        max_per_provider: usize = 4096, within 1..=1_000_000;
        /// How many wait for a place; while more than half of them do, the newest goes first.
        queue: usize = 64, within 0..=10_000;
        /// How long they wait.
        queue_timeout: Duration = Duration::from_secs(1), within Duration::from_millis(1)..=Duration::from_mins(1);
        /// From so many MiB of memory on, requests to models are turned away.
        /// If it is not said, only the limit of the container counts: at 95 % of it they are.
        memory_threshold_mb: Option<u64> = None, prefixed ["MEMORY_THRESHOLD_MB"];
        /// From which part of that on requests are turned away that can wait: those with `x-priority: batch`.
        memory_soft_limit: f64 = 0.8, within 0.1..=1.0, prefixed ["MEMORY_SOFT_LIMIT_PERCENT"];
    }
}

section! {
    /// The listener for operators: keys of clients, and what all of them have used.
    pub Admin {
        /// The address to listen on, such as `127.0.0.1:8090`, which has to be a loopback address; nowhere if it is not said.
        listen: Option<SocketAddr> = None, prefixed ["ADMIN_LISTEN"];
        /// The token that operators show.
        token: Option<SecretString> = None, prefixed ["ADMIN_TOKEN"];
        /// The SHA-256 hash of the token, instead of `token`.
        token_sha256: Option<KeyHash> = None;
    }
}

impl Admin {
    /// What the token hashes to, if there is exactly one.
    pub fn token(&self) -> Option<KeyHash> {
        match (&self.token, self.token_sha256) {
            (Some(token), None) => Some(hash(token.expose_secret())),
            (None, Some(hash)) => Some(hash),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }
}

impl Value for SocketAddr {
    fn expects() -> String {
        "an IP address and a port, such as `127.0.0.1:8090`".to_owned()
    }

    fn read(node: &super::node::Node) -> Option<Self> {
        node.text()?.parse().ok()
    }

    fn show(&self) -> Option<String> {
        Some(super::value::quoted(&self.to_string()))
    }
}
