//! Settings of the stores.

use crate::limits::StoreLimits;
use secrecy::SecretString;
use std::{path::PathBuf, time::Duration};

/// The backend and its size limits.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Backend of all stores.
    pub backend: StoreBackend,
    /// Size limits of all stores.
    pub limits: StoreLimits,
}

/// The backend of the stores.
#[derive(Clone, Debug)]
pub enum StoreBackend {
    /// In this process. Gone when it is.
    Memory,
    /// In a file, which belongs to this process alone.
    Embedded(EmbeddedSettings),
    /// In Redis, which several gateways can share.
    Redis(RedisSettings),
    /// In Postgres, which several gateways can share. Limits and the response cache are in Redis, if
    /// there is one beside it.
    Postgres(PostgresSettings, Option<RedisSettings>),
}

/// The settings of the embedded file store.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The file. Created if absent, and so is the directory it is in.
    pub path: PathBuf,
    /// Durability of acknowledged writes.
    pub durability: Durability,
    /// Maximum bytes of the file's page cache.
    pub cache_bytes: usize,
}

/// The moment a write is acknowledged.
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

/// The connection settings of Redis.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://user:password@host:port/db`; `redis-cluster://host:port?node=host:port`;
    /// `redis-sentinel://host:port?sentinelServiceName=name&node=host:port`, where the hosts are
    /// those of sentinels; or the same with `rediss`, if the feature `tls` is on.
    pub url: SecretString,
    /// Prefix of every key.
    pub prefix: String,
    /// Timeout of a command.
    pub timeout: Duration,
    /// Certificates, as PEM, of who may vouch for a server that speaks TLS; if absent, who vouches
    /// for servers of the web.
    pub ca: Option<PathBuf>,
}

/// The connection settings of Postgres.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database?sslmode=require`. A server that offers TLS is
    /// spoken to with TLS, and its certificate verified, unless `sslmode` is `disable`.
    pub url: SecretString,
    /// Schema of all tables; gateways with the same schema share their state.
    pub schema: String,
    /// Timeout of a statement, and of a connection attempt.
    pub timeout: Duration,
    /// Maximum number of connections.
    pub connections: usize,
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

impl PostgresSettings {
    /// The Postgres at `url`.
    pub fn new(url: impl Into<SecretString>) -> Self {
        let timeout = Duration::from_secs(2);
        let schema = "llm_gateway".to_owned();
        Self { url: url.into(), schema, timeout, connections: 10, ca: None }
    }
}

impl RedisSettings {
    /// The Redis at `url`.
    pub fn new(url: impl Into<SecretString>) -> Self {
        let timeout = Duration::from_millis(250);
        Self { url: url.into(), prefix: "gw:".to_owned(), timeout, ca: None }
    }
}
