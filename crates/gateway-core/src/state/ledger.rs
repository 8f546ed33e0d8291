//! The port to what was used and what it cost.

use super::{StoreError, Tenant};
use crate::{NanoDollars, Usage};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, time::Duration};

/// Records what requests used: a row when one is let in, and its sum when it ends.
///
/// A row counts once, however often it is said. Days are counted from 1970-01-01, UTC, and a row
/// counts for the day on which it was admitted.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Writes all of `batch`, and returns once it is as safe as the store makes anything.
    ///
    /// The batches of a run are recorded in order: one whose number is not above that of the last
    /// one changes nothing, so that a batch may be repeated.
    async fn record(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Renews the lease of `run`, and returns the other runs that have opened rows and whose lease
    /// has ended: their processes have crashed, or were out of reach for that long.
    async fn renew_run(&self, run: &str, lease: Duration) -> Result<Vec<String>, StoreError>;

    /// Closes the open rows of `run` at their reservations, with the given outcome; returns their
    /// number.
    async fn close_run(&self, run: &str, outcome: &str) -> Result<u64, StoreError>;

    /// Sums over closed rows, by day, client, model, provider and outcome. `None` is every client.
    async fn totals(
        &self,
        days: RangeInclusive<u64>,
        client: Option<Tenant>,
    ) -> Result<Vec<Totals>, StoreError>;

    /// Closes rows admitted before `before` (milliseconds since 1970) that were never closed at
    /// their reservations, with the given outcome; returns their number.
    async fn close_orphans(&self, before: u64, outcome: &str) -> Result<u64, StoreError>;
}

/// Usage records that are written together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The name of the process run that the batch is of; the ids of its rows begin with it.
    pub run: String,
    /// The number of the batch in its run, from 1.
    pub number: u64,
    /// Requests that were let in and have not ended.
    pub opened: Vec<AdmittedRequest>,
    /// Requests that were opened in an earlier batch and have reserved more since.
    pub revised: Vec<AdmittedRequest>,
    /// Requests that were opened in an earlier batch, with their results. One that was closed
    /// elsewhere in the meantime is not counted again.
    pub closed: Vec<(AdmittedRequest, RequestOutcome)>,
    /// Sums over requests that were never opened here: they began and ended since the last batch.
    pub sums: Vec<Totals>,
}

/// A request that was let in.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AdmittedRequest {
    /// The gateway's own name for it.
    pub id: String,
    /// The admission time, in milliseconds since 1970.
    pub at: u64,
    /// The client's name.
    pub client: String,
    /// The model it asked for.
    pub model: String,
    /// The provider it was sent to.
    pub provider: String,
    /// The tags, sorted and separated by commas; a column of the sums.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// The end user, empty if none is known; a column of the sums.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The usage for which the request is closed if its gateway crashes.
    #[serde(default)]
    pub reserved: ReservedUsage,
}

/// The usage that a request is expected to owe at most.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReservedUsage {
    /// Tokens of what was written to upstreams, and of the response that is expected.
    pub usage: Usage,
    /// The cost of the usage; `None` if no price is known.
    pub cost: Option<NanoDollars>,
}

/// The result of a request.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RequestOutcome {
    /// The outcome, a value of a closed set: `ok`, `client_cancelled` ...
    pub outcome: String,
    /// The tokens used.
    pub usage: Usage,
    /// The cost of the usage; `None` if no price is known.
    pub cost: Option<NanoDollars>,
    /// The usage is our estimate, not the provider's word.
    pub estimated: bool,
}

/// A sum over rows that share all of the names.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// The day, counted from 1970-01-01, UTC.
    pub day: u64,
    /// The client's name.
    pub client: String,
    /// The model's name.
    pub model: String,
    /// The provider's name.
    pub provider: String,
    /// The common outcome of the requests.
    pub outcome: String,
    /// The tags, sorted and separated by commas; a column of the sums.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// The end user, empty if none is known; a column of the sums.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The number of requests.
    pub requests: u64,
    /// The tokens used, summed.
    pub usage: Usage,
    /// The cost, summed over the requests with a known price.
    pub cost: NanoDollars,
    /// Of how many it is not known, although they used something.
    #[serde(default)]
    pub unpriced: u64,
    /// Of how many the usage is estimated.
    #[serde(default)]
    pub estimated: u64,
}

impl AdmittedRequest {
    /// The day for which this row counts.
    pub const fn day(&self) -> u64 {
        self.at / 86_400_000
    }

    /// The run whose process admitted the request.
    pub fn run(&self) -> &str {
        self.id.rsplit_once('-').map_or(&*self.id, |(run, _)| run)
    }

    /// The outcome of a request whose process has crashed: it owes its reservation.
    pub fn lost(&self, outcome: &str) -> RequestOutcome {
        let ReservedUsage { usage, cost } = self.reserved;
        RequestOutcome { outcome: outcome.to_owned(), usage, cost, estimated: true }
    }
}

impl Totals {
    /// The sum over one row.
    pub fn of(row: &AdmittedRequest, closed: &RequestOutcome) -> Self {
        Self {
            day: row.day(),
            client: row.client.clone(),
            model: row.model.clone(),
            provider: row.provider.clone(),
            outcome: closed.outcome.clone(),
            tags: row.tags.clone(),
            user: row.user.clone(),
            requests: 1,
            usage: closed.usage,
            cost: closed.cost.unwrap_or_default(),
            unpriced: u64::from(closed.is_unpriced()),
            estimated: u64::from(closed.estimated),
        }
    }

    /// Adds what others used, whatever their names.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.usage += other.usage;
        self.cost += other.cost;
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.estimated = self.estimated.saturating_add(other.estimated);
    }
}

impl RequestOutcome {
    /// Whether it used something whose price is not known.
    pub fn is_unpriced(&self) -> bool {
        self.cost.is_none() && self.usage.total() > 0
    }
}
