//! The account of one client: the leases that this replica holds of its limits.
//!
//! ```text
//! request --- try_take --> lease of this replica        no lookup, no allocation, no waiting
//!         \-------> the store, one call a key     when the lease does not suffice
//! ticker ----------------> report, return, renew         20 times a second while in use
//! ```

mod budget;
mod rate;
mod renewal;
mod slot;

use self::{
    budget::{BudgetState, BudgetTerm},
    rate::RateState,
    slot::SlotState,
};
use crate::{
    BudgetPeriod, RateLimitStatus, budget_shortage::BudgetShortage, charges::Charges,
    policy::LimitKind,
};
use gateway_core::{
    NanoDollars,
    state::{Key, Refusal},
    sync,
};
use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::time::Instant;

pub(crate) use self::renewal::{LeftOfCharge, RenewalReason};

/// The limits of one client, as far as this replica holds them.
#[derive(Debug)]
pub(crate) struct LimitAccount {
    pub(crate) key: Key,
    /// The name under which the store knows this account: never used again.
    pub(crate) holder: Arc<str>,
    state: Mutex<AccountState>,
    /// Held during a call to the store: one call per key at a time.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    is_listed: AtomicBool,
    /// The number of requests whose body is being read.
    bodies: AtomicU64,
}

/// The leases of an account. Places are handed out once and stay.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountState {
    rates: Vec<RateState>,
    slots: Vec<SlotState>,
    budgets: Vec<BudgetState>,
    reported: Option<Instant>,
}

/// The result of an attempt to serve a request from leases alone.
#[derive(Debug)]
pub(crate) enum LeaseAttempt {
    /// Every limit was charged.
    Taken(RateLimitStatus),
    /// A limit has no room.
    Refused(Refusal, RateLimitStatus),
    /// The lease does not suffice: the store must be called.
    Short,
}

/// The share of limits that a replica may give out without the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutageShare {
    pub(crate) replicas: u64,
    /// Whether money may still be lent.
    pub(crate) lends: bool,
    pub(crate) now_us: u64,
}

impl LimitAccount {
    pub(crate) fn new(key: Key, holder: Arc<str>, state: AccountState) -> Self {
        let (turn, is_listed) = (Arc::default(), AtomicBool::new(false));
        Self { key, holder, state: Mutex::new(state), turn, is_listed, bodies: AtomicU64::new(0) }
    }

    /// Counts a request whose body is being read; returns the number of them.
    pub(crate) fn begin_body(&self) -> u64 {
        self.bodies.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The body of a request was read, or given up.
    pub(crate) fn end_body(&self) {
        self.bodies.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, AccountState> {
        sync::lock(&self.state)
    }

    /// Marks the account as listed for renewal; false if it was.
    pub(crate) fn list(&self) -> bool {
        !self.is_listed.load(Ordering::Acquire) && !self.is_listed.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn unlist(&self) {
        self.is_listed.store(false, Ordering::Release);
    }

    /// Settles a request that took `charges`: returns its slots, books `cost` instead of the
    /// reservation and `tokens` instead of the estimate.
    pub(crate) fn settle(
        &self,
        charges: &Charges,
        in_outage: bool,
        tokens: u64,
        cost: NanoDollars,
    ) {
        let mut state = self.state();
        for charge in charges.rates.iter() {
            if let Some(rate) = state.rates.get_mut(charge.at) {
                rate.settle(charge, in_outage, tokens);
            }
        }
        for charge in charges.slots.iter() {
            if let Some(slot) = state.slots.get_mut(charge.at) {
                slot.release();
            }
        }
        for charge in charges.budgets.iter() {
            if let Some(budget) = state.budgets.get_mut(charge.at) {
                budget.settle(charge, cost);
            }
        }
    }
}

impl AccountState {
    /// The place of the rate limit of `kind`, for all models or for some.
    pub(crate) fn rate(&mut self, kind: LimitKind, models: Option<&str>) -> usize {
        let name = store_name(kind.as_str(), models);
        let known = self.rates.iter().position(|it| it.name == name);
        known.unwrap_or_else(|| {
            self.rates.push(RateState::new(name, models));
            self.rates.len() - 1
        })
    }

    /// The place of the concurrency limit, for all models or for some.
    pub(crate) fn slot(&mut self, models: Option<&str>) -> usize {
        let name = store_name("all", models);
        let known = self.slots.iter().position(|it| it.name == name);
        known.unwrap_or_else(|| {
            self.slots.push(SlotState::new(name, models));
            self.slots.len() - 1
        })
    }

    /// The place of the budget of each `period`, for all models or for some.
    pub(crate) fn budget(&mut self, period: BudgetPeriod, models: Option<&str>) -> usize {
        let known = self.budgets.iter().position(|it| it.is(period, models));
        known.unwrap_or_else(|| {
            self.budgets.push(BudgetState::new(period, models));
            self.budgets.len() - 1
        })
    }

    /// Returns what the rate limit called `name` counts, which is one of those of `charges`, and
    /// the models that it is for.
    pub(crate) fn rate_limit(
        &self,
        charges: &Charges,
        name: &str,
    ) -> (LimitKind, Option<Arc<str>>) {
        let mut rates = charges.rates.iter().filter_map(|it| Some((it, self.rates.get(it.at)?)));
        let found = rates.find(|(_, rate)| *rate.name == *name);
        found.map_or((LimitKind::Requests, None), |(it, rate)| (it.kind, rate.models.clone()))
    }

    /// Returns the models that the concurrency limit called `name` is for; `None` if it is for all.
    pub(crate) fn slot_models(&self, name: &str) -> Option<Arc<str>> {
        self.slots.iter().find(|slot| *slot.name == *name)?.models.clone()
    }

    /// Lets the store decide about the next request, whatever it refused before.
    pub(crate) fn forget_refusals(&mut self) {
        for term in self.budgets.iter_mut().flat_map(|budget| &mut budget.terms) {
            term.forget_refusal();
        }
    }

    /// Takes all of `charges` from the leases, or nothing.
    pub(crate) fn try_take(&mut self, charges: &Charges, now: Instant) -> LeaseAttempt {
        let mut is_short = false;
        let mut refused = None;
        for charge in charges.slots.iter() {
            let Some(slot) = self.slots.get_mut(charge.at) else { continue };
            note(slot.check(charge, now), &mut is_short, &mut refused);
        }
        for charge in charges.budgets.iter() {
            let Some(budget) = self.budgets.get_mut(charge.at) else { continue };
            note(budget.check(charge, now), &mut is_short, &mut refused);
        }
        for charge in charges.rates.iter() {
            let Some(rate) = self.rates.get_mut(charge.at) else { continue };
            note(rate.check(charge, now), &mut is_short, &mut refused);
        }
        if let Some(refusal) = refused {
            return LeaseAttempt::Refused(refusal, self.status(charges, now));
        }
        if is_short {
            return LeaseAttempt::Short;
        }
        self.take(charges);
        LeaseAttempt::Taken(self.status(charges, now))
    }

    /// Checks whether a further request may be read while there are `bodies` being read, itself
    /// included. What the leases do not say is left to the reservation.
    pub(crate) fn check_body(
        &mut self,
        charges: &Charges,
        bodies: u64,
        now: Instant,
    ) -> Result<(), Refusal> {
        for charge in charges.slots.iter() {
            if let Some(slot) = self.slots.get(charge.at) {
                slot.check_body(charge, bodies)?;
            }
        }
        for charge in charges.rates.iter() {
            if let Some(rate) = self.rates.get_mut(charge.at) {
                rate.check(charge, now)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, charges: &Charges) {
        for charge in charges.slots.iter() {
            if let Some(slot) = self.slots.get_mut(charge.at) {
                slot.take();
            }
        }
        for charge in charges.budgets.iter() {
            if let Some(budget) = self.budgets.get_mut(charge.at) {
                budget.take(charge);
            }
        }
        for charge in charges.rates.iter() {
            if let Some(rate) = self.rates.get_mut(charge.at) {
                rate.take(charge.cost);
            }
        }
    }

    /// Charges `charges` while the store is unavailable: from leases, and beyond them from this
    /// replica's share.
    ///
    /// # Errors
    ///
    /// The limit whose share has no room.
    pub(crate) fn take_share(
        &mut self,
        charges: &Charges,
        share: OutageShare,
    ) -> Result<(), Refusal> {
        for charge in charges.slots.iter() {
            if let Some(slot) = self.slots.get(charge.at) {
                slot.check_share(charge, share)?;
            }
        }
        for charge in charges.budgets.iter() {
            if let Some(budget) = self.budgets.get_mut(charge.at) {
                budget.check_share(charge, share)?;
            }
        }
        for charge in charges.rates.iter() {
            if let Some(rate) = self.rates.get_mut(charge.at) {
                rate.check_share(charge, share)?;
            }
        }
        for charge in charges.slots.iter() {
            if let Some(slot) = self.slots.get_mut(charge.at) {
                slot.take();
            }
        }
        for charge in charges.budgets.iter() {
            if let Some(budget) = self.budgets.get_mut(charge.at) {
                budget.borrow(charge);
            }
        }
        for charge in charges.rates.iter() {
            if let Some(rate) = self.rates.get_mut(charge.at) {
                rate.take_share(charge, share);
            }
        }
        Ok(())
    }

    /// The budget called `name` among those of `charges`, and what a request would take of it.
    pub(crate) fn shortage(&self, charges: &Charges, name: &str) -> Option<BudgetShortage> {
        let mut charges = charges.budgets.iter();
        charges.find_map(|charge| self.budgets.get(charge.at)?.shortage(charge, name))
    }

    /// Returns the remainder of the limits by rate and of the budgets.
    pub(crate) fn status(&self, charges: &Charges, now: Instant) -> RateLimitStatus {
        let mut status = RateLimitStatus::default();
        for charge in charges.rates.iter() {
            if let Some(rate) = self.rates.get(charge.at) {
                status.record(charge, rate.remaining(charge.rate, now));
            }
        }
        for charge in charges.budgets.iter() {
            let term = self.budgets.get(charge.at).and_then(|it| it.current(charge));
            if let Some(left) = term.and_then(BudgetTerm::remaining).map(NanoDollars) {
                status.budget = Some(status.budget.map_or(left, |known| known.min(left)));
            }
        }
        status
    }
}

/// Returns the name of a limit in the store: `limit` itself, with the models behind a slash if it is
/// for some only.
pub(crate) fn store_name(limit: &str, models: Option<&str>) -> Arc<str> {
    match models {
        Some(models) => format!("{limit}/{models}").into(),
        None => limit.into(),
    }
}

fn note(found: Result<bool, Refusal>, is_short: &mut bool, refused: &mut Option<Refusal>) {
    match found {
        Ok(has_room) => *is_short |= !has_room,
        Err(refusal) => {
            refused.get_or_insert(refusal);
        }
    }
}
