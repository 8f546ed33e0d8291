//! The state ports over an ordered map with transactions.
//!
//! Memory and the file differ in how they keep a map of bytes; what the map means is said here,
//! once. Operations are pure: they see a [`View`], or change a [`Draft`] that takes effect as a
//! whole or not at all.

mod client_keys;
mod draft;
mod engine;
mod expiry;
mod idempotency;
pub(crate) mod ledger;
mod name;
mod ports;
mod quotas;
mod response;
mod session;
pub(crate) mod session_change;
mod side;

pub(crate) use self::{
    draft::{Changes, Draft, View},
    engine::{Engine, Wait},
    ports::KvStore,
    quotas::KvQuotas,
};

/// An entry of the map.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);
