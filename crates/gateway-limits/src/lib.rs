//! Limits between an identified caller and a model: rate limits, budgets, concurrency, admission
//! control, and the usage ledger.
//!
//! Limits that are not configured cost nothing: no state is read or held.

mod account;
mod account_key;
mod accounts;
mod admission;
mod body_permit;
mod budget_alerts;
mod budget_movement;
mod budget_period;
mod budget_refusal;
mod budget_reset;
mod budget_shortage;
mod calendar;
mod charges;
mod client_prefix;
mod keys;
mod limit_name;
mod limit_refusal;
mod limiter;
mod memory_pressure;
mod policy;
mod preview;
mod rate_limit_status;
mod request_log;
mod reservation;
mod token_estimate;
mod usage;

pub use self::{
    accounts::LimitAccounts,
    admission::{Admission, AdmissionPermit, AdmissionSettings, Priority, RETRY_AFTER},
    body_permit::BodyPermit,
    budget_alerts::{AlertReceiver, BudgetAlert, BudgetAlerts},
    budget_period::BudgetPeriod,
    budget_refusal::UnpricedPolicy,
    budget_reset::BudgetName,
    calendar::DAY,
    client_prefix::client_prefix,
    keys::{Access, Client, FailedAttempts, KeyGrant, VirtualKeys},
    limiter::{Limiter, LimiterSettings, QuotaDemand},
    memory_pressure::{MemoryPressure, PressureLevel},
    policy::LimitPolicy,
    preview::{LimitPreview, LimitScope, LimitStatus},
    rate_limit_status::{GrantedQuota, LimitError, RateLimitLevel, RateLimitStatus},
    request_log::RequestRecorder,
    reservation::QuotaReservation,
    token_estimate::TokenEstimate,
    usage::{
        LedgerSharing, PANICKED_OUTCOME, RequestLabels, RequestResult, UsageRecord, UsageRecorder,
    },
};

use gateway_core::{ModelCard, Price, PriceHistory};
use gateway_tasks::unix_time;
use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

/// The limits of the gateway and their resources. The default limits nothing.
#[derive(Default)]
pub struct Limits {
    /// Rate limits, concurrency limits and budgets of clients.
    pub limiter: Limiter,
    /// Admission control of the process.
    pub admission: Admission,
    /// The recorder of usage records.
    pub usage: UsageRecorder,
    /// The output tokens that a request without a maximum is expected to owe at most.
    pub assumed_output: u64,
    /// The recorder of the log of requests; absent if the log is off.
    pub request_log: Option<RequestRecorder>,
    /// Keys that are given out while the gateway runs.
    pub virtual_keys: VirtualKeys,
    /// Attempts without a key that counts.
    pub failed_attempts: Arc<FailedAttempts>,
    /// Local providers, whose models are free unless the catalogue has a price.
    pub free: HashSet<Arc<str>>,
    /// The prices assumed for models without any; empty if none are.
    pub assumed_prices: PriceHistory,
    /// The accounts of clients and tenants, if any are kept.
    pub accounts: Option<LimitAccounts>,
}

impl Limits {
    /// Returns the price of the model of `card` at `provider` that is in force now, if it is known, or
    /// else the one that the operator assumes.
    pub fn price<'a>(&'a self, provider: &str, card: Option<&'a ModelCard>) -> Option<&'a Price> {
        let known = card.and_then(|card| card.prices.current(unix_time));
        let free = || self.free.contains(provider).then(Price::free);
        let assumed = || self.assumed_prices.current(unix_time);
        known.or_else(free).or_else(assumed)
    }

    /// Flushes pending usage records, within a short deadline.
    pub async fn close(&self) {
        self.limiter.close().await;
        // What the store does not take by then is lost.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.usage.flush()).await;
        if let Some(log) = &self.request_log {
            log.flush().await;
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
