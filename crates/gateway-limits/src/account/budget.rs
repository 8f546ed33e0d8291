//! The lease of a budget: money that is set aside in blocks.

use super::{LeftOfCharge, OutageShare, store_name};
use crate::{
    budget_movement::BudgetMovement,
    budget_period::{BudgetPeriod, PeriodSpan},
    budget_shortage::BudgetShortage,
    charges::BudgetCharge,
};
use gateway_core::{
    NanoDollars,
    state::{BudgetGrant, BudgetLease, Refusal},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The time for which a refusal of the store is repeated without asking again.
const HOLD_OFF: Duration = Duration::from_millis(25);

/// The number of requests like the present one that a block has room for besides.
const AHEAD: u64 = 8;

/// The part of a budget that is set aside ahead of use, at most.
const PART: u64 = 64;

/// The number of renewals without use after which a block is given back.
const IDLE_RENEWALS: u32 = 20;

/// The budgets of one kind: that of the present period, and those of earlier ones that requests
/// still hold.
#[derive(Clone, Debug)]
pub(super) struct BudgetState {
    period: BudgetPeriod,
    /// The models that it is for; absent if it is for all.
    models: Option<Arc<str>>,
    pub(super) terms: Vec<BudgetTerm>,
}

/// The budget of one day, week or month, or of all time.
#[derive(Clone, Debug)]
pub(super) struct BudgetTerm {
    pub(super) span: PeriodSpan,
    /// The name of the budget in the store.
    pub(super) name: Arc<str>,
    limit: u64,
    /// The money reserved in the store: for open requests, and ahead of them.
    held: u64,
    reserved: u64,
    /// The sum spent since this replica started, and the part that the store has acknowledged.
    spent: u64,
    acknowledged: u64,
    reported: u64,
    /// The money left, as last reported by the store.
    pub(super) left: Option<u64>,
    /// The money given out without the store since it went away.
    lent: u64,
    idle_renewals: u32,
    refused: Option<(u64, Instant)>,
}

impl BudgetState {
    pub(super) fn new(period: BudgetPeriod, models: Option<&str>) -> Self {
        Self { period, models: models.map(Into::into), terms: Vec::new() }
    }

    pub(super) fn is(&self, period: BudgetPeriod, models: Option<&str>) -> bool {
        self.period == period && self.models.as_deref() == models
    }

    /// Returns the budget term of `charge`'s day, started if there is none.
    pub(super) fn term(&mut self, charge: &BudgetCharge) -> &mut BudgetTerm {
        let day = charge.day;
        let found = self.terms.iter().position(|it| it.span.contains(day));
        let at = found.unwrap_or_else(|| {
            self.terms.retain(|term| !term.is_idle());
            self.terms.insert(0, BudgetTerm::new(self.period, self.models.as_deref(), day));
            0
        });
        // Found above, or inserted.
        #[expect(clippy::indexing_slicing, reason = "the place was found in the list")]
        &mut self.terms[at]
    }

    /// The budget for the day of `charge`, if it has begun.
    pub(super) fn current(&self, charge: &BudgetCharge) -> Option<&BudgetTerm> {
        self.terms.iter().find(|it| it.span.contains(charge.day))
    }

    pub(super) fn check(&mut self, charge: &BudgetCharge, now: Instant) -> Result<bool, Refusal> {
        let term = self.term(charge);
        term.limit = charge.limit.0;
        let need = charge.amount.0;
        if need <= term.free() {
            return Ok(true);
        }
        if term.refused.is_some_and(|(refused, until)| need >= refused && now < until) {
            return Err(Refusal::Budget { name: Arc::clone(&term.name) });
        }
        Ok(false)
    }

    pub(super) fn take(&mut self, charge: &BudgetCharge) {
        let term = self.term(charge);
        term.reserved = term.reserved.saturating_add(charge.amount.0);
        term.idle_renewals = 0;
    }

    pub(super) fn settle(&mut self, charge: &BudgetCharge, cost: NanoDollars) {
        let term = self.term(charge);
        term.reserved = term.reserved.saturating_sub(charge.amount.0);
        term.spent = term.spent.saturating_add(cost.0);
        term.held = term.held.saturating_sub(cost.0).max(term.reserved);
        term.refused = None;
    }

    pub(super) fn check_share(
        &mut self,
        charge: &BudgetCharge,
        share: OutageShare,
    ) -> Result<(), Refusal> {
        let term = self.term(charge);
        let beyond = charge.amount.0.saturating_sub(term.free());
        if beyond == 0 && charge.amount.0 > 0 {
            return Ok(());
        }
        let name = Arc::clone(&term.name);
        if !share.lends {
            return Err(Refusal::Unknown { name });
        }
        let left = term.left.unwrap_or(charge.limit.0).min(charge.limit.0);
        if term.lent.saturating_add(beyond) > left / share.replicas.max(1) {
            return Err(Refusal::Budget { name });
        }
        Ok(())
    }

    /// Charges `charge` without the store; beyond the lease, from the replica's share.
    pub(super) fn borrow(&mut self, charge: &BudgetCharge) {
        let term = self.term(charge);
        let beyond = charge.amount.0.saturating_sub(term.free());
        term.lent = term.lent.saturating_add(beyond);
        term.held = term.held.saturating_add(beyond);
        self.take(charge);
    }

    /// Returns the shortage of the budget called `name`, if it is that of `charge`.
    pub(super) fn shortage(&self, charge: &BudgetCharge, name: &str) -> Option<BudgetShortage> {
        let term = self.current(charge).filter(|term| *term.name == *name)?;
        Some(BudgetShortage {
            term: term.span.clone(),
            models: self.models.clone(),
            is_of_tenant: false,
            limit: charge.limit,
            cost: charge.amount,
            left: term.remaining().map(NanoDollars),
        })
    }

    /// Returns what is left of the budget of `charge`.
    pub(super) fn left(&mut self, charge: &BudgetCharge) -> LeftOfCharge {
        let models = self.models.clone();
        let term = self.term(charge);
        let units = term.remaining();
        LeftOfCharge { models, term: Some(term.span.clone()), units, reset: None }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.terms.iter().all(BudgetTerm::is_idle)
    }
}

impl BudgetTerm {
    fn new(period: BudgetPeriod, models: Option<&str>, day: u64) -> Self {
        let span = period.span(day);
        Self {
            name: store_name(&span.name, models),
            span,
            limit: 0,
            held: 0,
            reserved: 0,
            spent: 0,
            acknowledged: 0,
            reported: 0,
            left: None,
            lent: 0,
            idle_renewals: 0,
            refused: None,
        }
    }

    /// Whether little is left: then nothing is set aside ahead of use.
    fn is_scarce(&self) -> bool {
        self.left.is_some_and(|left| left < self.limit / 4)
    }

    /// The money that is left in the store and in the lease; absent if the store has not said.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.left.map(|left| left.saturating_add(self.free()))
    }

    /// The money of the lease that no request holds.
    pub(super) fn free(&self) -> u64 {
        self.held.saturating_sub(self.reserved)
    }

    /// The renewal by the ticker: a block that is not used is given back after a while.
    pub(super) fn tick(&mut self, renew: bool) -> Option<BudgetLease> {
        self.idle_renewals = self.idle_renewals.saturating_add(1);
        if self.idle_renewals > IDLE_RENEWALS || self.is_scarce() {
            self.held = self.reserved;
        }
        self.lease(None, renew)
    }

    /// The report that gives back everything that no request holds.
    pub(super) fn close(&mut self) -> Option<BudgetLease> {
        self.held = self.reserved;
        self.lease(None, false)
    }

    /// Returns a report without a demand, to learn the remaining budget.
    pub(super) fn preview(&mut self, charge: &BudgetCharge) -> BudgetLease {
        self.limit = charge.limit.0;
        self.report(0, 0)
    }

    /// The report and the need of a request for `need`; nothing if there is neither.
    pub(super) fn lease(&mut self, need: Option<u64>, renew: bool) -> Option<BudgetLease> {
        let shortage = need.map_or(0, |need| need.saturating_sub(self.free()));
        let extra = need.unwrap_or(0).saturating_mul(AHEAD).min(self.limit / PART);
        let extra = if shortage > 0 && !self.is_scarce() { extra } else { 0 };
        let is_changed = self.spent != self.acknowledged || self.held != self.reported;
        if shortage == 0 && !is_changed && !(renew && self.held > 0) {
            return None;
        }
        Some(self.report(shortage, extra))
    }

    fn report(&self, need: u64, extra: u64) -> BudgetLease {
        BudgetLease {
            name: Arc::clone(&self.name),
            limit: NanoDollars(self.limit),
            spent: NanoDollars(self.spent),
            acknowledged: NanoDollars(self.acknowledged),
            held: NanoDollars(self.held),
            need: NanoDollars(need),
            extra: NanoDollars(extra),
            keep: self.span.keep,
        }
    }

    /// Applies the store's grant, and returns the spending that it acknowledges, if there is any.
    pub(super) fn apply(
        &mut self,
        lease: &BudgetLease,
        grant: BudgetGrant,
    ) -> Option<BudgetMovement> {
        self.held = self.held.saturating_add(grant.granted.0);
        self.acknowledged = lease.spent.0;
        self.reported = lease.held.0.saturating_add(grant.granted.0);
        self.left = Some(grant.left.0);
        self.lent = 0;
        self.refused = None;
        let reported = lease.spent.0.saturating_sub(lease.acknowledged.0);
        (reported > 0).then(|| BudgetMovement {
            budget: Arc::clone(&self.name),
            limit: lease.limit,
            before: NanoDollars(grant.spent.0.saturating_sub(reported)),
            after: grant.spent,
        })
    }

    pub(super) const fn forget_refusal(&mut self) {
        (self.refused, self.left) = (None, None);
    }

    pub(super) fn refuse(&mut self, need: u64, now: Instant) {
        self.refused = Some((need, now + HOLD_OFF));
    }

    /// Records that the store's state is unknown.
    pub(super) fn lost(&mut self) {
        self.reported = u64::MAX;
    }

    fn is_idle(&self) -> bool {
        self.held == 0
            && self.reserved == 0
            && self.spent == self.acknowledged
            && self.reported == 0
    }
}
