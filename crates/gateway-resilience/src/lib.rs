//! What keeps one provider's trouble from becoming everybody's.
//!
//! Each of these is a [`Provider`](gateway_core::Provider) around a provider, so that they compose
//! in any order: [`Retry`] around [`Guarded`] around [`Deadlines`] is the usual one. A [`Chain`]
//! goes around several: the credentials of a provider, or the models that answer for one name.

mod again;
pub mod breaker;
mod bulkhead;
mod cached;
mod chain;
mod deadlines;
mod ending;
mod guard;
mod guarded;
mod hedged;
mod host;
mod retry;
mod tally;
mod told;

pub use self::{
    bulkhead::Bulkhead,
    cached::Cached,
    chain::{Chain, Condition, Link, Order, Rules},
    deadlines::{Deadlines, Limits},
    ending::Ending,
    guarded::{Guarded, Guards, Observer},
    hedged::Hedged,
    host::Host,
    retry::{OnRetry, Policy, Retry},
};
