//! The settings of upstream connections.

use gateway_core::MemoryBudget;
use std::{sync::Arc, time::Duration};

/// The settings of upstream connections.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The time for a connection, TLS included, and for the head of a response once it has begun.
    /// 3 seconds.
    pub connect_timeout: Duration,
    /// Idle timeout of a TLS connection, default 50 seconds: cloud load balancers close theirs
    /// after a minute.
    pub idle_timeout: Duration,
    /// Idle timeout of a connection without TLS, default 4 seconds: common servers (Node's,
    /// uvicorn, llama.cpp's) close theirs after five, and a request sent at that moment is lost;
    /// reconnecting within a network is cheap.
    pub plain_idle_timeout: Duration,
    /// Maximum number of idle connections per host, default 64.
    pub idle_per_host: usize,
    /// The receive buffer of a connection in the system, in bytes, where it is to be limited. 128
    /// KiB: what an upstream sends to a caller that does not read is held there. Linux keeps twice
    /// as much, its own accounts included.
    pub receive_buffer: Option<u32>,
    /// The memory for responses that are held whole; unlimited by default.
    pub memory: Arc<MemoryBudget>,
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
            memory: Arc::new(MemoryBudget::unlimited()),
            extra_roots: Vec::new(),
        }
    }
}
