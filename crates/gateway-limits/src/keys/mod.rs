//! Clients, their keys, and failed attempts to authenticate.

mod client;
mod failures;
mod grant;
mod key_hash;
mod virtual_keys;

pub use self::{
    client::{Access, Client},
    failures::FailedAttempts,
    grant::KeyGrant,
    virtual_keys::VirtualKeys,
};
