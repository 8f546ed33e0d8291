//! Several replicas over one store, in paused time.

use super::*;
use crate::{
    Client, LimitError, LimitPolicy, Limiter, LimiterSettings, QuotaDemand, QuotaReservation,
    TokenEstimate,
};
use async_trait::async_trait;
use gateway_core::{
    NanoDollars, Price,
    state::{LeaseReply, LeaseRequest, SharedLimits},
};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicI64};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A store that can be away, with a clock that can be set.
struct Store {
    limits: Mutex<SharedLimits>,
    is_away: AtomicBool,
    /// The microseconds by which the clock of the store is off.
    shift_us: AtomicI64,
    started: Instant,
    calls: AtomicU64,
}

impl Store {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            limits: Mutex::default(),
            is_away: AtomicBool::new(false),
            shift_us: AtomicI64::new(0),
            started: Instant::now(),
            calls: AtomicU64::new(0),
        })
    }

    fn there(&self) -> Result<(), StoreError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("away".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Quotas for Store {
    async fn exchange(&self, _: &Key, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        self.there()?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap();
        let now_us = (1_790_000_000_000_000 + elapsed)
            .saturating_add_signed(self.shift_us.load(Ordering::Relaxed));
        Ok(lock(&self.limits).exchange(now_us, request))
    }

    async fn replicas(&self, _: &str) -> Result<u64, StoreError> {
        self.there()?;
        Ok(4)
    }

    async fn reset_budget(&self, _: &Key, name: &str) -> Result<NanoDollars, StoreError> {
        self.there()?;
        Ok(lock(&self.limits).reset_budget(name))
    }
}

/// A gateway; dropped without closing, it has crashed.
struct Replica {
    accounts: LimitAccounts,
    limiter: Limiter,
    client: Client,
    _running: tokio::task::JoinSet<()>,
}

impl Replica {
    fn start(store: &Arc<Store>, policy: &LimitPolicy) -> Self {
        let accounts = LimitAccounts::new(Arc::clone(store) as Arc<dyn Quotas>);
        let settings = LimiterSettings {
            anonymous: LimitPolicy::default(),
            assumed_output: 0,
            unpriced: crate::UnpricedPolicy::Allow,
            tenants: Vec::new(),
        };
        let limiter = Limiter::new(accounts.clone(), &settings);
        let client = Client::new("c", "t").limited(policy, &accounts);
        let running = tokio::task::JoinSet::from_iter([accounts.clone().run()]);
        Self { accounts, limiter, client, _running: running }
    }

    async fn reserve(
        &self,
        tokens: u64,
        price: Option<&Price>,
    ) -> Result<Option<QuotaReservation>, LimitError> {
        let input = TokenEstimate::known(tokens);
        let demand = QuotaDemand {
            models: ["m", "m"],
            input: &input,
            output: Some(0),
            units: gateway_core::BilledUnits::NONE,
            price,
            tier: None,
        };
        let granted = self.limiter.reserve(&self.client, PEER, &demand).await?;
        Ok(granted.reservation)
    }

    async fn is_granted(&self) -> bool {
        self.reserve(1, None).await.is_ok()
    }
}

/// A price at which a token costs one billionth of a dollar.
fn price() -> Price {
    Price::from(gateway_core::TokenRates {
        input: 1_000_000,
        ..gateway_core::TokenRates::default()
    })
}

fn replicas(store: &Arc<Store>, policy: &LimitPolicy) -> Vec<Replica> {
    (0..4).map(|_| Replica::start(store, policy)).collect()
}

/// Four replicas that are asked for twice what the limit has: what was let in, and the ideal.
async fn saturate(policy: &LimitPolicy, per_minute: u64, cost: u64) -> (u64, u64, u64) {
    let store = Store::new();
    let replicas = replicas(&store, policy);
    let (step, time) = (Duration::from_millis(5), Duration::from_mins(2));
    let per_step = (per_minute / cost * 2 / 12_000).max(1);
    let started = Instant::now();
    let mut granted = 0;
    while started.elapsed() < time {
        for n in 0..per_step {
            let replica = &replicas[usize::try_from(n % 4).unwrap()];
            if let Ok(reservation) = replica.reserve(cost, None).await {
                granted += cost;
                if let Some(reservation) = reservation {
                    reservation.settle(cost, NanoDollars(0));
                }
            }
        }
        time::sleep(step).await;
    }
    let elapsed = u64::try_from(started.elapsed().as_micros()).unwrap();
    let grown = u128::from(per_minute) * u128::from(elapsed) / 60_000_000;
    let ideal = per_minute + u64::try_from(grown).unwrap();
    (granted, ideal, store.calls.load(Ordering::Relaxed))
}

/// A limit lets in no more than it has, and at most one in a hundred less.
#[track_caller]
fn check_exact((granted, ideal, calls): (u64, u64, u64)) {
    eprintln!("{granted} of {ideal}, {calls} calls");
    assert!(granted <= ideal, "{granted} of {ideal}");
    assert!(granted * 100 >= ideal * 99, "{granted} of {ideal}");
}

#[tokio::test(start_paused = true)]
async fn four_replicas_admit_within_one_percent_of_requests() {
    for per_minute in [60, 6_000, 600_000] {
        let policy = LimitPolicy { requests_per_minute: Some(per_minute), ..Default::default() };
        check_exact(saturate(&policy, per_minute, 1).await);
    }
}

#[tokio::test(start_paused = true)]
async fn four_replicas_admit_within_one_percent_of_forty_million_tokens() {
    let per_minute = 40_000_000;
    let policy = LimitPolicy { tokens_per_minute: Some(per_minute), ..Default::default() };
    check_exact(saturate(&policy, per_minute, 2_000).await);
}

/// A key in steady use below its limit asks the store some twenty times a second, however many
/// requests it makes.
#[tokio::test(start_paused = true)]
async fn steady_use_asks_the_store_twenty_times_a_second() {
    let store = Store::new();
    let policy = LimitPolicy { requests_per_minute: Some(600_000), ..Default::default() };
    let replica = Replica::start(&store, &policy);
    for _ in 0..2_000 {
        for _ in 0..10 {
            assert!(replica.is_granted().await);
        }
        time::sleep(Duration::from_millis(5)).await;
    }
    let calls = store.calls.load(Ordering::Relaxed);
    eprintln!("{calls} calls for 20,000 requests in ten seconds");
    assert!(calls <= 10 * 30, "{calls}");
}

#[tokio::test(start_paused = true)]
async fn outage_admits_no_more_than_the_rate_and_three_bursts() {
    let store = Store::new();
    let policy =
        LimitPolicy { requests_per_minute: Some(3_000), burst: Some(100), ..Default::default() };
    let replicas = replicas(&store, &policy);
    time::sleep(Duration::from_secs(4)).await;
    let started = Instant::now();
    let mut granted = 0;
    for n in 0..6_000_usize {
        let away = (1_500..4_500).contains(&n);
        store.is_away.store(away, Ordering::Relaxed);
        granted += u64::from(replicas[n % 4].is_granted().await);
        time::sleep(Duration::from_millis(5)).await;
    }
    let regular = 50 * u64::try_from(started.elapsed().as_millis()).unwrap() / 1_000;
    eprintln!("{granted}, regularly {regular}");
    assert!(granted <= regular + 3 * 100, "{granted} of {regular}");
    assert!(granted * 10 > regular * 8, "{granted} of {regular}");
}

#[tokio::test(start_paused = true)]
async fn budget_is_lent_for_a_minute_of_an_outage_and_booked_after() {
    let store = Store::new();
    let policy = LimitPolicy { daily_budget: Some(NanoDollars(400)), ..Default::default() };
    let replica = Replica::start(&store, &policy);
    time::sleep(Duration::from_secs(4)).await;
    let price = price();
    let spend = async |count: u64| {
        let mut spent = 0;
        for _ in 0..count {
            if let Ok(Some(held)) = replica.reserve(10, Some(&price)).await {
                held.settle(10, NanoDollars(10));
                spent += 10;
            }
        }
        spent
    };
    assert_eq!(spend(4).await, 40);
    time::sleep(Duration::from_secs(3)).await;
    store.is_away.store(true, Ordering::Relaxed);
    // 360 are left, of which a quarter is this replica's to lend.
    assert_eq!(spend(40).await, 90);
    time::sleep(Duration::from_secs(61)).await;
    let refused = replica.reserve(10, Some(&price)).await.unwrap_err();
    assert_eq!(refused.error.code(), "budget_unknown");
    store.is_away.store(false, Ordering::Relaxed);
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(spend(40).await, 270, "what was lent is booked");
    assert_eq!(spend(1).await, 0);
}

#[tokio::test(start_paused = true)]
async fn slots_of_dead_replica_are_free_within_thirty_seconds() {
    let store = Store::new();
    let policy = LimitPolicy { concurrent: Some(2), ..Default::default() };
    let (doomed, other) = (Replica::start(&store, &policy), Replica::start(&store, &policy));
    let held = [doomed.reserve(1, None).await.unwrap(), doomed.reserve(1, None).await.unwrap()];
    time::sleep(Duration::from_mins(2)).await;
    assert!(!other.is_granted().await, "a heartbeat keeps them");
    std::mem::forget(held);
    drop(doomed);
    time::sleep(Duration::from_secs(30)).await;
    assert!(other.is_granted().await);
}

#[tokio::test(start_paused = true)]
async fn lowered_limit_applies_at_once_and_usage_survives_reload() {
    let store = Store::new();
    let policy = |concurrent, per_minute| LimitPolicy {
        concurrent: Some(concurrent),
        requests_per_minute: Some(per_minute),
        ..Default::default()
    };
    let mut replica = Replica::start(&store, &policy(10, 20));
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(replica.reserve(1, None).await.unwrap());
    }
    let accounts = replica.accounts.clone();
    replica.client = Client::new("c", "t").limited(&policy(5, 20), &accounts);
    assert!(!replica.is_granted().await, "eight are open, five may be");
    held.truncate(4);
    assert!(replica.is_granted().await);
    replica.client = Client::new("c", "t").limited(&policy(5, 9), &accounts);
    held.clear();
    assert!(!replica.is_granted().await, "nine were used in this minute");
}

#[tokio::test(start_paused = true)]
async fn dropped_reservation_returns_tokens_and_money() {
    let store = Store::new();
    let policy = LimitPolicy {
        tokens_per_minute: Some(100),
        daily_budget: Some(NanoDollars(100)),
        ..Default::default()
    };
    let (replica, price) = (Replica::start(&store, &policy), price());
    for _ in 0..20 {
        let held = replica.reserve(100, Some(&price)).await.unwrap();
        assert!(replica.reserve(100, Some(&price)).await.is_err());
        drop(held);
    }
}

/// One event in the life of four replicas and their store.
#[derive(Clone, Debug)]
enum Event {
    Request { replica: usize, cost: u64 },
    Settle { at: usize, actual: u64 },
    Wait(u64),
    Crash(usize),
    Away(bool),
    Clock(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        12 => (0..4_usize, 1..30_u64).prop_map(|(replica, cost)| Event::Request { replica, cost }),
        8 => (0..40_usize, 0..30_u64).prop_map(|(at, actual)| Event::Settle { at, actual }),
        6 => (1..3_000_u64).prop_map(Event::Wait),
        1 => (0..4_usize).prop_map(Event::Crash),
        1 => any::<bool>().prop_map(Event::Away),
        1 => prop::sample::select(vec![-3_600_000_000_i64, -1_000_000, 1_000_000])
            .prop_map(Event::Clock),
    ];
    proptest::collection::vec(event, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    /// Whatever crashes, outages and steps of the clock: while nothing costs more than its estimate,
    /// no more is spent than the budget and what replicas lent in outages, each its share.
    #[test]
    fn budget_is_never_overspent_by_more_than_was_lent(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        let (spent, lent) = runtime.block_on(simulate(events));
        prop_assert!(spent <= 500 + lent, "{spent} spent, {lent} lent");
    }
}

/// Returns the units that were spent or are held by open requests, and the most that may be lost in
/// leases.
async fn simulate(events: Vec<Event>) -> (u64, u64) {
    let store = Store::new();
    let policy = LimitPolicy { monthly_budget: Some(NanoDollars(500)), ..Default::default() };
    let mut all = replicas(&store, &policy);
    let (price, mut spent, mut outages) = (price(), 0, 0);
    let mut held: Vec<(usize, u64, QuotaReservation)> = Vec::new();
    time::sleep(Duration::from_secs(4)).await;
    for event in events {
        match event {
            Event::Request { replica, cost } => {
                if let Ok(Some(taken)) = all[replica].reserve(cost, Some(&price)).await {
                    held.push((replica, cost, taken));
                }
            }
            Event::Settle { at, actual } if !held.is_empty() => {
                let (_, cost, taken) = held.swap_remove(at % held.len());
                taken.settle(0, NanoDollars(actual.min(cost)));
                spent += actual.min(cost);
            }
            Event::Settle { .. } => {}
            Event::Wait(millis) => time::sleep(Duration::from_millis(millis)).await,
            Event::Crash(replica) => {
                // Nothing of it is reported any more; its requests cost what they were to cost.
                for (_, cost, taken) in held.extract_if(.., |it| it.0 == replica) {
                    spent += cost;
                    std::mem::forget(taken);
                }
                all[replica] = Replica::start(&store, &policy);
                time::sleep(Duration::from_millis(60)).await;
            }
            Event::Away(away) => {
                let was = store.is_away.swap(away, Ordering::Relaxed);
                outages += u64::from(away && !was);
            }
            Event::Clock(us) => drop(store.shift_us.fetch_add(us, Ordering::Relaxed)),
        }
    }
    // In each outage four replicas, and those that were started in it, may lend what was left.
    let under_way: u64 = held.iter().map(|(_, cost, _)| cost).sum();
    (spent + under_way, outages * 2 * 500)
}
