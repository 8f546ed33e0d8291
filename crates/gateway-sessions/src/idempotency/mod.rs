//! Requests that carry a name are done once, however often they are sent.

mod attempt;
mod failure_tracking;
mod service;

pub use self::{
    attempt::{AttemptStart, IdempotentAttempt},
    failure_tracking::{IdempotencyToken, track_failures},
    service::Idempotency,
};
