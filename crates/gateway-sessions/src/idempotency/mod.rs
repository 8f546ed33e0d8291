//! Requests that carry a name are done once, however often they are sent.

mod attempt;
mod service;
mod witness;

pub use self::{
    attempt::{Attempt, AttemptStart},
    service::Idempotency,
    witness::{IdempotencyToken, witnessed},
};
