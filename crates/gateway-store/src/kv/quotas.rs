//! Limits: rates and places in memory, money in the map.

use super::{
    Durable, KvEngine, KvStore, expiry,
    key_layout::{self, RecordKind},
    write_txn::{ReadView, WriteTxn},
};
use crate::{
    clock::{StoreClock, millis},
    local::Taken,
    record,
};
use async_trait::async_trait;
use foldhash::HashMap;
use gateway_core::{
    NanoDollars,
    state::{BudgetAsk, Decision, Key, QuotaAsk, Quotas, Settle, StoreError},
    sync,
};
use serde::{Deserialize, Serialize};
use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// The limits of all clients.
pub(crate) struct KvQuotas<E> {
    store: Arc<KvStore<E>>,
    clock: StoreClock,
    clients: Mutex<HashMap<Key, Client>>,
    unwritten: Arc<Mutex<Unwritten>>,
}

#[derive(Default)]
struct Client {
    taken: Taken,
    budgets: HashMap<Arc<str>, Budget>,
}

/// Where what was spent of a budget is kept.
#[derive(Clone)]
struct Budget {
    object: Arc<[u8]>,
    /// For how long, from the first spending on.
    keep: Duration,
}

/// What was spent and is still to be written. Who spends while a write is on its way only adds to
/// what it takes along.
#[derive(Default)]
struct Unwritten {
    sums: Sums,
    is_on_its_way: bool,
    /// What was last written. Nobody else writes it.
    written: HashMap<Arc<[u8]>, Spent>,
}

type Sums = HashMap<Arc<[u8]>, (NanoDollars, Duration)>;

/// A write that is on its way. If it is dropped, the next one that spends begins another.
struct Writing(Arc<Mutex<Unwritten>>);

#[derive(Clone, Copy, Deserialize, Serialize)]
struct Spent {
    v: u32,
    expires: u64,
    sum: NanoDollars,
}

/// Of how many budgets is remembered what was last written.
const REMEMBERED: usize = 10_000;

/// From how many clients on those that have been idle are looked for.
const TIDY: usize = 1_024;

impl<E: KvEngine> KvQuotas<E> {
    /// Limits whose money is kept in `store`.
    pub(crate) fn new(store: Arc<KvStore<E>>, clock: StoreClock) -> Self {
        Self { store, clock, clients: Mutex::default(), unwritten: Arc::default() }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Key, Client>> {
        lock(&self.clients)
    }

    /// Makes sure that it is known what was spent before.
    async fn learn(&self, key: &Key, budget: &BudgetAsk) -> Result<(), StoreError> {
        let knows = |client: &Client| client.taken.knows(&budget.name);
        if self.clients().get(key).is_some_and(knows) {
            return Ok(());
        }
        let object: Arc<[u8]> = place(key, &budget.name).into();
        let it = Budget { object: Arc::clone(&object), keep: budget.keep };
        let spent = self.store.engine().read(move |view, now| spent(view, now, &object)).await?;
        let mut clients = self.clients();
        let client = clients.entry(key.clone()).or_default();
        client.taken.learn(&budget.name, spent);
        client.budgets.retain(|name, _| client.taken.knows(name));
        client.budgets.insert(Arc::clone(&budget.name), it);
        Ok(())
    }

    /// Ends what a request took. Says what its budgets have come to.
    fn end(&self, key: &Key, settle: &Settle) -> Vec<(Budget, NanoDollars)> {
        let mut clients = self.clients();
        let Some(client) = clients.get_mut(key) else { return Vec::new() };
        let booked = client.taken.settle(self.clock.now_us(), settle);
        let place = |(name, sum)| Some((client.budgets.get(&name)?.clone(), sum));
        booked.into_iter().filter_map(place).collect()
    }
}

#[async_trait]
impl<E: KvEngine> Quotas for KvQuotas<E> {
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
        let booked = self.end(key, settle);
        if booked.is_empty() {
            return Ok(());
        }
        let Some(writing) = Writing::begin(&self.unwritten, booked) else { return Ok(()) };
        let unwritten = Arc::clone(&writing.0);
        let write = move |txn: &mut WriteTxn<'_>| lock(&unwritten).write(txn);
        let written = self.store.engine().write(Durable::Visible, write).await;
        if written.is_err() {
            lock(&self.unwritten).written.clear();
        }
        written
    }
}

impl Unwritten {
    /// Writes all of it.
    fn write(&mut self, txn: &mut WriteTxn<'_>) -> Result<(), StoreError> {
        self.is_on_its_way = false;
        if self.written.len() > REMEMBERED {
            self.written.clear();
        }
        for (object, (sum, keep)) in mem::take(&mut self.sums) {
            let before = match self.written.get(&object) {
                Some(written) => Some(*written),
                None => kept(txn, &object)?,
            };
            let spent = book(txn, &object, before, (sum, keep))?;
            self.written.insert(object, spent);
        }
        Ok(())
    }
}

impl Writing {
    /// Notes what is to be written; nothing if a write is on its way that takes it along.
    fn begin(
        unwritten: &Arc<Mutex<Unwritten>>,
        booked: Vec<(Budget, NanoDollars)>,
    ) -> Option<Self> {
        let mut all = lock(unwritten);
        for (Budget { object, keep }, sum) in booked {
            let kept = all.sums.entry(object).or_insert((sum, keep));
            kept.0 = kept.0.max(sum);
        }
        let is_first = !mem::replace(&mut all.is_on_its_way, true);
        is_first.then(|| Self(Arc::clone(unwritten)))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        lock(&self.0).is_on_its_way = false;
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    sync::lock(it)
}

fn place(key: &Key, period: &str) -> Vec<u8> {
    key_layout::object(RecordKind::Spent, &key.tenant().key([key.id(), period].join("\0")))
}

fn spent(view: &dyn ReadView, now: u64, object: &[u8]) -> Result<NanoDollars, StoreError> {
    let kept = kept(view, object)?.filter(|kept| kept.expires > now);
    Ok(kept.map(|kept| kept.sum).unwrap_or_default())
}

fn kept(view: &dyn ReadView, object: &[u8]) -> Result<Option<Spent>, StoreError> {
    view.get(object)?.map(|json| record::read("budget", &json)).transpose()
}

/// Keeps what was spent, and says what is kept now. Two settlements may come in either order: the
/// larger sum is the later.
fn book(
    txn: &mut WriteTxn<'_>,
    object: &[u8],
    before: Option<Spent>,
    (sum, keep): (NanoDollars, Duration),
) -> Result<Spent, StoreError> {
    let spent = match before {
        Some(kept) if kept.expires > txn.now => Spent { sum: sum.max(kept.sum), ..kept },
        gone => {
            let expires = txn.now.saturating_add(millis(keep));
            expiry::schedule(txn, object, gone.map(|kept| kept.expires), expires);
            Spent { v: record::SCHEMA, expires, sum }
        }
    };
    txn.put(object.to_vec(), record::write(&spent)?);
    Ok(spent)
}
