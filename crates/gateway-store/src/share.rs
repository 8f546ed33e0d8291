//! What a gateway does about limits while the store that it shares with others is away.
//!
//! ```text
//!   take ----> the store                 it answers: what it says
//!     \------> this gateway's share      it is away: 1/N of each limit, N gateways being there
//! ```
//!
//! With a limit by rate of `rate` and `burst`, an outage of `t` lets in no more than
//! `rate * t + 3 * burst` in all: a burst before it, one in shares, and one after it, if the store
//! has forgotten. Money has no share that would be safe for long: after a minute, nothing more is
//! let in that a budget limits. Nor is any lent in the first second, in which a store that is slow
//! is asked again; and no more is than a share of what was last known to be left. What was spent
//! meanwhile is booked when the store is back.

use crate::{clock::StoreClock, local::Taken};
use async_trait::async_trait;
use gateway_core::{
    NanoDollars,
    state::{
        BudgetAsk, Decision, Key, PlaceAsk, QuotaAsk, Quotas, Rate, RateAsk, Refusal, Settle,
        StoreError,
    },
    sync,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time};

/// How often a gateway says that it is there.
const ROLL_CALL: Duration = Duration::from_secs(3);

/// For how long an outage may last before money is no longer lent.
const LENDING: Duration = Duration::from_mins(1);

/// For how long a store that does not answer is asked again before money is lent: until then it may
/// just be slow, and what it would say is better than what is known here.
const GRACE: Duration = Duration::from_secs(1);

/// How long it is left alone in between.
const PAUSE: Duration = Duration::from_millis(50);

/// Of how many clients is remembered what is left of their budgets.
const KNOWN: usize = 16_384;

/// Of how many budgets of a client.
const BUDGETS: usize = 16;

/// How many settlements wait for the store to come back; the oldest go first.
const OWED: usize = 10_000;

/// From how many clients on those that have been idle are looked for.
const TIDY: usize = 1_024;

/// Counts the gateways that share a store.
#[async_trait]
pub(crate) trait Gathering: Send + Sync {
    /// Says that the gateway `own` is there; returns how many are.
    async fn replicas(&self, own: &str) -> Result<u64, StoreError>;
}

/// Limits in a store that may be away.
pub(crate) struct Share<S> {
    store: Arc<S>,
    clock: StoreClock,
    own: String,
    replicas: AtomicU64,
    state: Mutex<State>,
    /// The store is back.
    is_back: Notify,
}

#[derive(Default)]
struct State {
    clients: HashMap<Key, Taken>,
    owed: VecDeque<(Key, Owed)>,
    /// Since when the store has been away.
    away_since: Option<u64>,
    /// What the store last said to be left of each budget of a client.
    known: HashMap<Key, HashMap<Arc<str>, NanoDollars>>,
}

/// What the store is still to be told.
enum Owed {
    /// The end of a request that it let in.
    Settle(Settle),
    /// What a request has cost that was let in without it.
    Spent(QuotaAsk, Settle),
}

impl<S: Quotas + Gathering> Share<S> {
    /// The limits kept in `store`.
    pub(crate) fn new(store: Arc<S>, clock: StoreClock) -> Self {
        let own = format!("{:x}-{:x}", std::process::id(), clock.now_us());
        let (replicas, is_back) = (AtomicU64::new(1), Notify::new());
        Self { store, clock, own, replicas, state: Mutex::default(), is_back }
    }

    /// Counts gateways, and tells the store what it has missed.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = time::interval(ROLL_CALL);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // What it has missed it is told before much more is given out without it.
                () = self.is_back.notified() => {}
            }
            if let Ok(replicas) = self.store.replicas(&self.own).await {
                self.replicas.store(replicas.max(1), Ordering::Relaxed);
                self.pay().await;
            }
        }
    }

    /// Tells the store what it has missed, until it is away again.
    async fn pay(&self) {
        while let Some((key, owed)) = self.next_owed() {
            let paid = match &owed {
                Owed::Settle(settle) => self.store.settle(&key, settle).await,
                Owed::Spent(ask, settle) => match self.store.take(&key, ask).await {
                    Ok(_) => self.store.settle(&key, settle).await,
                    Err(error) => Err(error),
                },
            };
            if paid.is_err_and(|error| error.is_outage()) {
                self.state().owed.push_front((key, owed));
                break;
            }
        }
    }

    fn next_owed(&self) -> Option<(Key, Owed)> {
        self.state().owed.pop_front()
    }

    /// Decides without the store.
    fn lend(&self, key: &Key, ask: &QuotaAsk) -> Decision {
        let now_us = self.clock.now_us();
        let replicas = self.replicas.load(Ordering::Relaxed);
        let mut state = self.state();
        let away_since = *state.away_since.get_or_insert(now_us);
        let lent = Duration::from_micros(now_us.saturating_sub(away_since));
        if let Some(budget) = ask.budgets.first().filter(|_| lent > LENDING) {
            return Decision::Refused(Refusal::Unknown { name: Arc::clone(&budget.name) });
        }
        let clients = &mut state.clients;
        if clients.len() >= TIDY && clients.len() == clients.capacity() {
            clients.retain(|_, taken| !taken.is_idle(now_us));
        }
        let mut ask = share(ask, replicas);
        for budget in &mut ask.budgets {
            if let Some(rest) = state.known(key, &budget.name) {
                budget.limit = budget.limit.min(NanoDollars(rest.0 / replicas));
            }
        }
        state.clients.entry(key.clone()).or_default().take(now_us, &ask)
    }

    /// Ends a request that was let in without the store; false if it was not.
    fn settle_here(&self, key: &Key, settle: &Settle) -> bool {
        let mut state = self.state();
        let Some(taken) = state.clients.get_mut(key) else { return false };
        if !taken.is_open(&settle.request) {
            return false;
        }
        let replicas = self.replicas.load(Ordering::Relaxed);
        let mut own = settle.clone();
        own.corrections.iter_mut().for_each(|(_, rate, _)| *rate = share_of(*rate, replicas));
        let booked = taken.settle(self.clock.now_us(), &own);
        if !booked.is_empty() && settle.cost.0 > 0 {
            let budget = |(name, _)| BudgetAsk {
                name,
                limit: NanoDollars(u64::MAX),
                reserve: NanoDollars(0),
                keep: KEPT,
            };
            let ask = QuotaAsk {
                request: Arc::clone(&settle.request),
                lease: LENDING,
                budgets: booked.into_iter().map(budget).collect(),
                ..QuotaAsk::default()
            };
            let spent = Settle { corrections: Vec::new(), ..settle.clone() };
            owe(&mut state, key, Owed::Spent(ask, spent));
        }
        true
    }

    /// Asks again, as long as the store may just be slow.
    async fn insist(
        &self,
        key: &Key,
        ask: &QuotaAsk,
        mut taken: Result<Decision, StoreError>,
    ) -> Result<Decision, StoreError> {
        while taken.as_ref().is_err_and(StoreError::is_outage) && self.may_be_slow() {
            time::sleep(PAUSE).await;
            // What was done the first time is recognised.
            taken = self.store.take(key, ask).await;
        }
        taken
    }

    /// Whether the store has been away for a moment only.
    fn may_be_slow(&self) -> bool {
        let now_us = self.clock.now_us();
        let away_since = *self.state().away_since.get_or_insert(now_us);
        Duration::from_micros(now_us.saturating_sub(away_since)) < GRACE
    }

    /// The store has answered this.
    fn heard(&self, key: &Key, ask: &QuotaAsk, decided: &Result<Decision, StoreError>) {
        let mut state = self.state();
        if state.away_since.take().is_some() {
            // It learns now what was spent here, and counts it itself.
            state.clients.values_mut().for_each(Taken::forget_spent);
            self.is_back.notify_one();
        }
        match decided {
            Ok(Decision::Granted(left)) => {
                for (budget, left) in ask.budgets.iter().zip(&left.budgets) {
                    state.learn(key, &budget.name, *left);
                }
            }
            Ok(Decision::Refused(Refusal::Budget { name })) => {
                // Less is left than was asked for.
                if let Some(asked) = ask.budgets.iter().find(|budget| budget.name == *name) {
                    let less = NanoDollars(asked.reserve.0.saturating_sub(1));
                    let known = state.known(key, name).map_or(less, |known| known.min(less));
                    state.learn(key, name, known);
                }
            }
            Ok(Decision::Refused(_)) | Err(_) => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }
}

/// For how long is remembered what was spent without the store: longer than any budget lasts.
const KEPT: Duration = Duration::from_hours(32 * 24);

fn owe(state: &mut State, key: &Key, owed: Owed) {
    if state.owed.len() >= OWED {
        state.owed.pop_front();
        tracing::warn!("the store is away for too long: what a request has taken is not settled");
    }
    state.owed.push_back((key.clone(), owed));
}

#[async_trait]
impl<S: Quotas + Gathering> Quotas for Share<S> {
    async fn take(&self, key: &Key, ask: &QuotaAsk) -> Result<Decision, StoreError> {
        let mut taken = self.store.take(key, ask).await;
        if !ask.budgets.is_empty() {
            taken = self.insist(key, ask, taken).await;
        }
        match taken {
            Err(error) if error.is_outage() => Ok(self.lend(key, ask)),
            decided => {
                self.heard(key, ask, &decided);
                decided
            }
        }
    }

    async fn settle(&self, key: &Key, settle: &Settle) -> Result<(), StoreError> {
        if self.settle_here(key, settle) {
            return Ok(());
        }
        match self.store.settle(key, settle).await {
            Err(error) if error.is_outage() => {
                owe(&mut self.state(), key, Owed::Settle(settle.clone()));
                Ok(())
            }
            settled => settled,
        }
    }
}

impl State {
    /// What was last known to be left.
    fn known(&self, key: &Key, budget: &str) -> Option<NanoDollars> {
        self.known.get(key)?.get(budget).copied()
    }

    fn learn(&mut self, key: &Key, budget: &Arc<str>, left: NanoDollars) {
        if let Some(known) = self.known.get_mut(key) {
            // Budgets of days that are over need not be remembered.
            if known.len() >= BUDGETS && !known.contains_key(budget) {
                known.clear();
            }
            known.insert(Arc::clone(budget), left);
            return;
        }
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(key.clone(), HashMap::from([(Arc::clone(budget), left)]));
    }
}

/// What one of `replicas` gateways may give of what is asked.
fn share(ask: &QuotaAsk, replicas: u64) -> QuotaAsk {
    let rate = |it: &RateAsk| {
        let rate = share_of(it.rate, replicas);
        // What fits the whole limit is not to be refused for ever.
        let cost = if it.cost > it.rate.burst { it.cost } else { it.cost.min(rate.burst) };
        RateAsk { name: Arc::clone(&it.name), rate, cost }
    };
    let place = |it: &PlaceAsk| PlaceAsk {
        name: Arc::clone(&it.name),
        limit: (it.limit / replicas).max(it.limit.min(1)),
    };
    let budget =
        |it: &BudgetAsk| BudgetAsk { limit: NanoDollars(it.limit.0 / replicas), ..it.clone() };
    QuotaAsk {
        rates: ask.rates.iter().map(rate).collect(),
        places: ask.places.iter().map(place).collect(),
        budgets: ask.budgets.iter().map(budget).collect(),
        ..ask.clone()
    }
}

fn share_of(rate: Rate, replicas: u64) -> Rate {
    Rate {
        interval_us: rate.interval_us.saturating_mul(replicas),
        burst: (rate.burst / replicas).max(1),
    }
}

#[cfg(test)]
mod tests;
