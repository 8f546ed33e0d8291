//! The reservation of a request's needs against its client's limits.

mod limited_party;

pub(crate) use self::limited_party::LimitedParty;

use crate::{
    Client, GrantedQuota, LimitAccounts, LimitError, QuotaReservation, RateLimitStatus,
    TokenEstimate, UnpricedPolicy,
    account::AccountState,
    account_key,
    accounts::ReserveResult,
    budget_refusal,
    calendar::current_day,
    charges::Charges,
    limit_refusal::{budget_unknown, refusal_error},
    policy::{ClientLimits, LimitPolicy, LimitSet, RequestSize},
};
use foldhash::HashMap;
use gateway_core::{
    BilledUnits, Envelope, NanoDollars, Price, Result, ServiceTier, Target, Usage,
    state::{StoreError, Tenant},
};
use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The limits of all callers. The default limits nothing.
#[derive(Clone, Default)]
pub struct Limiter {
    pub(super) inner: Option<Arc<Inner>>,
}

/// The settings of limits beside those of each client.
#[derive(Clone, Debug)]
pub struct LimiterSettings {
    /// The limits of callers without a key, for each address.
    pub anonymous: LimitPolicy,
    /// The tokens reserved for the output of a request without `max_tokens`.
    pub assumed_output: u64,
    /// The treatment of requests for models without a price, of callers with a budget.
    pub unpriced: UnpricedPolicy,
    /// The limits of all clients of a tenant together, by the tenant's name.
    pub tenants: Vec<(String, LimitPolicy)>,
}

pub(super) struct Inner {
    pub(super) accounts: LimitAccounts,
    anonymous: Option<AnonymousLimits>,
    tenants: HashMap<Arc<str>, ClientLimits>,
    assumed_output: u64,
    unpriced: UnpricedPolicy,
    failing: AtomicBool,
}

/// The limits of callers without a key, and the account that each address begins with.
struct AnonymousLimits {
    set: LimitSet,
    template: AccountState,
}

/// The quota that a request needs, by target.
#[derive(Clone, Copy, Debug)]
pub struct QuotaDemand<'a> {
    /// The model, as the caller names it, and as its provider does.
    pub models: [&'a str; 2],
    /// The estimate of its input tokens.
    pub input: &'a TokenEstimate,
    /// Maximum number of output tokens, if the request has one.
    pub output: Option<u64>,
    /// The units that the request asks for besides tokens.
    pub units: BilledUnits,
    /// The price of a token, if known.
    pub price: Option<&'a Price>,
    /// The service tier that it asks for, if that may have a price of its own.
    pub tier: Option<ServiceTier>,
}

impl<'a> QuotaDemand<'a> {
    /// Returns the demand of the request in `envelope`, with input of size `input`, on `target`.
    pub fn of(
        envelope: &'a Envelope,
        target: &'a Target,
        input: &'a TokenEstimate,
        price: Option<&'a Price>,
    ) -> Self {
        let models = [&*envelope.model, &*target.model];
        let (output, tier) = (envelope.max_output, envelope.tier);
        Self { models, input, output, units: BilledUnits::NONE, price, tier }
    }
}

impl Limiter {
    /// Creates limits whose leases are held in `accounts`.
    pub fn new(accounts: LimitAccounts, settings: &LimiterSettings) -> Self {
        let anonymous = &settings.anonymous;
        let anonymous = anonymous.is_limited().then(|| {
            let mut template = AccountState::default();
            let set = LimitSet::new(anonymous, None, &mut template);
            AnonymousLimits { set, template }
        });
        let tenants = settings.tenants.iter().filter_map(|(name, policy)| {
            let tenant = Tenant::new(name.as_str())?;
            let account = accounts.client(account_key::of_tenant(&tenant));
            Some((name.as_str().into(), ClientLimits::new(account, policy)?))
        });
        let inner = Inner {
            tenants: tenants.collect(),
            accounts,
            anonymous,
            assumed_output: settings.assumed_output,
            unpriced: settings.unpriced,
            failing: AtomicBool::new(false),
        };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Reports usage and returns all leases, within a short deadline.
    pub async fn close(&self) {
        if let Some(inner) = &self.inner {
            inner.accounts.close().await;
        }
    }

    /// Charges a request that calls no model against the rate limits for requests.
    ///
    /// # Errors
    ///
    /// If a limit is reached.
    pub async fn check_request_rate(
        &self,
        client: &Client,
        peer: IpAddr,
    ) -> std::result::Result<RateLimitStatus, LimitError> {
        let Some(inner) = &self.inner else { return Ok(RateLimitStatus::default()) };
        let charge = |party: &LimitedParty<'_>| {
            let mut charges = Charges::default();
            party.own.charge_rates(None, &mut charges);
            Ok(charges)
        };
        inner.take_all(client, peer, charge).await.map(|granted| granted.status)
    }

    /// Takes one of the client's slots for work that calls no model. The slot is released when the
    /// result is dropped.
    ///
    /// # Errors
    ///
    /// If the client has no free slot.
    pub async fn acquire_slot(
        &self,
        client: &Client,
        peer: IpAddr,
    ) -> Result<Option<QuotaReservation>> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let charge = |party: &LimitedParty<'_>| {
            let mut charges = Charges::default();
            party.own.charge_slot(&mut charges);
            Ok(charges)
        };
        let granted = inner.take_all(client, peer, charge).await;
        granted.map(|granted| granted.reservation).map_err(|refused| refused.error)
    }

    /// Reserves the needs of a request to a model against its caller's limits. The reservation must
    /// be settled.
    ///
    /// # Errors
    ///
    /// If a limit is reached, or the rest of a budget is unknown.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is charged.
    pub async fn reserve(
        &self,
        client: &Client,
        peer: IpAddr,
        demand: &QuotaDemand<'_>,
    ) -> std::result::Result<GrantedQuota, LimitError> {
        let Some(inner) = &self.inner else { return Ok(GrantedQuota::default()) };
        let charge = |party: &LimitedParty<'_>| {
            let charges = inner.charges(party, demand);
            inner.check_price(&charges, demand)?;
            Ok(charges)
        };
        inner.take_all(client, peer, charge).await
    }
}

impl Inner {
    /// Takes what `charge` says of every party's limits, or nothing of any.
    async fn take_all(
        &self,
        client: &Client,
        peer: IpAddr,
        charge: impl Fn(&LimitedParty<'_>) -> Result<Charges>,
    ) -> std::result::Result<GrantedQuota, LimitError> {
        let mut granted = GrantedQuota::default();
        for party in self.parties(client, peer) {
            let charges = Box::new(charge(&party)?);
            match self.take(&party, charges).await {
                Ok(more) => granted.add(more),
                Err(LimitError { error, status }) => {
                    // What was reserved before is returned when it is dropped.
                    let status = granted.status.merged(&status);
                    return Err(LimitError { error, status });
                }
            }
        }
        Ok(granted)
    }

    /// Refuses a request whose cost is unknown, if a budget has to cover it.
    pub(super) fn check_price(&self, charges: &Charges, demand: &QuotaDemand<'_>) -> Result<()> {
        let has_budget = !charges.budgets.is_empty();
        match self.unpriced {
            UnpricedPolicy::Refuse if has_budget && demand.price.is_none() => {
                let [model, _] = demand.models;
                Err(budget_refusal::unpriced(model))
            }
            UnpricedPolicy::Refuse | UnpricedPolicy::Allow => Ok(()),
        }
    }

    /// Returns the charges of a request against a party's limits.
    pub(super) fn charges(&self, party: &LimitedParty<'_>, demand: &QuotaDemand<'_>) -> Charges {
        let mut charges = Charges::default();
        match party.client {
            Some(limits) => {
                let mut sets = [None; 2];
                for (place, set) in sets.iter_mut().zip(limits.sets(demand.models)) {
                    *place = Some(set);
                }
                self.charge(&sets, demand, &mut charges);
            }
            None => self.charge(&[Some(party.own), None], demand, &mut charges),
        }
        charges
    }

    fn charge(
        &self,
        sets: &[Option<&LimitSet>; 2],
        demand: &QuotaDemand<'_>,
        charges: &mut Charges,
    ) {
        let sets = || sets.iter().flatten();
        let is_sized = sets().any(|set| set.is_by_size());
        let input = if is_sized { demand.input.tokens() } else { 0 };
        let output = demand.output.unwrap_or(self.assumed_output);
        let size = RequestSize { input, output };
        let has_budgets = sets().any(|set| set.has_budgets());
        let (mut day, mut cost) = (0, NanoDollars(0));
        if has_budgets {
            day = current_day();
            let (tier, units) = (demand.tier, demand.units);
            let usage = Usage { input, output, tier, units, ..Usage::default() };
            cost = demand.price.map_or(cost, |price| price.cost(&usage));
        }
        for set in sets() {
            set.charge_rates(Some(&size), charges);
            set.charge_held(day, cost, charges);
        }
    }

    async fn take(
        &self,
        party: &LimitedParty<'_>,
        charges: Box<Charges>,
    ) -> std::result::Result<GrantedQuota, LimitError> {
        if charges.is_empty() {
            return Ok(GrantedQuota::default());
        }
        let account = &party.account;
        match self.accounts.take(account, &charges).await {
            ReserveResult::Taken { status, in_outage } => {
                if !in_outage && self.failing.load(Ordering::Relaxed) {
                    self.failing.store(false, Ordering::Relaxed);
                }
                let reservation = charges.is_held().then(|| {
                    let (accounts, account) = (self.accounts.clone(), Arc::clone(account));
                    QuotaReservation::new(accounts, account, charges, in_outage)
                });
                Ok(GrantedQuota { reservation, status })
            }
            ReserveResult::Refused(refusal, status) => {
                let state = account.state();
                let error = refusal_error(&refusal, &charges, &state, party.is_tenant);
                drop(state);
                Err(LimitError { error, status })
            }
            ReserveResult::Failed(error) => {
                self.failed(&charges, error)?;
                Ok(GrantedQuota::default())
            }
        }
    }

    /// Decides on a failed store: rate limits fail open, budgets fail closed.
    fn failed(&self, charges: &Charges, error: StoreError) -> Result<()> {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(
                %error,
                "quota store unavailable; rate limits are not enforced (failing open)"
            );
        }
        if charges.budgets.is_empty() {
            return Ok(());
        }
        Err(budget_unknown().with_source(error))
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("on", &self.inner.is_some()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
