//! The port to what was used and what it cost.

use super::{StoreError, Tenant};
use crate::{NanoDollars, Usage};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Records what requests used: a row when one is let in, and the same row closed when it ends.
///
/// A row is closed once, however often it is said. Days are counted from 1970-01-01, UTC, and a row
/// counts for the day on which it was admitted.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Opens a row. May return before the row is safe from a power cut.
    async fn admit(&self, row: &Admitted) -> Result<(), StoreError>;

    /// Closes the row of `admitted`, opening it first if need be; says whether it was open.
    async fn close(&self, admitted: &Admitted, closed: &Closed) -> Result<bool, StoreError>;

    /// Sums over closed rows, by day, client, model, provider and outcome. `None` is every client.
    async fn totals(
        &self,
        days: RangeInclusive<u64>,
        client: Option<&Tenant>,
    ) -> Result<Vec<Totals>, StoreError>;

    /// Closes rows admitted before `before` (milliseconds since 1970) that were never closed, with
    /// the given outcome; says how many.
    async fn close_orphans(&self, before: u64, outcome: &str) -> Result<u64, StoreError>;
}

/// A request that was let in.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Admitted {
    /// The request's id.
    pub id: String,
    /// When it was let in, in milliseconds since 1970.
    pub at: u64,
    /// Whose it is.
    pub client: String,
    /// The model it asked for.
    pub model: String,
    /// The provider it was sent to.
    pub provider: String,
}

/// How a request ended.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Closed {
    /// One word of a closed set: `ok`, `client_cancelled` ...
    pub outcome: String,
    /// What it used.
    pub usage: Usage,
    /// What that cost.
    pub cost: NanoDollars,
    /// The usage is our estimate, not the provider's word.
    pub estimated: bool,
}

/// A sum over rows that share all of the names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// The day, counted from 1970-01-01, UTC.
    pub day: u64,
    /// Whose.
    pub client: String,
    /// The model.
    pub model: String,
    /// The provider.
    pub provider: String,
    /// How they ended.
    pub outcome: String,
    /// How many.
    pub requests: u64,
    /// What they used.
    pub usage: Usage,
    /// What that cost.
    pub cost: NanoDollars,
}

impl Admitted {
    /// The day for which this row counts.
    pub const fn day(&self) -> u64 {
        self.at / 86_400_000
    }
}
