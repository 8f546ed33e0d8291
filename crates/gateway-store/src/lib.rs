//! State backends of the LLM gateway: memory, a file, Redis, Postgres.
//!
//! [`open`] gives all state ports of one backend, which behave alike: one suite of tests runs on
//! all of them.
//!
//! ```text
//!            ports (gateway-core)
//!        /                          \
//!   kv: what a map means           redis: the same, as scripts
//!    /             \         \
//! memory        embedded:     postgres: one table; ledger, request log and limits in
//!               one file,               tables of their own
//!               one writer
//! ```
//!
//! ```
//! use gateway_core::state::{NewSession, Tenant};
//! use gateway_store::{StoreBackend, StoreSettings};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let stores = gateway_store::open(StoreSettings::new(StoreBackend::Memory)).await.unwrap();
//! let key = Tenant::new("acme").unwrap().key("a-session");
//! let new = NewSession { ttl: Duration::from_secs(60), context: Default::default() };
//! let session = stores.sessions.create(&key, &new).await.unwrap();
//! assert_eq!(session.version, 0);
//! # }
//! ```

mod breaker;
mod clock;
mod compose;
mod embedded;
mod kv;
mod limits;
mod local;
mod memory;
mod postgres;
mod record;
mod redis;
mod request_log;
mod settings;
mod stores;
#[cfg(feature = "tls")]
mod tls;
mod usage_journal;

pub use self::{
    compose::open,
    limits::{RequestLogLimits, StoreLimits, TenantLimits},
    settings::{
        Durability, EmbeddedSettings, PostgresSettings, RedisSettings, StoreBackend, StoreSettings,
    },
    stores::{DurabilityClass, HealthMonitor, StoreHealth, Stores},
    usage_journal::FileJournal,
};
