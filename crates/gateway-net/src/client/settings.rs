//! How upstreams are connected to.

use std::time::Duration;

/// How to connect to upstreams.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The time for a connection, TLS included, and for the head of a response once it has begun.
    /// 3 seconds.
    pub connect_timeout: Duration,
    /// How long an unused connection with TLS is kept. 50 seconds: the load balancers of clouds
    /// close theirs after a minute.
    pub idle_timeout: Duration,
    /// How long an unused connection without TLS is kept. 4 seconds: a server that runs by itself
    /// (Node's, uvicorn, llama.cpp's) closes it after five, and what is sent at that moment is lost;
    /// to connect anew costs little nearby.
    pub plain_idle_timeout: Duration,
    /// How many unused connections are kept for each host. 64.
    pub idle_per_host: usize,
    /// The receive buffer of a connection in the system, in bytes, where it is to be limited. 128
    /// KiB: what an upstream sends to a caller that does not read is held there. Linux keeps twice
    /// as much, its own accounts included.
    pub receive_buffer: Option<u32>,
    /// Certificate authorities to trust besides the public ones, in DER.
    pub extra_roots: Vec<Vec<u8>>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(50),
            plain_idle_timeout: Duration::from_secs(4),
            idle_per_host: 64,
            receive_buffer: Some(128 << 10),
            extra_roots: Vec::new(),
        }
    }
}
