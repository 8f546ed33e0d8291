//! The port to limits that all replicas share.

use super::{Key, Rate, StoreError};
use crate::NanoDollars;
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Decides whether a request is within its limits.
///
/// Rates are kept by the generic cell rate algorithm, concurrency as leases that end by themselves,
/// money as what is spent and what is reserved.
#[async_trait]
pub trait Quotas: Send + Sync {
    /// Takes all of `ask` if every limit has room for it, else nothing. What is only
    /// [looked at](QuotaAsk::look) is judged in the same way, and not taken.
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
    /// The request's id. Asking again under the same id, while it is open, takes again of the
    /// limits by rate only.
    pub request: Arc<str>,
    /// When the request's places and reservations are free again even if nobody settles it. Nothing
    /// is held for a request whose lease is zero: it need not be settled.
    pub lease: Duration,
    /// Limits by rate: requests, tokens.
    pub rates: Vec<RateAsk>,
    /// Limits on how many requests there may be at one time.
    pub places: Vec<PlaceAsk>,
    /// Limits on money.
    pub budgets: Vec<BudgetAsk>,
    /// Take nothing, only tell.
    pub look: bool,
}

/// A place among requests that run at one time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlaceAsk {
    /// Which limit.
    pub name: Arc<str>,
    /// How many places there are.
    pub limit: u64,
}

/// What a request takes of a limit by rate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RateAsk {
    /// Which limit: `requests`, `tokens`.
    pub name: Arc<str>,
    /// How many units there are, and how fast they grow back.
    pub rate: Rate,
    /// How many units are taken.
    pub cost: u64,
}

/// What a request takes of a budget.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BudgetAsk {
    /// Which budget: `2026-11` for that of a month.
    pub name: Arc<str>,
    /// How much there is.
    pub limit: NanoDollars,
    /// How much to set aside until the cost is known.
    pub reserve: NanoDollars,
    /// For how long what was spent is remembered, at least, from the first spending on.
    pub keep: Duration,
}

/// How a request that took quotas ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settle {
    /// The request's id.
    pub request: Arc<str>,
    /// What it cost, booked on the budgets that it took from.
    pub cost: NanoDollars,
    /// Units that it took too few (positive) or too many (negative) of limits by rate; of each, the
    /// name and the rate that were asked.
    pub corrections: Vec<(Arc<str>, Rate, i64)>,
}

/// Whether a request may go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It may.
    Granted(Left),
    /// It may not, because of this limit.
    Refused(Refusal),
}

/// What is left of each limit after a request, in the order asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Left {
    /// Of limits by rate.
    pub rates: Vec<Remaining>,
    /// Free places.
    pub places: Vec<u64>,
    /// Money that is neither spent nor reserved.
    pub budgets: Vec<NanoDollars>,
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
        name: Arc<str>,
        /// When there will be room.
        retry_after: Duration,
        /// What is left.
        remaining: Remaining,
    },
    /// The request takes more than this limit ever has.
    TooLarge {
        /// Which.
        name: Arc<str>,
    },
    /// A limit on requests at one time.
    Places {
        /// Which.
        name: Arc<str>,
    },
    /// A budget.
    Budget {
        /// Which.
        name: Arc<str>,
    },
    /// A budget of which nobody knows how much is left: the store has been away for too long.
    Unknown {
        /// Which.
        name: Arc<str>,
    },
}
