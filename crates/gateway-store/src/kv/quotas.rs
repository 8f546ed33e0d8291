//! Limits: rates and slots in memory, money in the map.
//!
//! A restart forgets rates and slots. What it finds of a budget is what was spent and what was set
//! aside for requests under way: money counts as spent until its request says otherwise, so that a
//! crash never makes a budget larger.

use super::{
    Durable, KvEngine, KvStore, expiry,
    key_layout::{self, RecordKind},
    write_txn::{ReadView, WriteTxn},
};
use crate::{
    clock::{StoreClock, millis},
    record,
};
use async_trait::async_trait;
use foldhash::HashMap;
use gateway_core::{
    NanoDollars,
    state::{
        BudgetLease, Key, LeaseReply, LeaseRequest, Quotas, SharedLimits, SpentBudget, StoreError,
    },
    sync,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex as Lock},
    time::Duration,
};
use tokio::sync::Mutex;

/// The limits of all clients.
pub(crate) struct KvQuotas<E> {
    store: Arc<KvStore<E>>,
    clock: StoreClock,
    clients: Lock<HashMap<Key, Arc<Mutex<ClientQuotas>>>>,
}

#[derive(Default)]
struct ClientQuotas {
    limits: SharedLimits,
    /// The sum of each budget as it stands in the map.
    written: HashMap<Arc<str>, NanoDollars>,
}

/// A sum to write, and whether more is set aside than before.
struct BudgetWrite {
    object: Vec<u8>,
    sum: NanoDollars,
    keep: Duration,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
struct SpentRecord {
    v: u32,
    expires: u64,
    sum: NanoDollars,
}

/// The number of clients from which on those that have been idle are looked for.
const TIDY: usize = 1_024;

impl<E: KvEngine> KvQuotas<E> {
    /// Limits whose money is kept in `store`.
    pub(crate) fn new(store: Arc<KvStore<E>>, clock: StoreClock) -> Self {
        Self { store, clock, clients: Lock::default() }
    }

    fn client(&self, key: &Key) -> Arc<Mutex<ClientQuotas>> {
        let mut clients = sync::lock(&self.clients);
        if let Some(client) = clients.get(key) {
            return Arc::clone(client);
        }
        if clients.len() >= TIDY && clients.len() == clients.capacity() {
            let now_us = self.clock.now_us();
            let is_idle = |client: &Arc<Mutex<ClientQuotas>>| {
                let limits = client.try_lock();
                Arc::strong_count(client) == 1 && limits.is_ok_and(|it| it.limits.is_idle(now_us))
            };
            clients.retain(|_, client| !is_idle(client));
        }
        Arc::clone(clients.entry(key.clone()).or_default())
    }

    /// Reads what was spent of a budget before this process used it.
    async fn load(
        &self,
        key: &Key,
        client: &mut ClientQuotas,
        budget: &BudgetLease,
    ) -> Result<(), StoreError> {
        if client.limits.budgets.contains_key(&budget.name) {
            return Ok(());
        }
        let object = place(key, &budget.name);
        let sum =
            self.store.engine().read(move |view, now| current_spending(view, now, &object)).await?;
        let keep = u64::try_from(budget.keep.as_micros()).unwrap_or(u64::MAX);
        let until_us = self.clock.now_us().saturating_add(keep);
        client
            .limits
            .budgets
            .insert(Arc::clone(&budget.name), SpentBudget { spent: sum, until_us });
        client.written.retain(|name, _| client.limits.budgets.contains_key(name));
        client.written.insert(Arc::clone(&budget.name), sum);
        Ok(())
    }

    /// Writes what budgets have come to: before money is given out, and soon after it came back.
    async fn write(&self, changes: Vec<BudgetWrite>, wait: Durable) -> Result<(), StoreError> {
        let write = move |draft: &mut WriteTxn<'_>| {
            changes.iter().try_for_each(|change| book(draft, change))
        };
        self.store.engine().write(wait, write).await
    }
}

impl ClientQuotas {
    /// The sums that differ from what is written, and how long to wait for them.
    fn changes(&mut self, key: &Key, request: &LeaseRequest) -> (Vec<BudgetWrite>, Durable) {
        let (mut changes, mut wait) = (Vec::new(), Durable::Visible);
        for budget in &request.budgets {
            let spent =
                self.limits.budgets.get(&budget.name).map(|it| it.spent).unwrap_or_default();
            let mut sum = spent;
            sum += self.limits.held(&budget.name);
            let written = self.written.entry(Arc::clone(&budget.name)).or_default();
            if sum > *written {
                wait = Durable::Safe;
            }
            if sum != *written {
                *written = sum;
                let object = place(key, &budget.name);
                changes.push(BudgetWrite { object, sum, keep: budget.keep });
            }
        }
        (changes, wait)
    }
}

#[async_trait]
impl<E: KvEngine> Quotas for KvQuotas<E> {
    async fn exchange(&self, key: &Key, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        let client = self.client(key);
        let mut client = client.lock().await;
        for budget in &request.budgets {
            self.load(key, &mut client, budget).await?;
        }
        let reply = client.limits.exchange(self.clock.now_us(), request);
        let (changes, wait) = client.changes(key, request);
        if changes.is_empty() {
            return Ok(reply);
        }
        let written = self.write(changes, wait).await;
        if written.is_err() {
            // What stands in the map is not known: it is written again with the next change.
            for budget in &request.budgets {
                client.written.insert(Arc::clone(&budget.name), NanoDollars(u64::MAX));
            }
        }
        written.map(|()| reply)
    }

    async fn replicas(&self, _: &str) -> Result<u64, StoreError> {
        Ok(1)
    }

    async fn reset_budget(&self, key: &Key, name: &str) -> Result<NanoDollars, StoreError> {
        let client = self.client(key);
        let mut client = client.lock().await;
        let object = place(key, name);
        let kept = object.clone();
        let read = move |view: &dyn ReadView, now| current_spending(view, now, &kept);
        let before = self.store.engine().read(read).await?;
        let held = client.limits.held(name);
        let known = client.limits.budgets.contains_key(name);
        let reset = client.limits.reset_budget(name);
        // The sum is written with what is set aside, which stays.
        client.written.insert(name.into(), held);
        let reset_sum = move |draft: &mut WriteTxn<'_>| unbook(draft, &object, held);
        let written = self.store.engine().write(Durable::Safe, reset_sum).await;
        if written.is_err() {
            client.written.insert(name.into(), NanoDollars(u64::MAX));
        }
        written.map(|()| if known { reset } else { before })
    }
}

fn place(key: &Key, period: &str) -> Vec<u8> {
    key_layout::object(RecordKind::Spent, &key.tenant().key([key.id(), period].join("\0")))
}

fn current_spending(
    view: &dyn ReadView,
    now: u64,
    object: &[u8],
) -> Result<NanoDollars, StoreError> {
    let kept = stored_spending(view, object)?.filter(|kept| kept.expires > now);
    Ok(kept.map(|kept| kept.sum).unwrap_or_default())
}

fn stored_spending(view: &dyn ReadView, object: &[u8]) -> Result<Option<SpentRecord>, StoreError> {
    view.get(object)?.map(|json| record::read("budget", &json)).transpose()
}

/// Lowers what a budget has come to, if it has begun.
fn unbook(draft: &mut WriteTxn<'_>, object: &[u8], sum: NanoDollars) -> Result<(), StoreError> {
    if let Some(known) = stored_spending(draft, object)? {
        draft.put(object.to_vec(), record::write(&SpentRecord { sum, ..known })?);
    }
    Ok(())
}

/// Keeps what a budget has come to.
fn book(draft: &mut WriteTxn<'_>, change: &BudgetWrite) -> Result<(), StoreError> {
    let object = &change.object;
    let spent = match stored_spending(draft, object)? {
        Some(kept) if kept.expires > draft.now => SpentRecord { sum: change.sum, ..kept },
        gone => {
            let expires = draft.now.saturating_add(millis(change.keep));
            expiry::schedule(draft, object, gone.map(|kept| kept.expires), expires);
            SpentRecord { v: record::SCHEMA, expires, sum: change.sum }
        }
    };
    draft.put(object.clone(), record::write(&spent)?);
    Ok(())
}
