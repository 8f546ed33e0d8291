//! The port to limits that replicas share.
//!
//! A replica takes units of a client's limits ahead of use: a *lease*. It serves requests from the
//! lease without asking, and reports what it used in the same call that renews the lease.

use super::{Key, Rate, StoreError};
use crate::NanoDollars;
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Keeps the limits of clients, of which replicas hold leases.
///
/// A limit by rate is a [debt](super::gcra::RateDebt), a concurrency limit the sum of what holders have
/// taken, a budget the sum of what was spent and of what holders have set aside.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait Quotas: Send + Sync {
    /// Applies the reports of a holder, then takes all that it needs of the limits of `key` and as
    /// much of the extra as there is room for, or nothing at all.
    ///
    /// Reports are absolute or harmless to repeat: a call whose answer was lost may be made again.
    ///
    /// # Errors
    ///
    /// If the store is unavailable: then it is not known whether anything was taken.
    async fn exchange(&self, key: &Key, request: &LeaseRequest) -> Result<LeaseReply, StoreError>;

    /// Registers `holder` as alive and returns the number of holders that are.
    ///
    /// # Errors
    ///
    /// If the store is unavailable.
    async fn replicas(&self, holder: &str) -> Result<u64, StoreError>;

    /// Sets the sum spent of the budget `name` of `key` to nothing, and returns what it was. Money
    /// that holders have set aside stays set aside, and is booked when its requests end.
    ///
    /// # Errors
    ///
    /// If the store is unavailable: then it is not known whether the sum was reset.
    async fn reset_budget(&self, key: &Key, name: &str) -> Result<NanoDollars, StoreError>;
}

/// The reports and needs of one holder, for the limits of one key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeaseRequest {
    /// The id of the replica.
    pub holder: Arc<str>,
    /// The time after which a holder that has not called again counts as dead: its slots are free,
    /// and the money it had set aside counts as spent.
    pub lease: Duration,
    /// Limits by rate: requests, tokens.
    pub rates: Vec<RateLease>,
    /// Leases of concurrency limits.
    pub slots: Vec<SlotLease>,
    /// Leases of budgets.
    pub budgets: Vec<BudgetLease>,
}

/// The report and the need of a limit by rate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RateLease {
    /// The limit: `requests`, `tokens`.
    pub name: Arc<str>,
    /// The rate and the burst.
    pub rate: Rate,
    /// The units that were used beyond those taken (positive) or are returned (negative).
    pub settle: i64,
    /// The units that are needed.
    pub need: u64,
    /// The units that are taken ahead of use, if half of what is left has room for them.
    pub extra: u64,
}

/// The report and the need of a concurrency limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotLease {
    /// The name of the limit.
    pub name: Arc<str>,
    /// The number of slots.
    pub limit: u64,
    /// The slots that the holder keeps; those it had beyond are free.
    pub held: u64,
    /// The slots that are needed besides.
    pub need: u64,
    /// The slots that are taken ahead of use, if half of what is free has room for them.
    pub extra: u64,
}

/// The report and the need of a budget.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BudgetLease {
    /// The budget: `2026-11` for that of a month.
    pub name: Arc<str>,
    /// The most that may be spent.
    pub limit: NanoDollars,
    /// The sum that the holder has spent since it started.
    pub spent: NanoDollars,
    /// The part of `spent` of which the store has acknowledged the report.
    pub acknowledged: NanoDollars,
    /// The money that the holder keeps set aside.
    pub held: NanoDollars,
    /// The money that is to be set aside besides.
    pub need: NanoDollars,
    /// The money that is set aside ahead of use, if a quarter of what is left has room for it.
    pub extra: NanoDollars,
    /// The time for which the sum is kept, at least, from the first report on.
    pub keep: Duration,
}

/// The answer to a [`LeaseRequest`], with one grant for each lease, in the order asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeaseReply {
    /// The limit that had no room for what was needed: then nothing was taken.
    pub refused: Option<Refusal>,
    /// Grants of rate limits.
    pub rates: Vec<RateGrant>,
    /// Grants of concurrency limits.
    pub slots: Vec<SlotGrant>,
    /// Grants of budgets.
    pub budgets: Vec<BudgetGrant>,
}

/// The units taken of a limit by rate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateGrant {
    /// The units granted to the holder.
    pub granted: u64,
    /// The time until all units are back.
    pub reset: Duration,
}

/// The slots granted to a holder.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SlotGrant {
    /// The slots granted to the holder.
    pub granted: u64,
    /// The slots that are free.
    pub left: u64,
}

/// The money set aside.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BudgetGrant {
    /// The money set aside.
    pub granted: NanoDollars,
    /// The money that is neither spent nor set aside.
    pub left: NanoDollars,
    /// The money spent, without what is set aside, after the report of this exchange.
    pub spent: NanoDollars,
}

/// The rest of a limit by rate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateRemaining {
    /// The units that can be taken at once.
    pub units: u64,
    /// The time until all of them are back.
    pub reset: Duration,
}

/// The limit that refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A limit by rate.
    Rate {
        /// The name of the limit.
        name: Arc<str>,
        /// The time until there is room.
        retry_after: Duration,
    },
    /// The request takes more than this limit ever has.
    TooLarge {
        /// The name of the limit.
        name: Arc<str>,
    },
    /// The concurrency limit is reached.
    Slots {
        /// The name of the limit.
        name: Arc<str>,
    },
    /// The budget is exhausted.
    Budget {
        /// The name of the budget.
        name: Arc<str>,
    },
    /// A budget of which it is not known how much is left: the store has been away for too long.
    Unknown {
        /// The name of the budget.
        name: Arc<str>,
    },
}
