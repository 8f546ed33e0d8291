//! Where to keep state, and how safely.

use crate::limits::StoreLimits;
use secrecy::SecretString;
use std::{path::PathBuf, time::Duration};

/// Where to keep state, and how much of it.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where.
    pub backend: StoreBackend,
    /// How much.
    pub limits: StoreLimits,
}

/// Where state is kept.
#[derive(Clone, Debug)]
pub enum StoreBackend {
    /// In this process. Gone when it is.
    Memory,
    /// In a file, which belongs to this process alone.
    Embedded(EmbeddedSettings),
    /// In Redis, which several gateways can share.
    Redis(RedisSettings),
}

/// How state is kept in a file.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The file. Created if absent, and so is the directory it is in.
    pub path: PathBuf,
    /// When a write is acknowledged.
    pub durability: Durability,
    /// How much of the file may be held in memory, in bytes.
    pub cache_bytes: usize,
}

/// When a write to the file is acknowledged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// After the file is synchronised: nothing acknowledged is lost, even if the power goes.
    #[default]
    Fsync,
    /// At once; the file is synchronised each second. A crash loses up to that second.
    EverySecond,
    /// At once; the file is synchronised each minute, and on a clean stop.
    Off,
}

/// How to reach Redis.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://user:password@host:port/db`; `redis-cluster://host:port?node=host:port`;
    /// `redis-sentinel://host:port?sentinelServiceName=name&node=host:port`, where the hosts are
    /// those of sentinels; or the same with `rediss`, if the feature `tls` is on.
    pub url: SecretString,
    /// What every key begins with.
    pub prefix: String,
    /// How long a call may take.
    pub timeout: Duration,
    /// Certificates, as PEM, of who may vouch for a server that speaks TLS; if absent, who vouches
    /// for servers of the web.
    pub ca: Option<PathBuf>,
}

impl StoreSettings {
    /// `backend`, with the default limits.
    pub fn new(backend: StoreBackend) -> Self {
        Self { backend, limits: StoreLimits::default() }
    }
}

impl EmbeddedSettings {
    /// The file at `path`, synchronised before each acknowledgement.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), durability: Durability::Fsync, cache_bytes: 64 << 20 }
    }
}

impl RedisSettings {
    /// The Redis at `url`.
    pub fn new(url: impl Into<SecretString>) -> Self {
        let timeout = Duration::from_millis(250);
        Self { url: url.into(), prefix: "gw:".to_owned(), timeout, ca: None }
    }
}
