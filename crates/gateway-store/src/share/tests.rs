use super::*;
use gateway_core::state::{Rate, Tenant};
use std::sync::atomic::AtomicBool;

/// A store that can be away, and that three gateways share.
#[derive(Default)]
struct Store {
    is_away: AtomicBool,
    /// How many questions it does not answer in time.
    late: AtomicU64,
    taken: Mutex<Taken>,
}

impl Store {
    fn there(&self) -> Result<(), StoreError> {
        let one_less = |late: u64| late.checked_sub(1);
        let is_late = self.late.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        if is_late.is_ok() || self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("away".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Quotas for Store {
    async fn take(&self, _: &Key, ask: &QuotaAsk) -> Result<Decision, StoreError> {
        self.there()?;
        Ok(self.taken.lock().unwrap().take(1, ask))
    }

    async fn settle(&self, _: &Key, settle: &Settle) -> Result<(), StoreError> {
        self.there()?;
        self.taken.lock().unwrap().settle(1, settle);
        Ok(())
    }
}

#[async_trait]
impl Gathering for Store {
    async fn replicas(&self, _: &str) -> Result<u64, StoreError> {
        self.there()?;
        Ok(3)
    }
}

fn key() -> Key {
    Tenant::new("t").unwrap().key("c")
}

fn shared() -> (Arc<Store>, Arc<Share<Store>>) {
    let store = Arc::new(Store::default());
    let share = Arc::new(Share::new(Arc::clone(&store), StoreClock::new()));
    (store, share)
}

async fn is_granted(share: &Share<Store>, ask: &QuotaAsk) -> bool {
    matches!(share.take(&key(), ask).await.unwrap(), Decision::Granted(_))
}

fn of_rate(burst: u64, interval: Duration) -> QuotaAsk {
    let interval_us = u64::try_from(interval.as_micros()).unwrap();
    let rate = Rate { interval_us, burst };
    let rates = vec![RateAsk { name: "requests".into(), rate, cost: 1 }];
    QuotaAsk { request: "r".into(), rates, ..QuotaAsk::default() }
}

/// However long the store is away, and however many gateways there are, no more is let in without
/// it than `rate * t` and one burst.
#[tokio::test(start_paused = true)]
async fn outage_admits_at_most_local_share() {
    let (store, share) = shared();
    let running = tokio::task::JoinSet::from_iter([Arc::clone(&share).run()]);
    time::sleep(Duration::from_millis(10)).await;
    assert_eq!(share.replicas.load(Ordering::Relaxed), 3);
    store.is_away.store(true, Ordering::Relaxed);
    let (burst, interval) = (30, Duration::from_millis(100));
    let ask = of_rate(burst, interval);
    let (began, mut granted) = (time::Instant::now(), 0);
    for _ in 0..2_000 {
        granted += u64::from(is_granted(&share, &ask).await);
        time::sleep(Duration::from_millis(10)).await;
    }
    let t = u64::try_from(began.elapsed().as_millis()).unwrap();
    let most = (t / 100 + burst) / 3;
    assert!((most - 1..=most).contains(&granted), "{granted} of {most}");
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn budget_is_available_locally_for_one_minute() {
    let (store, share) = shared();
    store.is_away.store(true, Ordering::Relaxed);
    let budget = BudgetAsk {
        name: "day".into(),
        limit: NanoDollars(100),
        reserve: NanoDollars(10),
        keep: LENDING,
    };
    let ask = |request: &str| QuotaAsk {
        request: request.into(),
        lease: LENDING * 5,
        budgets: vec![budget.clone()],
        ..QuotaAsk::default()
    };
    assert!(is_granted(&share, &ask("a")).await);
    time::sleep(LENDING + Duration::from_secs(1)).await;
    let decision = share.take(&key(), &ask("b")).await.unwrap();
    assert_eq!(decision, Decision::Refused(Refusal::Unknown { name: "day".into() }));
    let settle = Settle { request: "a".into(), cost: NanoDollars(95), ..Settle::default() };
    share.settle(&key(), &settle).await.unwrap();
    store.is_away.store(false, Ordering::Relaxed);
    share.pay().await;
    let refused = share.take(&key(), &ask("c")).await.unwrap();
    assert_eq!(refused, Decision::Refused(Refusal::Budget { name: "day".into() }), "95 are booked");
}

#[tokio::test(start_paused = true)]
async fn admissions_before_outage_are_settled_after() {
    let (store, share) = shared();
    let places = vec![PlaceAsk { name: "all".into(), limit: 1 }];
    let ask = |request: &str| QuotaAsk {
        request: request.into(),
        lease: LENDING,
        places: places.clone(),
        ..QuotaAsk::default()
    };
    assert!(is_granted(&share, &ask("a")).await);
    store.is_away.store(true, Ordering::Relaxed);
    let settle = Settle { request: "a".into(), ..Settle::default() };
    share.settle(&key(), &settle).await.unwrap();
    store.is_away.store(false, Ordering::Relaxed);
    assert!(!is_granted(&share, &ask("b")).await);
    share.pay().await;
    assert!(is_granted(&share, &ask("b")).await);
}

/// A request that may cost 10 of a budget of 100.
fn costly(request: &str) -> QuotaAsk {
    let budget = BudgetAsk {
        name: "day".into(),
        limit: NanoDollars(100),
        reserve: NanoDollars(10),
        keep: LENDING,
    };
    QuotaAsk {
        request: request.into(),
        lease: LENDING * 5,
        budgets: vec![budget],
        ..QuotaAsk::default()
    }
}

/// Lets in what there is room for, of `count` requests whose names begin with `prefix`, and has each
/// of them cost what was reserved: what they come to.
async fn spend(share: &Share<Store>, prefix: &str, count: usize) -> u64 {
    let mut spent = 0;
    for number in 0..count {
        let request = format!("{prefix}{number}");
        if is_granted(share, &costly(&request)).await {
            let settle =
                Settle { request: request.into(), cost: NanoDollars(10), ..Settle::default() };
            share.settle(&key(), &settle).await.unwrap();
            spent += 10;
        }
    }
    spent
}

/// Two answers too late, whenever they come: an overloaded store, and no outage.
#[tokio::test(start_paused = true)]
async fn slow_store_does_not_enlarge_budget() {
    let (store, share) = shared();
    let mut spent = 0;
    for round in 0..20 {
        store.late.store(2, Ordering::Relaxed);
        spent += spend(&share, &format!("{round}-"), 1).await;
    }
    assert_eq!(spent, 100);
    assert_eq!(spend(&share, "more", 1).await, 0);
}

#[tokio::test(start_paused = true)]
async fn local_budget_is_limited_to_remaining() {
    let (store, share) = shared();
    let running = tokio::task::JoinSet::from_iter([Arc::clone(&share).run()]);
    time::sleep(Duration::from_millis(10)).await;
    assert_eq!(spend(&share, "before", 4).await, 40);
    store.is_away.store(true, Ordering::Relaxed);
    // Sixty are left, of which twenty are this gateway's to give.
    assert_eq!(spend(&share, "during", 10).await, 20);
    store.is_away.store(false, Ordering::Relaxed);
    assert_eq!(spend(&share, "back", 1).await, 10);
    time::sleep(Duration::from_millis(10)).await;
    assert_eq!(spend(&share, "after", 10).await, 30, "what was lent is booked at once");
    store.is_away.store(true, Ordering::Relaxed);
    assert_eq!(spend(&share, "again", 10).await, 0, "nothing is left to lend");
    drop(running);
}

/// Whoever waits for a store does so in the first second of its absence only.
#[tokio::test(start_paused = true)]
async fn first_outage_is_retried_for_one_second() {
    let (store, share) = shared();
    store.is_away.store(true, Ordering::Relaxed);
    let began = time::Instant::now();
    assert!(is_granted(&share, &costly("a")).await);
    assert_eq!(began.elapsed().as_secs(), 1);
    let began = time::Instant::now();
    assert!(is_granted(&share, &costly("b")).await);
    assert!(is_granted(&share, &of_rate(1, LENDING)).await);
    assert_eq!(began.elapsed(), Duration::ZERO);
}
