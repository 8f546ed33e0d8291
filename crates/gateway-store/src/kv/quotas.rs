//! Limits: rates and places in memory, money in the map.

use super::{
    Engine, KvStore, Wait,
    draft::{Draft, View},
    expiry,
    name::{self, Kind},
};
use crate::{
    clock::{Clock, millis},
    local::Taken,
    record,
};
use async_trait::async_trait;
use gateway_core::{
    NanoDollars,
    state::{BudgetAsk, Decision, Key, QuotaAsk, Quotas, Settle, StoreError},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The limits of all clients.
pub(crate) struct KvQuotas<E> {
    store: Arc<KvStore<E>>,
    clock: Clock,
    clients: Mutex<HashMap<Key, Client>>,
}

#[derive(Default)]
struct Client {
    taken: Taken,
    /// For how long each budget's spending is remembered.
    keep: HashMap<Arc<str>, Duration>,
}

#[derive(Deserialize, Serialize)]
struct Spent {
    v: u32,
    expires: u64,
    sum: NanoDollars,
}

/// From how many clients on those that have been idle are looked for.
const TIDY: usize = 1_024;

impl<E: Engine> KvQuotas<E> {
    /// Limits whose money is kept in `store`.
    pub(crate) fn new(store: Arc<KvStore<E>>, clock: Clock) -> Self {
        Self { store, clock, clients: Mutex::default() }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Key, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that it is known what was spent before.
    async fn learn(&self, key: &Key, budget: &BudgetAsk) -> Result<(), StoreError> {
        let knows = |client: &Client| client.taken.knows(&budget.name);
        if self.clients().get(key).is_some_and(knows) {
            return Ok(());
        }
        let object = place(key, &budget.name);
        let spent = self.store.engine().read(move |view, now| spent(view, now, &object)).await?;
        let mut clients = self.clients();
        let client = clients.entry(key.clone()).or_default();
        client.taken.learn(&budget.name, spent);
        client.keep.retain(|name, _| client.taken.knows(name));
        client.keep.insert(Arc::clone(&budget.name), budget.keep);
        Ok(())
    }
}

#[async_trait]
impl<E: Engine> Quotas for KvQuotas<E> {
    async fn take(&self, key: &Key, ask: &QuotaAsk) -> Result<Decision, StoreError> {
        for budget in &ask.budgets {
            self.learn(key, budget).await?;
        }
        let now_us = self.clock.now_us();
        let mut clients = self.clients();
        if let Some(client) = clients.get_mut(key) {
            return Ok(client.taken.take(now_us, ask));
        }
        if clients.len() >= TIDY && clients.len() == clients.capacity() {
            clients.retain(|_, client| !client.taken.is_idle(now_us));
        }
        Ok(clients.entry(key.clone()).or_default().taken.take(now_us, ask))
    }

    async fn settle(&self, key: &Key, settle: &Settle) -> Result<(), StoreError> {
        let booked: Vec<_> = {
            let mut clients = self.clients();
            let Some(client) = clients.get_mut(key) else { return Ok(()) };
            let booked = client.taken.settle(self.clock.now_us(), settle);
            let keep = |name| client.keep.get(name).copied().unwrap_or_default();
            booked.iter().map(|(name, spent)| (place(key, name), *spent, keep(name))).collect()
        };
        if booked.is_empty() {
            return Ok(());
        }
        let book = move |draft: &mut Draft<'_>| {
            booked.iter().try_for_each(|(object, spent, keep)| book(draft, object, *spent, *keep))
        };
        self.store.engine().write(Wait::Visible, book).await
    }
}

fn place(key: &Key, period: &str) -> Vec<u8> {
    name::object(Kind::Spent, &key.tenant().key([key.id(), period].join("\0")))
}

fn spent(view: &dyn View, now: u64, object: &[u8]) -> Result<NanoDollars, StoreError> {
    let Some(json) = view.get(object)? else { return Ok(NanoDollars::default()) };
    let kept: Spent = record::read("budget", &json)?;
    Ok(if kept.expires > now { kept.sum } else { NanoDollars::default() })
}

/// Keeps what was spent. Two settlements may be kept in either order: the larger sum is the later.
fn book(
    draft: &mut Draft<'_>,
    object: &[u8],
    sum: NanoDollars,
    keep: Duration,
) -> Result<(), StoreError> {
    let sum = sum.max(spent(draft, draft.now, object)?);
    let before = draft.get(object)?;
    let before = before.map(|json| record::read::<Spent>("budget", &json)).transpose()?;
    let expires = draft.now.saturating_add(millis(keep));
    expiry::schedule(draft, object, before.map(|kept| kept.expires), expires);
    draft.put(object.to_vec(), record::write(&Spent { v: record::SCHEMA, expires, sum })?);
    Ok(())
}
