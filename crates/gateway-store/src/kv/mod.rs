//! The state ports over an ordered map with transactions.
//!
//! Memory and the file differ in how they keep a map of bytes; what the map means is said here,
//! once. Operations are pure: they see a [`View`], or change a [`Draft`] that takes effect as a
//! whole or not at all.

mod client_keys;
mod engine;
mod expiry;
mod idempotency;
mod key_layout;
pub(crate) mod ledger;
mod ports;
mod quotas;
mod reasoning;
mod request_log;
mod response;
mod session;
pub(crate) mod session_change;
mod session_claim;
mod session_port;
mod sweep_task;
mod tenant_usage;
mod write_job;
mod write_txn;

pub(crate) use self::{
    engine::{Durable, KvEngine},
    key_layout::{RecordKind, object},
    ports::KvStore,
    quotas::KvQuotas,
    sweep_task::sweep_expired,
    write_job::{PendingWrite, WriteJob},
    write_txn::{ReadView, WriteSet, WriteTxn},
};

/// An entry of the map.
pub(crate) type KvPair = (Vec<u8>, Vec<u8>);
