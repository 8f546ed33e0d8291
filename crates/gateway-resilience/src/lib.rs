//! What keeps one provider's trouble from becoming everybody's.
//!
//! Each of these is a [`Provider`](gateway_core::Provider) around a provider, so that they compose
//! in any order: [`Retry`] around [`Guarded`] around [`Deadlines`] is the usual one.

pub mod breaker;
mod deadlines;
mod ending;
mod guarded;
mod retry;

pub use self::{
    deadlines::{Deadlines, Limits},
    ending::Ending,
    guarded::{Guarded, Observer},
    retry::{OnRetry, Policy, Retry},
};
