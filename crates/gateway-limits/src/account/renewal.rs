//! From an account to a call to the store, and back.

use super::AccountState;
use crate::{budget_movement::BudgetMovement, budget_period::PeriodSpan, charges::Charges};
use gateway_core::state::{LeaseReply, LeaseRequest, Refusal};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The time without a call after which a replica counts as dead, and its leases are freed.
const LEASE: Duration = Duration::from_secs(15);

/// The renewal interval of a holder that has nothing to report.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The reason for a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RenewalReason<'a> {
    /// A request that the leases do not reach for.
    Need(&'a Charges),
    /// The periodic tick.
    Tick,
    /// The end of the process: everything that is not in use is given back.
    Close,
    /// A read of the remaining units: nothing is taken or returned.
    Preview(&'a Charges),
}

/// A call, and the places of the account that its leases are of.
#[derive(Debug)]
pub(crate) struct LeaseExchange {
    pub(crate) request: LeaseRequest,
    rates: Vec<usize>,
    slots: Vec<usize>,
    budgets: Vec<(usize, Arc<str>)>,
}

/// The remaining units of the limit of one charge.
#[derive(Clone, Debug)]
pub(crate) struct LeftOfCharge {
    /// The models that the limit is for; absent if it is for all.
    pub(crate) models: Option<Arc<str>>,
    /// The day, week or month, of a budget.
    pub(crate) term: Option<PeriodSpan>,
    /// Units, slots or nano-dollars; absent if the store has not reported them.
    pub(crate) units: Option<u64>,
    /// The time until all of it is back, of a limit by rate.
    pub(crate) reset: Option<Duration>,
}

impl AccountState {
    /// Returns the call to make now; `None` if there is nothing to report.
    pub(crate) fn renew(
        &mut self,
        holder: &Arc<str>,
        renewal: RenewalReason<'_>,
        now: Instant,
    ) -> Option<LeaseExchange> {
        let is_due = self.reported.is_none_or(|at| now.duration_since(at) >= HEARTBEAT);
        let (is_preview, charges) = match renewal {
            RenewalReason::Need(charges) => (false, Some(charges)),
            RenewalReason::Preview(charges) => (true, Some(charges)),
            RenewalReason::Tick | RenewalReason::Close => (false, None),
        };
        let request =
            LeaseRequest { holder: Arc::clone(holder), lease: LEASE, ..Default::default() };
        let (rates, slots, budgets) = (Vec::new(), Vec::new(), Vec::new());
        let mut sent = LeaseExchange { request, rates, slots, budgets };
        self.renew_rates(charges, is_preview, matches!(renewal, RenewalReason::Close), &mut sent);
        let renew = is_due || is_preview;
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let charge = charges.and_then(|it| it.slots.iter().find(|charge| charge.at == at));
            if charge.is_none() && charges.is_some() {
                continue;
            }
            if let Some(charge) = charge.filter(|_| is_preview) {
                sent.slots.push(at);
                sent.request.slots.push(slot.preview(charge));
            } else if let Some(lease) = slot.lease(charge, renew) {
                sent.slots.push(at);
                sent.request.slots.push(lease);
            }
        }
        for (at, budget) in self.budgets.iter_mut().enumerate() {
            let charge = charges.and_then(|it| it.budgets.iter().find(|charge| charge.at == at));
            let name = charge.map(|charge| Arc::clone(&budget.term(charge).name));
            for term in &mut budget.terms {
                let charge = charge.filter(|_| name.as_ref() == Some(&term.name));
                let lease = match (charge, renewal) {
                    (Some(charge), RenewalReason::Preview(_)) => Some(term.preview(charge)),
                    (Some(charge), _) => term.lease(Some(charge.amount.0), renew),
                    (None, RenewalReason::Close) => term.close(),
                    (None, RenewalReason::Tick) => term.tick(renew),
                    (None, RenewalReason::Need(_) | RenewalReason::Preview(_)) => None,
                };
                if let Some(lease) = lease {
                    sent.budgets.push((at, Arc::clone(&term.name)));
                    sent.request.budgets.push(lease);
                }
            }
        }
        let request = &sent.request;
        let is_empty =
            request.rates.is_empty() && request.slots.is_empty() && request.budgets.is_empty();
        if !is_empty {
            self.reported = Some(now);
        }
        (!is_empty).then_some(sent)
    }

    fn renew_rates(
        &mut self,
        charges: Option<&Charges>,
        is_preview: bool,
        closes: bool,
        sent: &mut LeaseExchange,
    ) {
        for (at, rate) in self.rates.iter_mut().enumerate() {
            let charge = charges.and_then(|it| it.rates.iter().find(|charge| charge.at == at));
            let lease = match charge {
                Some(charge) if is_preview => Some(rate.preview(charge)),
                Some(charge) => rate.lease(Some(charge)),
                None if charges.is_some() => None,
                None if closes => rate.close(),
                None => {
                    let lease = rate.lease(None);
                    rate.roll();
                    lease
                }
            };
            if let Some(lease) = lease {
                sent.rates.push(at);
                sent.request.rates.push(lease);
            }
        }
    }

    /// Applies the store's reply, and returns what it acknowledges as spent.
    pub(crate) fn apply(
        &mut self,
        sent: &LeaseExchange,
        reply: &LeaseReply,
        now: Instant,
    ) -> Vec<BudgetMovement> {
        let mut movements = Vec::new();
        let rates = sent.rates.iter().zip(&sent.request.rates).zip(&reply.rates);
        for ((at, lease), grant) in rates {
            if let Some(rate) = self.rates.get_mut(*at) {
                rate.apply(lease, *grant, now);
                if let Some(Refusal::Rate { name, retry_after }) = &reply.refused
                    && *name == lease.name
                {
                    rate.refuse(lease, *retry_after, now);
                }
            }
        }
        let slots = sent.slots.iter().zip(&sent.request.slots).zip(&reply.slots);
        for ((at, lease), grant) in slots {
            if let Some(slot) = self.slots.get_mut(*at) {
                slot.apply(lease, *grant);
                if let Some(Refusal::Slots { name }) = &reply.refused
                    && *name == lease.name
                {
                    slot.refuse(now);
                }
            }
        }
        let budgets = sent.budgets.iter().zip(&sent.request.budgets).zip(&reply.budgets);
        for (((at, name), lease), grant) in budgets {
            let budget = self.budgets.get_mut(*at);
            let term = budget.and_then(|it| it.terms.iter_mut().find(|term| term.name == *name));
            if let Some(term) = term {
                movements.extend(term.apply(lease, *grant));
                if let Some(Refusal::Budget { name: refused }) = &reply.refused
                    && refused == name
                {
                    let need = lease.need.0.saturating_add(term.free());
                    term.refuse(need, now);
                }
            }
        }
        movements
    }

    /// It is not known whether the store has seen `sent`.
    pub(crate) fn lost(&mut self, sent: &LeaseExchange) {
        self.reported = None;
        for (at, lease) in sent.rates.iter().zip(&sent.request.rates) {
            if let Some(rate) = self.rates.get_mut(*at) {
                rate.lost(lease);
            }
        }
        for at in &sent.slots {
            if let Some(slot) = self.slots.get_mut(*at) {
                slot.lost();
            }
        }
        for (at, name) in &sent.budgets {
            let budget = self.budgets.get_mut(*at);
            let term = budget.and_then(|it| it.terms.iter_mut().find(|term| term.name == *name));
            if let Some(term) = term {
                term.lost();
            }
        }
    }

    /// Whether nothing is held and nothing is to be reported.
    pub(crate) fn is_idle(&self) -> bool {
        self.rates.iter().all(super::RateState::is_idle)
            && self.slots.iter().all(super::SlotState::is_idle)
            && self.budgets.iter().all(super::BudgetState::is_idle)
    }

    /// Returns the units, slots and money left of each charge; absent where the store has not
    /// reported them.
    pub(crate) fn left(&mut self, charges: &Charges, now: Instant) -> Vec<LeftOfCharge> {
        let mut left = Vec::new();
        for charge in charges.rates.iter() {
            if let Some(rate) = self.rates.get(charge.at) {
                let remaining = rate.remaining(charge.rate, now);
                let (units, reset) = (Some(remaining.units), Some(remaining.reset));
                let models = rate.models.clone();
                left.push(LeftOfCharge { models, term: None, units, reset });
            }
        }
        for charge in charges.slots.iter() {
            if let Some(slot) = self.slots.get(charge.at) {
                let units = Some(slot.left.saturating_add(slot.available()));
                let models = slot.models.clone();
                left.push(LeftOfCharge { models, term: None, units, reset: None });
            }
        }
        for charge in charges.budgets.iter() {
            if let Some(budget) = self.budgets.get_mut(charge.at) {
                left.push(budget.left(charge));
            }
        }
        left
    }
}
