//! The accounts of all clients, and their way to the store that replicas share.

use crate::{
    account::{AccountState, LeaseAttempt, LimitAccount, OutageShare, RenewalReason},
    budget_alerts::BudgetAlerts,
    charges::Charges,
    rate_limit_status::RateLimitStatus,
};
use arc_swap::ArcSwapOption;
use foldhash::HashMap;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use gateway_core::state::{Key, Quotas, Refusal, StoreError};
use gateway_core::sync::lock;
use std::{
    fmt, mem,
    net::IpAddr,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{self, Instant};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The interval at which accounts in use report, renew and return their leases.
const TICK: Duration = Duration::from_millis(50);

/// The heartbeat interval of a replica.
const ROLL_CALL: Duration = Duration::from_secs(3);

/// The time for which an unresponsive store is retried before the replica's share is used.
const GRACE: Duration = Duration::from_secs(1);

/// The time between attempts to reach a store that is unavailable.
const PAUSE: Duration = Duration::from_millis(50);

/// The time of an outage after which money is no longer lent.
const LENDING: Duration = Duration::from_mins(1);

/// The number of accounts that are renewed at one time.
const PARALLEL: usize = 64;

/// Maximum number of addresses with an account of their own.
const MAX_PEERS: usize = 65_536;

/// The maximum number of tries for a lease that concurrent requests use up.
const ATTEMPTS: usize = 8;

/// The accounts of all clients of this replica. They outlive a configuration, so that usage counts
/// after a reload.
#[derive(Clone)]
pub struct LimitAccounts(Arc<Inner>);

struct Inner {
    quotas: Arc<dyn Quotas>,
    tasks: TaskTracker,
    replica: String,
    /// The clock of shares in an outage: it never goes back.
    started: Instant,
    next_holder: AtomicU64,
    replicas: AtomicU64,
    outage: Mutex<Option<StoreOutage>>,
    clients: Mutex<HashMap<Key, Weak<LimitAccount>>>,
    peers: Mutex<HashMap<IpAddr, Arc<LimitAccount>>>,
    active: Mutex<Vec<Arc<LimitAccount>>>,
    alerts: ArcSwapOption<BudgetAlerts>,
}

#[derive(Clone, Copy)]
struct StoreOutage {
    since: Instant,
    /// The time of the last call to the store.
    asked: Instant,
}

/// The result of a reservation.
#[derive(Debug)]
pub(crate) enum ReserveResult {
    /// All was taken; in an outage, from this replica's share.
    Taken { status: RateLimitStatus, in_outage: bool },
    /// A limit has no room.
    Refused(Refusal, RateLimitStatus),
    /// The store failed without an outage. Nothing was charged.
    Failed(StoreError),
}

impl LimitAccounts {
    /// Creates accounts whose limits are in `quotas`.
    pub fn new(quotas: Arc<dyn Quotas>) -> Self {
        Self(Arc::new(Inner {
            quotas,
            tasks: TaskTracker::new(),
            replica: Uuid::new_v4().simple().to_string(),
            started: Instant::now(),
            next_holder: AtomicU64::new(0),
            replicas: AtomicU64::new(1),
            outage: Mutex::default(),
            clients: Mutex::default(),
            peers: Mutex::default(),
            active: Mutex::default(),
            alerts: ArcSwapOption::empty(),
        }))
    }

    /// Reports budgets that are spent to a threshold from now on; none if absent.
    pub fn set_alerts(&self, alerts: Option<BudgetAlerts>) {
        self.0.alerts.store(alerts.map(Arc::new));
    }

    pub(crate) fn quotas(&self) -> &dyn Quotas {
        &*self.0.quotas
    }

    /// Renews leases and reports usage until dropped.
    pub async fn run(self) {
        let (mut ticks, mut roll_call) = (time::interval(TICK), time::interval(ROLL_CALL));
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        roll_call.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.renew(RenewalReason::Tick).await,
                _ = roll_call.tick() => self.count_replicas().await,
            }
        }
    }

    /// Reports usage and returns all leases, within a short deadline.
    pub async fn close(&self) {
        self.0.tasks.close();
        let close = async {
            self.0.tasks.wait().await;
            self.renew(RenewalReason::Close).await;
        };
        // A store that does not answer by then frees the leases when they end.
        let _ = time::timeout(Duration::from_secs(2), close).await;
    }

    /// The account of the client called `key`.
    pub(crate) fn client(&self, key: Key) -> Arc<LimitAccount> {
        let mut clients = lock(&self.0.clients);
        if let Some(account) = clients.get(&key).and_then(Weak::upgrade) {
            return account;
        }
        clients.retain(|_, account| account.strong_count() > 0);
        let account = self.open(key.clone(), AccountState::default());
        clients.insert(key, Arc::downgrade(&account));
        account
    }

    /// Returns the account of callers without a key at `peer`, opened as `template` if there is
    /// none.
    pub(crate) fn peer(
        &self,
        peer: IpAddr,
        key: impl FnOnce() -> Option<Key>,
        template: &AccountState,
    ) -> Option<Arc<LimitAccount>> {
        let mut peers = lock(&self.0.peers);
        if let Some(account) = peers.get(&peer) {
            return Some(Arc::clone(account));
        }
        if peers.len() >= MAX_PEERS {
            peers.retain(|_, it| Arc::strong_count(it) > 1 || !it.state().is_idle());
        }
        let account = self.open(key()?, template.clone());
        if peers.len() < MAX_PEERS {
            peers.insert(peer, Arc::clone(&account));
        }
        Some(account)
    }

    fn open(&self, key: Key, state: AccountState) -> Arc<LimitAccount> {
        let number = self.0.next_holder.fetch_add(1, Ordering::Relaxed);
        let holder = format!("{}/{number}", self.0.replica);
        Arc::new(LimitAccount::new(key, holder.into(), state))
    }

    /// Takes what a request needs: from the account's leases, else from the store.
    ///
    /// # Cancel safety
    ///
    /// A caller that leaves while the store is asked leaves nothing taken: the call goes on, and
    /// what it brings stays in the lease.
    pub(crate) async fn take(
        &self,
        account: &Arc<LimitAccount>,
        charges: &Charges,
    ) -> ReserveResult {
        if let Some(taking) = self.attempt(account, charges) {
            return taking;
        }
        let (this, other, charges) = (self.clone(), Arc::clone(account), *charges);
        let mut asking = Box::pin(async move { this.reserve_queued(&other, &charges).await });
        // A store in this process has answered by now.
        if let Some(taking) = (&mut asking).now_or_never() {
            return taking.take();
        }
        match self.0.tasks.spawn(asking).await {
            Ok(taken) => taken.take(),
            Err(error) => ReserveResult::Failed(StoreError::Unavailable(error.into())),
        }
    }

    /// Serves a request from leases; nothing if they do not reach.
    fn attempt(&self, account: &Arc<LimitAccount>, charges: &Charges) -> Option<ReserveResult> {
        let attempt = account.state().try_take(charges, Instant::now());
        match attempt {
            LeaseAttempt::Taken(status) => {
                self.list(account);
                Some(ReserveResult::Taken { status, in_outage: false })
            }
            LeaseAttempt::Refused(refusal, status) => Some(ReserveResult::Refused(refusal, status)),
            LeaseAttempt::Short => None,
        }
    }

    async fn reserve_queued(
        &self,
        account: &Arc<LimitAccount>,
        charges: &Charges,
    ) -> PendingReservation {
        let turn = account.turn.lock().await;
        let taking = self.reserve_in_turn(account, charges).await;
        drop(turn);
        PendingReservation { account: Arc::clone(account), charges: *charges, taking: Some(taking) }
    }

    async fn reserve_in_turn(
        &self,
        account: &Arc<LimitAccount>,
        charges: &Charges,
    ) -> ReserveResult {
        let mut attempts = 0;
        loop {
            // Another request may have brought enough for this one.
            if let Some(taking) = self.attempt(account, charges) {
                return taking;
            }
            if self.is_hopeless(charges) {
                return self.take_share(account, charges);
            }
            attempts += 1;
            match self.exchange(account, RenewalReason::Need(charges)).await {
                Ok(Some(refusal)) => {
                    let status = account.state().status(charges, Instant::now());
                    return ReserveResult::Refused(refusal, status);
                }
                Ok(None) if attempts < ATTEMPTS => {}
                Ok(None) => return self.take_share(account, charges),
                Err(error) if error.is_outage() => {
                    if charges.takes_money() && self.is_in_grace() {
                        time::sleep(PAUSE).await;
                    } else {
                        return self.take_share(account, charges);
                    }
                }
                Err(error) => return ReserveResult::Failed(error),
            }
        }
    }

    /// Whether the store was unavailable a moment ago, so that this request need not call it.
    fn is_hopeless(&self, charges: &Charges) -> bool {
        let outage = *lock(&self.0.outage);
        outage.is_some_and(|it| it.asked.elapsed() < PAUSE)
            && !(charges.takes_money() && self.is_in_grace())
    }

    fn is_in_grace(&self) -> bool {
        lock(&self.0.outage).is_some_and(|it| it.since.elapsed() < GRACE)
    }

    /// Serves a request without the store, within this replica's share.
    fn take_share(&self, account: &Arc<LimitAccount>, charges: &Charges) -> ReserveResult {
        let lends = lock(&self.0.outage).is_none_or(|it| it.since.elapsed() <= LENDING);
        let replicas = self.0.replicas.load(Ordering::Relaxed);
        let now_us = u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut state = account.state();
        let taken = state.take_share(charges, OutageShare { replicas, lends, now_us });
        let status = state.status(charges, Instant::now());
        drop(state);
        self.list(account);
        match taken {
            Ok(()) => ReserveResult::Taken { status, in_outage: true },
            Err(refusal) => ReserveResult::Refused(refusal, status),
        }
    }

    /// Calls the store and returns its reply.
    pub(crate) async fn exchange(
        &self,
        account: &Arc<LimitAccount>,
        renewal: RenewalReason<'_>,
    ) -> Result<Option<Refusal>, StoreError> {
        let sent = account.state().renew(&account.holder, renewal, Instant::now());
        let Some(sent) = sent else { return Ok(None) };
        let answer = self.0.quotas.exchange(&account.key, &sent.request).await;
        let now = Instant::now();
        match answer {
            Ok(reply) => {
                let movements = account.state().apply(&sent, &reply, now);
                if let Some(alerts) = &*self.0.alerts.load() {
                    for movement in &movements {
                        alerts.check(&account.key, movement);
                    }
                }
                *lock(&self.0.outage) = None;
                self.list(account);
                Ok(reply.refused)
            }
            Err(error) => {
                account.state().lost(&sent);
                self.list(account);
                if error.is_outage() {
                    let mut outage = lock(&self.0.outage);
                    let since = outage.map_or(now, |it| it.since);
                    *outage = Some(StoreOutage { since, asked: now });
                }
                Err(error)
            }
        }
    }

    /// Sees to it that `account` is renewed.
    pub(crate) fn list(&self, account: &Arc<LimitAccount>) {
        if account.list() {
            lock(&self.0.active).push(Arc::clone(account));
        }
    }

    /// Renews the leases of all accounts in use.
    pub(crate) async fn renew(&self, renewal: RenewalReason<'_>) {
        let accounts = mem::take(&mut *lock(&self.0.active));
        let renew = |account: Arc<LimitAccount>| async move {
            if let Ok(turn) = account.turn.try_lock() {
                let outage = *lock(&self.0.outage);
                if outage.is_none_or(|it| it.asked.elapsed() >= PAUSE) {
                    // What is not reported now is reported with the next renewal.
                    drop(self.exchange(&account, renewal).await);
                }
                drop(turn);
            }
            account.unlist();
            if !account.state().is_idle() {
                self.list(&account);
            }
        };
        stream::iter(accounts).for_each_concurrent(PARALLEL, renew).await;
    }

    async fn count_replicas(&self) {
        if let Ok(replicas) = self.0.quotas.replicas(&self.0.replica).await {
            self.0.replicas.store(replicas.max(1), Ordering::Relaxed);
        }
    }
}

/// The quota taken for a request whose caller may have left; returned to the account on drop.
struct PendingReservation {
    account: Arc<LimitAccount>,
    charges: Charges,
    taking: Option<ReserveResult>,
}

impl PendingReservation {
    fn take(mut self) -> ReserveResult {
        let lost = || ReserveResult::Failed(StoreError::Invalid("a reservation was lost"));
        self.taking.take().unwrap_or_else(lost)
    }
}

impl Drop for PendingReservation {
    fn drop(&mut self) {
        if let Some(ReserveResult::Taken { in_outage, .. }) = self.taking {
            self.account.settle(&self.charges, in_outage, 0, gateway_core::NanoDollars(0));
        }
    }
}

impl fmt::Debug for LimitAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitAccounts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
