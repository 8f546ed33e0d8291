//! The port to limits that all replicas share.

use super::{Key, StoreError};
use crate::NanoDollars;
use async_trait::async_trait;
use std::time::Duration;

/// Decides whether a request is within its limits.
///
/// Rates are kept by the generic cell rate algorithm, concurrency as leases that end by themselves,
/// money as what is spent and what is reserved.
#[async_trait]
pub trait Quotas: Send + Sync {
    /// Takes all of `ask` if every limit has room for it, else nothing.
    ///
    /// `key` names the client; limits of one key are kept together.
    async fn take(&self, key: &Key, ask: &QuotaAsk) -> Result<Decision, StoreError>;

    /// Ends what was taken: frees the lease, books the real cost in place of the reservation and
    /// the real tokens in place of the estimate. Saying it again changes nothing.
    async fn settle(&self, key: &Key, settle: &Settle) -> Result<(), StoreError>;
}

/// All that one request needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QuotaAsk {
    /// The request's id: names the lease and the reservation.
    pub request: String,
    /// Limits by rate: requests, tokens.
    pub rates: Vec<RateAsk>,
    /// The limit on requests at one time.
    pub concurrency: Option<ConcurrencyAsk>,
    /// The limit on money.
    pub budget: Option<BudgetAsk>,
}

/// What a request takes of a limit by rate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RateAsk {
    /// Which limit: `requests`, `tokens`.
    pub name: String,
    /// How long one unit takes to grow back.
    pub interval: Duration,
    /// How many units there are at most.
    pub burst: u64,
    /// How many units are taken.
    pub cost: u64,
}

/// What a request takes of the limit on requests at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConcurrencyAsk {
    /// How many there may be.
    pub limit: u64,
    /// When the place is free again even if nobody says so.
    pub lease: Duration,
}

/// What a request takes of a budget.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BudgetAsk {
    /// Which budget: `2026-11` for that of a month.
    pub period: String,
    /// How much there is.
    pub limit: NanoDollars,
    /// How much to set aside until the cost is known.
    pub reserve: NanoDollars,
    /// How long the reservation holds if nobody settles it.
    pub lease: Duration,
    /// How long the period is remembered.
    pub keep: Duration,
}

/// How a request that took quotas ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settle {
    /// The request's id.
    pub request: String,
    /// The budget it took from, and what it cost.
    pub budget: Option<(String, NanoDollars)>,
    /// Units taken too few (positive) or too many (negative) of limits by rate.
    pub rates: Vec<(RateAsk, i64)>,
}

/// Whether a request may go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It may; this is left of each limit by rate, in the order asked.
    Granted(Vec<Remaining>),
    /// It may not, because of this limit.
    Refused(Refusal),
}

/// What is left of a limit by rate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Remaining {
    /// Units that can be taken at once.
    pub units: u64,
    /// When all of them will be back.
    pub reset: Duration,
}

/// Which limit refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A limit by rate.
    Rate {
        /// Which.
        name: String,
        /// When there will be room.
        retry_after: Duration,
        /// What is left.
        remaining: Remaining,
    },
    /// The limit on requests at one time.
    Concurrency,
    /// The budget.
    Budget,
}
