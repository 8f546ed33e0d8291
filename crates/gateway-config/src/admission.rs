//! Bounds on concurrent requests, and the admin listener.

use super::{
    clients::{hash, is_strong},
    section::section,
    server::ByteSize,
    value::SettingType,
};
use gateway_core::state::KeyHash;
use secrecy::{ExposeSecret, SecretString};
use std::{net::SocketAddr, time::Duration};

section! {
    /// Admission control of model requests and tool calls. Above the limits, requests are refused with 503.
    pub AdmissionSection {
        /// Maximum number of concurrent requests.
        max_concurrent_requests: usize = 9000, within 1..=1_000_000, prefixed ["MAX_CONCURRENT_REQUESTS"];
        /// Maximum number of concurrent requests of one tenant, if callers need keys; above, 429.
        max_per_tenant: usize = 1000, within 1..=1_000_000;
        /// Maximum number of concurrent requests to one provider.
        max_per_provider: usize = 4096, within 1..=1_000_000;
        /// Maximum number of queued requests. While the queue is more than half full, the newest request is served first.
        queue: usize = 64, within 0..=10_000;
        /// Maximum time in the queue.
        queue_timeout: Duration = Duration::from_secs(1), within Duration::from_millis(1)..=Duration::from_mins(1);
        /// Memory usage in MiB above which model requests are refused.
        /// Default: 95 % of the container's limit.
        memory_threshold_mb: Option<u64> = None, prefixed ["MEMORY_THRESHOLD_MB"];
        /// Share of that memory above which requests with `x-priority: batch` are refused.
        memory_soft_limit: f64 = 0.8, within 0.1..=1.0, prefixed ["MEMORY_SOFT_LIMIT_PERCENT"];
        /// Memory for the bodies of requests and of responses that are not streamed, over all requests.
        /// Above it, connections are not read until there is room. Each tenant has a fair share.
        body_memory: ByteSize = ByteSize(256 << 20), within ByteSize(16 << 20)..=ByteSize(1 << 40), prefixed ["BODY_MEMORY"];
        /// Size above which a response that is not streamed passes on while it arrives, where nothing needs it whole; 0 never.
        /// Such a reply has no cost header, and if the provider breaks off, the connection is cut.
        passthrough_above: ByteSize = ByteSize(1 << 20), within ByteSize(0)..=ByteSize(1 << 30), prefixed ["PASSTHROUGH_ABOVE"];
    }
}

section! {
    /// The admin listener: virtual keys and the usage of all clients.
    pub AdminSection {
        /// Address of the admin listener, such as `127.0.0.1:8090`; it always needs a token. Default: no admin listener.
        listen: Option<SocketAddr> = None, prefixed ["ADMIN_LISTEN"];
        /// Bearer token of the admin API, of at least 128 random bits.
        token: Option<SecretString> = None, prefixed ["ADMIN_TOKEN"];
        /// SHA-256 hash of the admin token, instead of `token`.
        token_sha256: Option<KeyHash> = None;
    }
}

impl AdminSection {
    /// Whether there is a token that can be guessed.
    pub(super) fn has_weak_token(&self) -> bool {
        self.token.as_ref().is_some_and(|token| !is_strong(token.expose_secret()))
    }

    /// Returns the hash of the token, if there is exactly one.
    pub fn token(&self) -> Option<KeyHash> {
        match (&self.token, self.token_sha256) {
            (Some(token), None) => Some(hash(token.expose_secret())),
            (None, Some(hash)) => Some(hash),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }
}

impl SettingType for SocketAddr {
    fn expects() -> String {
        "an IP address and a port, such as `127.0.0.1:8090`".to_owned()
    }

    fn read(node: &super::raw_value::ConfigValue) -> Option<Self> {
        node.text()?.parse().ok()
    }

    fn show(&self) -> Option<String> {
        Some(super::value::quoted(&self.to_string()))
    }
}
