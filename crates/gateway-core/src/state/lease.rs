//! The leases of one key's limits, as a function of what was reported: every backend decides so.

use super::{BudgetGrant, LeaseReply, LeaseRequest, RateGrant, Refusal, SlotGrant, gcra::RateDebt};
use crate::NanoDollars;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The time for which a dead holder is remembered, so that it can come back and its money is not
/// counted twice.
const REMEMBERED: Duration = Duration::from_hours(1);

/// The limits of one key, and who holds what of them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct SharedLimits {
    /// The debt of each limit by rate.
    #[serde(with = "by_name")]
    pub rates: BTreeMap<Arc<str>, RateDebt>,
    /// The sum spent of each budget.
    #[serde(with = "by_name")]
    pub budgets: BTreeMap<Arc<str>, SpentBudget>,
    #[serde(with = "by_name")]
    holders: BTreeMap<Arc<str>, LeaseHolder>,
}

/// The sum that was spent of a budget.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SpentBudget {
    /// The amount spent in the term, in nano-dollars.
    pub spent: NanoDollars,
    /// The moment from which on it is forgotten, in microseconds.
    pub until_us: u64,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct LeaseHolder {
    until_us: u64,
    #[serde(with = "by_name")]
    slots: BTreeMap<Arc<str>, u64>,
    #[serde(with = "by_name")]
    budgets: BTreeMap<Arc<str>, HeldBudget>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
struct HeldBudget {
    spent: u64,
    held: u64,
    /// The part of what was held that was counted as spent when the holder seemed dead.
    written_off: u64,
}

impl SharedLimits {
    /// Whether nothing would change if this were forgotten.
    pub fn is_idle(&self, now_us: u64) -> bool {
        self.idle_from_us() <= now_us
    }

    /// The moment from which on nothing would change if this were forgotten, in microseconds.
    pub fn idle_from_us(&self) -> u64 {
        let minute = 60_000_000;
        let holders = self.holders.values().map(|holder| holder.until_us);
        let budgets = self.budgets.values().map(|budget| budget.until_us);
        let rates = self.rates.values().map(|debt| debt.at_us.saturating_add(60 * minute));
        holders.chain(budgets).chain(rates).max().unwrap_or_default()
    }

    /// The money that holders have set aside of the budget `name`.
    pub fn held(&self, name: &str) -> NanoDollars {
        let held = self.holders.values().filter_map(|holder| holder.budgets.get(name));
        NanoDollars(held.map(|budget| budget.held).fold(0, u64::saturating_add))
    }

    /// Sets the sum spent of the budget `name` to nothing, and returns what it was.
    pub fn reset_budget(&mut self, name: &str) -> NanoDollars {
        for holder in self.holders.values_mut() {
            if let Some(budget) = holder.budgets.get_mut(name) {
                // What was written off is part of the sum that is forgotten.
                budget.written_off = 0;
            }
        }
        let total = self.budgets.get_mut(name);
        total.map(|it| std::mem::take(&mut it.spent)).unwrap_or_default()
    }

    /// Applies one exchange: see [`Quotas::exchange`](super::Quotas::exchange).
    pub fn exchange(&mut self, now_us: u64, request: &LeaseRequest) -> LeaseReply {
        self.bury(now_us);
        self.apply(now_us, request);
        let refused = self.refusal(request);
        let mut reply = LeaseReply::default();
        let is_granted = refused.is_none();
        reply.refused = refused;
        for at in 0..request.slots.len() {
            reply.slots.extend(self.grant_slots(request, at, is_granted));
        }
        for at in 0..request.budgets.len() {
            reply.budgets.extend(self.grant_budget(request, at, is_granted));
        }
        for lease in &request.rates {
            let debt = self.rates.entry(Arc::clone(&lease.name)).or_default();
            let mut granted = 0;
            if is_granted {
                let left = debt.left(lease.rate).saturating_sub(lease.need);
                granted = lease.need + lease.extra.min(left / 2);
                *debt = debt.with(i64::try_from(granted).unwrap_or(i64::MAX));
            }
            reply.rates.push(RateGrant { granted, reset: debt.reset(lease.rate) });
        }
        reply
    }

    /// Frees what dead holders held; their money counts as spent.
    fn bury(&mut self, now_us: u64) {
        let remembered = u64::try_from(REMEMBERED.as_micros()).unwrap_or(u64::MAX);
        self.holders.retain(|_, it| it.until_us.saturating_add(remembered) > now_us);
        for holder in self.holders.values_mut().filter(|it| it.until_us <= now_us) {
            holder.slots.clear();
            for (name, budget) in &mut holder.budgets {
                if let Some(total) = self.budgets.get_mut(name) {
                    total.spent += NanoDollars(budget.held);
                }
                budget.written_off = budget.written_off.saturating_add(budget.held);
                budget.held = 0;
            }
        }
        self.budgets.retain(|_, budget| budget.until_us > now_us);
    }

    /// Applies what the holder reports.
    fn apply(&mut self, now_us: u64, request: &LeaseRequest) {
        for lease in &request.rates {
            let debt = self.rates.entry(Arc::clone(&lease.name)).or_default();
            *debt = debt.at(now_us, lease.rate).capped(lease.rate).with(lease.settle);
        }
        let holder = self.holders.entry(Arc::clone(&request.holder)).or_default();
        let lease = u64::try_from(request.lease.as_micros()).unwrap_or(u64::MAX);
        holder.until_us = now_us.saturating_add(lease);
        for lease in &request.slots {
            holder.slots.insert(Arc::clone(&lease.name), lease.held);
        }
        for lease in &request.budgets {
            let keep = u64::try_from(lease.keep.as_micros()).unwrap_or(u64::MAX);
            let until_us = now_us.saturating_add(keep);
            let total = self.budgets.entry(Arc::clone(&lease.name));
            let total = total.or_insert(SpentBudget { until_us, ..SpentBudget::default() });
            let fresh = HeldBudget { spent: lease.acknowledged.0, ..HeldBudget::default() };
            let known = holder.budgets.entry(Arc::clone(&lease.name)).or_insert(fresh);
            let since = lease.spent.0.saturating_sub(known.spent);
            let sum = total.spent.0.saturating_sub(known.written_off).saturating_add(since);
            total.spent = NanoDollars(sum);
            *known = HeldBudget { spent: lease.spent.0, held: lease.held.0, written_off: 0 };
        }
    }

    /// The first limit that has no room for what is needed.
    fn refusal(&self, request: &LeaseRequest) -> Option<Refusal> {
        for lease in request.slots.iter().filter(|lease| lease.need > 0) {
            if self.slots_taken(&lease.name).saturating_add(lease.need) > lease.limit {
                return Some(Refusal::Slots { name: Arc::clone(&lease.name) });
            }
        }
        for lease in request.budgets.iter().filter(|lease| lease.need.0 > 0) {
            if self.budget_taken(&lease.name).saturating_add(lease.need.0) > lease.limit.0 {
                return Some(Refusal::Budget { name: Arc::clone(&lease.name) });
            }
        }
        for lease in request.rates.iter().filter(|lease| lease.need > 0) {
            let name = Arc::clone(&lease.name);
            if lease.need > lease.rate.burst() {
                return Some(Refusal::TooLarge { name });
            }
            let debt = self.rates.get(&name).copied().unwrap_or_default();
            if !debt.has_room(lease.rate, lease.need) {
                let retry_after = debt.wait(lease.rate, lease.need);
                return Some(Refusal::Rate { name, retry_after });
            }
        }
        None
    }

    fn grant_slots(
        &mut self,
        request: &LeaseRequest,
        at: usize,
        granted: bool,
    ) -> Option<SlotGrant> {
        let lease = request.slots.get(at)?;
        let free = lease.limit.saturating_sub(self.slots_taken(&lease.name));
        if !granted {
            return Some(SlotGrant { granted: 0, left: free });
        }
        let left = free.saturating_sub(lease.need);
        let granted = lease.need + lease.extra.min(left / 2);
        let held = self.holders.get_mut(&request.holder)?.slots.get_mut(&lease.name)?;
        *held = held.saturating_add(granted);
        Some(SlotGrant { granted, left: free.saturating_sub(granted) })
    }

    fn grant_budget(
        &mut self,
        request: &LeaseRequest,
        at: usize,
        granted: bool,
    ) -> Option<BudgetGrant> {
        let lease = request.budgets.get(at)?;
        let free = lease.limit.0.saturating_sub(self.budget_taken(&lease.name));
        let spent = self.budgets.get(&lease.name).map(|it| it.spent).unwrap_or_default();
        if !granted {
            return Some(BudgetGrant { granted: NanoDollars(0), left: NanoDollars(free), spent });
        }
        let left = free.saturating_sub(lease.need.0);
        let granted = lease.need.0 + lease.extra.0.min(left / 4);
        let held = self.holders.get_mut(&request.holder)?.budgets.get_mut(&lease.name)?;
        held.held = held.held.saturating_add(granted);
        let left = NanoDollars(free.saturating_sub(granted));
        Some(BudgetGrant { granted: NanoDollars(granted), left, spent })
    }

    fn slots_taken(&self, name: &str) -> u64 {
        self.holders.values().filter_map(|holder| holder.slots.get(name)).sum()
    }

    fn budget_taken(&self, name: &str) -> u64 {
        let spent = self.budgets.get(name).map_or(0, |budget| budget.spent.0);
        spent.saturating_add(self.held(name).0)
    }
}

/// Maps by name, as objects.
mod by_name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::{collections::BTreeMap, sync::Arc};

    pub(super) fn serialize<S: Serializer, T: Serialize>(
        map: &BTreeMap<Arc<str>, T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, value)| (&**name, value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Arc<str>, T>, D::Error> {
        let map: BTreeMap<String, T> = Deserialize::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(name, value)| (Arc::from(name), value)).collect())
    }
}
