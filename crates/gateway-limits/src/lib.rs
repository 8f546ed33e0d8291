//! Who may do how much: what stands between a known caller and a model.
//!
//! Whatever is not configured costs nothing: no state is asked, nothing is held.

mod account;
mod accounts;
mod admission;
mod calendar;
mod charges;
mod client_prefix;
mod keys;
mod limiter;
mod memory_pressure;
mod policy;
mod preview;
mod rate_limit_status;
mod reservation;
mod token_estimate;
mod usage;

pub use self::{
    accounts::LimitAccounts,
    admission::{Admission, AdmissionPermit, AdmissionSettings, Priority, RETRY_AFTER},
    calendar::{DAY, now},
    client_prefix::client_prefix,
    keys::{Access, Client, FailedAttempts, KeyGrant, VirtualKeys},
    limiter::{Limiter, LimiterSettings, QuotaDemand},
    memory_pressure::{MemoryPressure, PressureLevel},
    policy::LimitPolicy,
    preview::{LimitPreview, LimitScope, LimitStatus},
    rate_limit_status::{GrantedQuota, LimitError, RateLimitLevel, RateLimitStatus},
    reservation::QuotaReservation,
    token_estimate::TokenEstimate,
    usage::{RequestLabels, RequestResult, UsageRecord, UsageRecorder},
};

use gateway_core::{ModelCard, Price};
use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

/// Limits and what belongs to them. The default limits nothing.
#[derive(Default)]
pub struct Limits {
    /// How much callers may take.
    pub limiter: Limiter,
    /// How many requests run at one time.
    pub admission: Admission,
    /// What was used.
    pub usage: UsageRecorder,
    /// Keys that are given out while the gateway runs.
    pub virtual_keys: VirtualKeys,
    /// Attempts without a key that counts.
    pub failed_attempts: Arc<FailedAttempts>,
    /// Providers whose models cost nothing unless the catalogue says otherwise: they run here.
    pub free: HashSet<Arc<str>>,
}

impl Limits {
    /// What the model of `card` costs at `provider`, if that is known.
    pub fn price(&self, provider: &str, card: Option<&ModelCard>) -> Option<Price> {
        let known = card.and_then(|card| card.price);
        known.or_else(|| self.free.contains(provider).then(Price::default))
    }

    /// Hands on what is still to be told, but not for long.
    pub async fn close(&self) {
        self.limiter.close().await;
        // What the store does not take by then is lost.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.usage.flush()).await;
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
