//! Limits of this process.
//!
//! Rates and places are kept in memory: a restart gives everybody a fresh start of at most one
//! burst. Money is not: what was spent is told to the keeper, and asked of it after a restart.

use foldhash::HashMap;
use gateway_core::{
    NanoDollars,
    state::{
        BudgetAsk, Decision, Left, PlaceAsk, QuotaAsk, RateAsk, Refusal, Remaining, Settle,
        gcra::{self, Verdict},
    },
};
use std::sync::Arc;

/// What is taken of the limits of one client.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The number of each limit by rate.
    rates: HashMap<Arc<str>, u64>,
    /// How many places are taken of each limit.
    places: HashMap<Arc<str>, u64>,
    open: HashMap<Arc<str>, Open>,
    /// What was spent of each budget.
    spent: HashMap<Arc<str>, NanoDollars>,
    /// No open request ends by itself before this, in microseconds.
    ends_at: u64,
    /// When nothing of this matters any more, in microseconds.
    idle_at: u64,
}

/// A request that was let in.
#[derive(Debug)]
struct Open {
    until: u64,
    places: Vec<Arc<str>>,
    /// The budgets it took from, and how much.
    reserved: Vec<(Arc<str>, NanoDollars)>,
}

/// How many budgets are remembered, beside those that requests have open.
const BUDGETS: usize = 64;

/// The budgets that a settled request took from, and what they have come to.
pub(crate) type Booked = Vec<(Arc<str>, NanoDollars)>;

/// All that a request was found to have room for.
struct Verdicts {
    rates: Vec<Verdict>,
    left: Left,
}

impl Taken {
    /// Whether it is known what was spent of the budget `name`.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.spent.contains_key(name)
    }

    /// Learns what was spent of the budget `name` before this process began.
    pub(crate) fn learn(&mut self, name: &Arc<str>, spent: NanoDollars) {
        if self.spent.len() >= BUDGETS {
            let open = &self.open;
            let held = |it: &Arc<str>| open.values().any(|open| open.has_reserved(it));
            self.spent.retain(|it, _| held(it));
        }
        self.spent.entry(Arc::clone(name)).or_insert(spent);
    }

    /// Forgets what was spent: somebody else counts it from now on.
    pub(crate) fn forget_spent(&mut self) {
        self.spent.clear();
    }

    /// Whether nothing would change if this were forgotten.
    pub(crate) fn is_idle(&self, now_us: u64) -> bool {
        self.idle_at <= now_us
    }

    /// Whether `request` was let in, and has neither been settled nor ended by itself.
    pub(crate) fn is_open(&self, request: &str) -> bool {
        self.open.contains_key(request)
    }

    /// Takes all of `ask`, or nothing.
    pub(crate) fn take(&mut self, now_us: u64, ask: &QuotaAsk) -> Decision {
        self.end_leases(now_us);
        match self.judge(now_us, ask) {
            Err(refusal) => Decision::Refused(refusal),
            Ok(verdicts) => {
                if !ask.look {
                    self.grant(now_us, ask, &verdicts.rates);
                }
                Decision::Granted(verdicts.left)
            }
        }
    }

    /// Ends a request. Says what its budgets have come to.
    pub(crate) fn settle(&mut self, now_us: u64, settle: &Settle) -> Booked {
        let Some(open) = self.open.remove(&settle.request) else { return Booked::new() };
        self.free(&open.places);
        for (name, rate, units) in &settle.corrections {
            let stored = gcra::correct(self.rates.get(name).copied(), now_us, *rate, *units);
            self.rates.insert(Arc::clone(name), stored);
            self.idle_at = self.idle_at.max(stored);
        }
        let book = |(name, _): (Arc<str>, NanoDollars)| {
            let spent = self.spent.entry(Arc::clone(&name)).or_default();
            *spent += settle.cost;
            (name, *spent)
        };
        open.reserved.into_iter().map(book).collect()
    }

    /// Frees what requests hold whose lease has ended.
    fn end_leases(&mut self, now_us: u64) {
        if self.open.is_empty() || self.ends_at > now_us {
            return;
        }
        let ended: Vec<_> = self.open.extract_if(|_, open| open.until <= now_us).collect();
        for (_, open) in ended {
            self.free(&open.places);
        }
        self.ends_at = self.open.values().map(|open| open.until).min().unwrap_or(u64::MAX);
    }

    fn free(&mut self, places: &[Arc<str>]) {
        for name in places {
            if let Some(taken) = self.places.get_mut(name) {
                *taken = taken.saturating_sub(1);
                if *taken == 0 {
                    self.places.remove(name);
                }
            }
        }
    }

    fn judge(&mut self, now_us: u64, ask: &QuotaAsk) -> Result<Verdicts, Refusal> {
        let mut left = Left::default();
        for place in &ask.places {
            left.places.push(self.judge_place(&ask.request, place)?);
        }
        for budget in &ask.budgets {
            left.budgets.push(self.judge_budget(&ask.request, budget)?);
        }
        let mut rates = Vec::with_capacity(ask.rates.len());
        for rate in &ask.rates {
            let verdict = self.judge_rate(now_us, rate)?;
            left.rates.push(remaining(&verdict));
            rates.push(verdict);
        }
        Ok(Verdicts { rates, left })
    }

    /// How many places are left, if there is one for `request`.
    fn judge_place(&self, request: &str, ask: &PlaceAsk) -> Result<u64, Refusal> {
        let own = self.open.get(request).is_some_and(|open| open.places.contains(&ask.name));
        let others = self.places.get(&ask.name).copied().unwrap_or(0) - u64::from(own);
        if others >= ask.limit {
            return Err(Refusal::Places { name: Arc::clone(&ask.name) });
        }
        Ok(ask.limit - others - 1)
    }

    /// How much money is left, if there is enough.
    fn judge_budget(&self, request: &str, ask: &BudgetAsk) -> Result<NanoDollars, Refusal> {
        let mut sum = self.spent.get(&ask.name).copied().unwrap_or_default();
        for (_, open) in self.open.iter().filter(|(other, _)| &***other != request) {
            for (_, amount) in open.reserved.iter().filter(|(name, _)| *name == ask.name) {
                sum += *amount;
            }
        }
        sum += ask.reserve;
        match ask.limit.0.checked_sub(sum.0) {
            Some(left) => Ok(NanoDollars(left)),
            None => Err(Refusal::Budget { name: Arc::clone(&ask.name) }),
        }
    }

    fn judge_rate(&mut self, now_us: u64, ask: &RateAsk) -> Result<Verdict, Refusal> {
        let name = &ask.name;
        if ask.cost > ask.rate.burst {
            return Err(Refusal::TooLarge { name: Arc::clone(name) });
        }
        let verdict = gcra::decide(self.rates.get(name).copied(), now_us, ask.rate, ask.cost);
        if verdict.allowed {
            return Ok(verdict);
        }
        if let Some(corrected) = verdict.store {
            self.rates.insert(Arc::clone(name), corrected);
        }
        let retry_after = std::time::Duration::from_micros(verdict.retry_after_us);
        let remaining = remaining(&verdict);
        Err(Refusal::Rate { name: Arc::clone(name), retry_after, remaining })
    }

    fn grant(&mut self, now_us: u64, ask: &QuotaAsk, verdicts: &[Verdict]) {
        for (rate, verdict) in ask.rates.iter().zip(verdicts) {
            if let Some(stored) = verdict.store {
                match self.rates.get_mut(&rate.name) {
                    Some(kept) => *kept = stored,
                    None => drop(self.rates.insert(Arc::clone(&rate.name), stored)),
                }
                self.idle_at = self.idle_at.max(stored);
            }
        }
        if !ask.lease.is_zero() {
            self.open(now_us, ask);
        }
    }

    fn open(&mut self, now_us: u64, ask: &QuotaAsk) {
        let lease = u64::try_from(ask.lease.as_micros()).unwrap_or(u64::MAX);
        let until = now_us.saturating_add(lease);
        self.ends_at = if self.open.is_empty() { until } else { self.ends_at.min(until) };
        self.idle_at = self.idle_at.max(until);
        let places: Vec<_> = ask.places.iter().map(|place| Arc::clone(&place.name)).collect();
        let reserve = |budget: &BudgetAsk| (Arc::clone(&budget.name), budget.reserve);
        let reserved = ask.budgets.iter().map(reserve).collect();
        if let Some(before) = self.open.remove(&ask.request) {
            self.free(&before.places);
        }
        for name in &places {
            *self.places.entry(Arc::clone(name)).or_default() += 1;
        }
        self.open.insert(Arc::clone(&ask.request), Open { until, places, reserved });
    }
}

impl Open {
    fn has_reserved(&self, name: &Arc<str>) -> bool {
        self.reserved.iter().any(|(reserved, _)| reserved == name)
    }
}

fn remaining(verdict: &Verdict) -> Remaining {
    let reset = std::time::Duration::from_micros(verdict.reset_us);
    Remaining { units: verdict.remaining, reset }
}
