//! Who may do how much: what stands between a known caller and a model.
//!
//! Whatever is not configured costs nothing: no state is asked, nothing is held.

mod admission;
mod allowance;
mod books;
mod calendar;
pub(crate) mod cost;
mod failures;
mod grant;
mod issued;
mod ledger_page;
mod limiter;
mod outlook;
mod peer;
mod pressure;
mod size;
mod standing;
mod taken;

pub(crate) use self::{
    admission::Permit,
    allowance::Quota,
    books::{Ended, Row, Who},
    calendar::{DAY, now},
    grant::Grant,
    outlook::{Met, Of, Outlook},
    standing::Standing,
    taken::Taken,
};
pub use self::{
    admission::{Admission, AdmissionSettings, Priority},
    allowance::Allowance,
    books::Books,
    failures::Failures,
    issued::Issued,
    limiter::{Limiter, LimiterSettings, Want},
    peer::{Network, Peers},
    pressure::{Level, Pressure},
    size::Size,
};

use gateway_core::{ModelCard, Price};
use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

/// Limits and what belongs to them. The default limits nothing.
#[derive(Default)]
pub struct Control {
    /// Whose word counts about where a caller is.
    pub peers: Peers,
    /// How much callers may take.
    pub limiter: Limiter,
    /// How many requests run at one time.
    pub admission: Admission,
    /// What was used.
    pub books: Books,
    /// Keys that are given out while the gateway runs.
    pub issued: Issued,
    /// Attempts without a key that counts.
    pub failures: Arc<Failures>,
    /// Providers whose models cost nothing unless the catalogue says otherwise: they run here.
    pub free: HashSet<Arc<str>>,
}

impl Control {
    /// What the model of `card` costs at `provider`, if that is known.
    pub(crate) fn price(&self, provider: &str, card: Option<&ModelCard>) -> Option<Price> {
        let known = card.and_then(|card| card.price);
        known.or_else(|| self.free.contains(provider).then(Price::default))
    }

    /// Hands on what is still to be told, but not for long.
    pub async fn close(&self) {
        self.limiter.close().await;
        // What the store does not take by then is lost.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.books.flush()).await;
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
