//! Limits of this process.
//!
//! Rates and places are kept in memory: a restart gives everybody a fresh start of at most one
//! burst. Money is not: what was spent is told to the keeper, and asked of it after a restart.

use gateway_core::{
    NanoDollars,
    state::{
        BudgetAsk, Decision, QuotaAsk, RateAsk, Refusal, Remaining, Settle,
        gcra::{self, Verdict},
    },
};
use std::{collections::HashMap, time::Duration};

/// What is taken of the limits of one client.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The number of each limit by rate, and when it may be forgotten.
    rates: HashMap<String, u64>,
    open: HashMap<String, Open>,
    /// What was spent in each period.
    spent: HashMap<String, NanoDollars>,
    /// When nothing of this matters any more, in microseconds.
    idle_at: u64,
}

/// A request that was let in.
#[derive(Debug)]
struct Open {
    until: u64,
    /// The budget it took from, and how much.
    reserved: Option<(String, NanoDollars)>,
}

/// What has to be kept of a request that ended.
pub(crate) type Booked = Option<(String, NanoDollars)>;

impl Taken {
    /// Whether it is known what was spent in `period`.
    pub(crate) fn knows(&self, period: &str) -> bool {
        self.spent.contains_key(period)
    }

    /// Learns what was spent in `period` before this process began.
    pub(crate) fn learn(&mut self, period: &str, spent: NanoDollars) {
        self.spent.entry(period.to_owned()).or_insert(spent);
    }

    /// Whether nothing would change if this were forgotten.
    pub(crate) fn is_idle(&self, now_us: u64) -> bool {
        self.idle_at <= now_us
    }

    /// Takes all of `ask`, or nothing.
    pub(crate) fn take(&mut self, now_us: u64, ask: &QuotaAsk) -> Decision {
        self.open.retain(|_, open| open.until > now_us);
        match self.refusal(now_us, ask) {
            Err(refusal) => Decision::Refused(refusal),
            Ok(verdicts) => Decision::Granted(self.grant(now_us, ask, &verdicts)),
        }
    }

    /// Ends a request. Says what its budget has come to, if it had one.
    pub(crate) fn settle(&mut self, now_us: u64, settle: &Settle) -> Booked {
        let open = self.open.remove(&settle.request)?;
        for (name, rate, units) in &settle.corrections {
            let stored = gcra::correct(self.rates.get(name).copied(), now_us, *rate, *units);
            self.rates.insert(name.clone(), stored);
            self.idle_at = self.idle_at.max(stored);
        }
        let (period, _) = open.reserved?;
        let spent = self.spent.entry(period.clone()).or_default();
        *spent += settle.cost;
        Some((period, *spent))
    }

    fn refusal(&mut self, now_us: u64, ask: &QuotaAsk) -> Result<Vec<Verdict>, Refusal> {
        if ask.concurrency.is_some_and(|limit| self.places(&ask.request) >= limit) {
            return Err(Refusal::Concurrency);
        }
        if ask.budget.as_ref().is_some_and(|budget| !self.affords(&ask.request, budget)) {
            return Err(Refusal::Budget);
        }
        ask.rates.iter().map(|ask| self.judge(now_us, ask)).collect()
    }

    /// Places taken by others than `request`.
    fn places(&self, request: &str) -> u64 {
        self.open.keys().filter(|open| *open != request).count() as u64
    }

    fn affords(&self, request: &str, ask: &BudgetAsk) -> bool {
        let mut sum = self.spent.get(&ask.period).copied().unwrap_or_default();
        for (_, open) in self.open.iter().filter(|(other, _)| *other != request) {
            if let Some((_, amount)) = open.reserved.as_ref().filter(|it| it.0 == ask.period) {
                sum += *amount;
            }
        }
        sum += ask.reserve;
        sum <= ask.limit
    }

    fn judge(&mut self, now_us: u64, ask: &RateAsk) -> Result<Verdict, Refusal> {
        let name = ask.name.clone();
        if ask.cost > ask.rate.burst {
            return Err(Refusal::TooLarge { name });
        }
        let verdict = gcra::decide(self.rates.get(&name).copied(), now_us, ask.rate, ask.cost);
        if verdict.allowed {
            return Ok(verdict);
        }
        if let Some(corrected) = verdict.store {
            self.rates.insert(name.clone(), corrected);
        }
        let retry_after = Duration::from_micros(verdict.retry_after_us);
        Err(Refusal::Rate { name, retry_after, remaining: remaining(&verdict) })
    }

    fn grant(&mut self, now_us: u64, ask: &QuotaAsk, verdicts: &[Verdict]) -> Vec<Remaining> {
        for (rate, verdict) in ask.rates.iter().zip(verdicts) {
            if let Some(stored) = verdict.store {
                self.rates.insert(rate.name.clone(), stored);
                self.idle_at = self.idle_at.max(stored);
            }
        }
        let lease = u64::try_from(ask.lease.as_micros()).unwrap_or(u64::MAX);
        let until = now_us.saturating_add(lease);
        self.idle_at = self.idle_at.max(until);
        let reserved = ask.budget.as_ref().map(|budget| (budget.period.clone(), budget.reserve));
        self.open.insert(ask.request.clone(), Open { until, reserved });
        verdicts.iter().map(remaining).collect()
    }
}

fn remaining(verdict: &Verdict) -> Remaining {
    Remaining { units: verdict.remaining, reset: Duration::from_micros(verdict.reset_us) }
}
