use super::*;
use gateway_core::state::{Rate, Tenant};
use std::sync::atomic::AtomicBool;

/// A store that can be away, and that three gateways share.
#[derive(Default)]
struct Store {
    is_away: AtomicBool,
    taken: Mutex<Taken>,
}

impl Store {
    fn there(&self) -> Result<(), StoreError> {
        if self.is_away.load(Ordering::Relaxed) {
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
    let share = Arc::new(Share::new(Arc::clone(&store), Clock::new()));
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
async fn an_outage_lets_in_no_more_than_its_share() {
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
async fn money_is_lent_for_a_minute() {
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
async fn what_was_let_in_before_is_settled_after() {
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
