//! The contract of the quota store.

use crate::backend::{BackendFactory, foreign, key};
use gateway_core::{
    NanoDollars,
    state::{BudgetLease, LeaseReply, LeaseRequest, Quotas, Rate, RateLease, Refusal, SlotLease},
};
use gateway_store::StoreLimits;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time};

const MINUTE: Duration = Duration::from_mins(1);

fn of(holder: &str) -> LeaseRequest {
    LeaseRequest { holder: holder.into(), lease: MINUTE, ..LeaseRequest::default() }
}

fn rate(name: &str, per_minute: u64, burst: u64, need: u64) -> RateLease {
    let rate = Rate::new(per_minute, burst);
    RateLease { name: name.into(), rate, settle: 0, need, extra: 0 }
}

fn slots(limit: u64, held: u64, need: u64) -> Vec<SlotLease> {
    vec![SlotLease { name: "all".into(), limit, held, need, extra: 0 }]
}

fn budget(limit: u64, spent: u64, held: u64, need: u64) -> BudgetLease {
    BudgetLease {
        name: "2026-11".into(),
        limit: NanoDollars(limit),
        spent: NanoDollars(spent),
        acknowledged: NanoDollars(0),
        held: NanoDollars(held),
        need: NanoDollars(need),
        extra: NanoDollars(0),
        keep: MINUTE,
    }
}

async fn exchange(quotas: &dyn Quotas, request: &LeaseRequest) -> LeaseReply {
    quotas.exchange(&key("c"), request).await.unwrap()
}

pub(crate) async fn reset_budget_begins_anew(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let of_holder = |spent, held, need| LeaseRequest {
        budgets: vec![budget(100, spent, held, need)],
        ..of("h")
    };
    assert_eq!(exchange(quotas, &of_holder(0, 0, 90)).await.refused, None);
    // 70 were spent, and 20 are held by an open request.
    let reply = exchange(quotas, &of_holder(70, 20, 0)).await;
    assert_eq!((reply.budgets[0].spent, reply.budgets[0].left), (NanoDollars(70), NanoDollars(10)));
    let spent = quotas.reset_budget(&key("c"), "2026-11").await.unwrap();
    assert_eq!(spent, NanoDollars(70));
    let reply = exchange(quotas, &of_holder(70, 20, 0)).await;
    assert_eq!((reply.budgets[0].spent, reply.budgets[0].left), (NanoDollars(0), NanoDollars(80)));
    // What is spent after the reset counts.
    let reply = exchange(quotas, &of_holder(85, 0, 0)).await;
    assert_eq!((reply.budgets[0].spent, reply.budgets[0].left), (NanoDollars(15), NanoDollars(85)));
    assert_eq!(quotas.reset_budget(&key("c"), "2027-01").await.unwrap(), NanoDollars(0));
    assert_eq!(quotas.reset_budget(&key("other"), "2026-11").await.unwrap(), NanoDollars(0));
}

pub(crate) async fn rate_limit_allows_burst_and_refills(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let one = LeaseRequest { rates: vec![rate("requests", 120, 3, 1)], ..of("h") };
    for _ in 0..3 {
        let reply = exchange(quotas, &one).await;
        assert_eq!((reply.refused, reply.rates[0].granted), (None, 1));
        assert!(reply.rates[0].reset > Duration::ZERO);
    }
    let reply = exchange(quotas, &one).await;
    let Some(Refusal::Rate { name, retry_after }) = reply.refused else { panic!("{reply:?}") };
    assert_eq!((&*name, reply.rates[0].granted), ("requests", 0));
    assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_millis(500));
    time::sleep(retry_after + Duration::from_millis(5)).await;
    assert_eq!(exchange(quotas, &one).await.refused, None);
    assert!(exchange(quotas, &one).await.refused.is_some());
    let huge = LeaseRequest { rates: vec![rate("tokens", 120, 3, 4)], ..of("h") };
    let refused = exchange(quotas, &huge).await.refused;
    assert_eq!(refused, Some(Refusal::TooLarge { name: "tokens".into() }));
}

pub(crate) async fn returned_and_owed_units_are_settled(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let take = |need, settle| LeaseRequest {
        rates: vec![RateLease { settle, ..rate("tokens", 1, 10, need) }],
        ..of("h")
    };
    assert_eq!(exchange(quotas, &take(8, 0)).await.rates[0].granted, 8);
    assert_eq!(exchange(quotas, &take(8, -6)).await.rates[0].granted, 8);
    assert!(exchange(quotas, &take(1, 0)).await.refused.is_some(), "all ten are taken");
    assert!(exchange(quotas, &take(0, -6)).await.refused.is_none(), "six are back");
    assert!(exchange(quotas, &take(0, 4)).await.refused.is_none(), "four more were used");
    assert!(exchange(quotas, &take(3, 0)).await.refused.is_some(), "two are left");
    assert!(exchange(quotas, &take(2, 0)).await.refused.is_none());
}

pub(crate) async fn lease_takes_at_most_half_of_remaining_units(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let ahead = |extra| LeaseRequest {
        rates: vec![RateLease { extra, ..rate("requests", 1, 101, 1) }],
        slots: vec![SlotLease { extra, ..slots(5, 0, 1)[0].clone() }],
        budgets: vec![BudgetLease { extra: NanoDollars(extra), ..budget(101, 0, 0, 1) }],
        ..of("h")
    };
    let reply = exchange(quotas, &ahead(100)).await;
    assert_eq!((reply.rates[0].granted, reply.slots[0].granted), (51, 3));
    assert_eq!(reply.budgets[0].granted, NanoDollars(26));
    assert_eq!((reply.slots[0].left, reply.budgets[0].left), (2, NanoDollars(75)));
}

pub(crate) async fn limits_are_charged_atomically(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let both = |holder: &str| LeaseRequest {
        rates: vec![rate("requests", 1, 2, 1), rate("tokens", 1, 10, 6)],
        slots: slots(5, 0, 1),
        ..of(holder)
    };
    assert_eq!(exchange(quotas, &both("1")).await.refused, None);
    let reply = exchange(quotas, &both("2")).await;
    let is_tokens =
        matches!(&reply.refused, Some(Refusal::Rate { name, .. }) if **name == *"tokens");
    assert!(is_tokens, "{reply:?}");
    // Neither the other limit nor a slot was taken.
    let small = LeaseRequest { rates: vec![rate("requests", 1, 2, 1)], ..of("3") };
    let with_slot = LeaseRequest { slots: slots(2, 0, 1), ..small.clone() };
    assert_eq!(exchange(quotas, &with_slot).await.refused, None);
    assert!(exchange(quotas, &small).await.refused.is_some());
}

pub(crate) async fn released_slots_are_reused(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let take =
        |holder: &str, held, need| LeaseRequest { slots: slots(2, held, need), ..of(holder) };
    assert_eq!(exchange(quotas, &take("a", 0, 1)).await.refused, None);
    assert_eq!(exchange(quotas, &take("b", 0, 1)).await.refused, None);
    let refused = exchange(quotas, &take("c", 0, 1)).await.refused;
    assert_eq!(refused, Some(Refusal::Slots { name: "all".into() }));
    // Reports are absolute: saying it again changes nothing.
    for _ in 0..2 {
        assert_eq!(exchange(quotas, &take("a", 0, 0)).await.slots[0].left, 1);
    }
    assert_eq!(exchange(quotas, &take("c", 0, 1)).await.refused, None);
    assert!(exchange(quotas, &take("a", 0, 1)).await.refused.is_some());
}

pub(crate) async fn dead_holder_frees_slots_and_its_money_counts_as_spent(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let lease = Duration::from_millis(300);
    let take = |holder: &str, spent, held, need| LeaseRequest {
        lease,
        slots: slots(1, u64::from(need == 0), u64::from(need > 0)),
        budgets: vec![budget(100, spent, held, need)],
        ..of(holder)
    };
    assert_eq!(exchange(quotas, &take("a", 0, 0, 60)).await.refused, None);
    assert!(exchange(quotas, &take("b", 0, 0, 30)).await.refused.is_some(), "the slot is held");
    time::sleep(lease + Duration::from_millis(50)).await;
    let reply = exchange(quotas, &take("b", 0, 0, 30)).await;
    assert_eq!((reply.refused, reply.budgets[0].left), (None, NanoDollars(10)), "60 are lost");
    // It was not dead after all, and has spent 5 of them.
    let only = |it: LeaseRequest| LeaseRequest { slots: Vec::new(), ..it };
    let reply = exchange(quotas, &only(take("a", 5, 0, 0))).await;
    assert_eq!(reply.budgets[0].left, NanoDollars(65));
}

pub(crate) async fn reserved_money_is_settled(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let report = |holder: &str, spent, held, need| LeaseRequest {
        budgets: vec![budget(100, spent, held, need)],
        ..of(holder)
    };
    assert_eq!(exchange(quotas, &report("a", 0, 0, 40)).await.refused, None);
    assert_eq!(exchange(quotas, &report("b", 0, 0, 40)).await.refused, None);
    let refused = exchange(quotas, &report("c", 0, 0, 40)).await.refused;
    assert_eq!(refused, Some(Refusal::Budget { name: "2026-11".into() }));
    // Said twice, it counts once.
    for _ in 0..2 {
        assert_eq!(exchange(quotas, &report("a", 5, 0, 0)).await.budgets[0].left, NanoDollars(55));
    }
    assert_eq!(exchange(quotas, &report("c", 0, 0, 40)).await.refused, None);
    assert_eq!(exchange(quotas, &report("b", 90, 0, 0)).await.budgets[0].left, NanoDollars(0));
    assert_eq!(exchange(quotas, &report("c", 0, 0, 0)).await.budgets[0].left, NanoDollars(5));
    let next = BudgetLease { name: "2026-12".into(), ..budget(100, 0, 0, 40) };
    let next = LeaseRequest { budgets: vec![next], ..of("d") };
    assert_eq!(exchange(quotas, &next).await.refused, None);
}

pub(crate) async fn clients_do_not_share_limits(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &*stores.quotas;
    let one = LeaseRequest { rates: vec![rate("requests", 1, 1, 1)], ..of("h") };
    assert_eq!(exchange(quotas, &one).await.refused, None);
    assert!(exchange(quotas, &one).await.refused.is_some());
    assert_eq!(quotas.exchange(&foreign("c"), &one).await.unwrap().refused, None);
    assert_eq!(quotas.exchange(&key("another"), &one).await.unwrap().refused, None);
}

pub(crate) async fn concurrent_charges_never_exceed_limit(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = Arc::new(bench.open().await);
    let mut tasks = JoinSet::new();
    for worker in 0..8 {
        let stores = Arc::clone(&stores);
        tasks.spawn(async move {
            let mut taken = 0;
            let rates = vec![RateLease { extra: 2, ..rate("requests", 1, 37, 1) }];
            let request = LeaseRequest { rates, ..of(&worker.to_string()) };
            for _ in 0..50 {
                taken += exchange(&*stores.quotas, &request).await.rates[0].granted;
            }
            taken
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u64>(), 37);
}
