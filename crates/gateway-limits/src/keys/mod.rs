//! Who calls: clients, the keys that name them, and attempts without one.

mod client;
mod failures;
mod grant;
mod virtual_keys;

pub use self::{
    client::{Access, Client},
    failures::FailedAttempts,
    grant::KeyGrant,
    virtual_keys::VirtualKeys,
};
