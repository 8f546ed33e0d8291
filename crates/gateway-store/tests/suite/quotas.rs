//! What limits must do.

use crate::backend::{Which, foreign, key};
use gateway_core::{
    NanoDollars,
    state::{BudgetAsk, Decision, PlaceAsk, QuotaAsk, Quotas, Rate, RateAsk, Refusal, Settle},
};
use gateway_store::StoreLimits;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time};

const MINUTE: Duration = Duration::from_mins(1);

fn rate(name: &str, burst: u64, millis: u64, cost: u64) -> RateAsk {
    RateAsk { name: name.into(), rate: Rate { interval_us: millis * 1_000, burst }, cost }
}

fn ask(request: &str) -> QuotaAsk {
    QuotaAsk { request: request.into(), lease: MINUTE, ..QuotaAsk::default() }
}

fn places(limit: u64) -> Vec<PlaceAsk> {
    vec![PlaceAsk { name: "all".into(), limit }]
}

fn settle(request: &str, cost: u64) -> Settle {
    Settle { request: request.into(), cost: NanoDollars(cost), ..Settle::default() }
}

async fn granted(quotas: &dyn Quotas, ask: &QuotaAsk) -> bool {
    matches!(quotas.take(&key("c"), ask).await.unwrap(), Decision::Granted(_))
}

pub(crate) async fn a_rate_takes_a_burst_and_grows_back(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let ask = QuotaAsk { rates: vec![rate("requests", 3, 500, 1)], ..ask("r") };
    for left in [2, 1, 0] {
        let decision = quotas.take(&key("c"), &ask).await.unwrap();
        let Decision::Granted(all) = decision else { panic!("{decision:?}") };
        assert_eq!(all.rates[0].units, left);
        assert!(all.rates[0].reset > Duration::ZERO);
    }
    let decision = quotas.take(&key("c"), &ask).await.unwrap();
    let Decision::Refused(Refusal::Rate { name, retry_after, remaining }) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!((&*name, remaining.units), ("requests", 0));
    assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_millis(500));
    time::sleep(retry_after + Duration::from_millis(5)).await;
    assert!(granted(&**quotas, &ask).await);
    assert!(!granted(&**quotas, &ask).await);
    let huge = QuotaAsk { rates: vec![rate("tokens", 3, 500, 4)], ..ask };
    let decision = quotas.take(&key("c"), &huge).await.unwrap();
    assert_eq!(decision, Decision::Refused(Refusal::TooLarge { name: "tokens".into() }));
}

pub(crate) async fn limits_are_taken_together_or_not_at_all(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let rates = vec![rate("requests", 2, 60_000, 1), rate("tokens", 10, 60_000, 6)];
    let both = QuotaAsk { rates, places: places(5), ..ask("1") };
    assert!(granted(&**quotas, &both).await);
    let decision = quotas.take(&key("c"), &QuotaAsk { request: "2".into(), ..both }).await.unwrap();
    let is_tokens = |it: &Refusal| matches!(it, Refusal::Rate { name, .. } if **name == *"tokens");
    assert!(matches!(&decision, Decision::Refused(it) if is_tokens(it)), "{decision:?}");
    // Neither the other limit nor a place was taken.
    let small = QuotaAsk { rates: vec![rate("requests", 2, 60_000, 1)], ..ask("3") };
    assert!(granted(&**quotas, &QuotaAsk { places: places(2), ..small.clone() }).await);
    assert!(!granted(&**quotas, &small).await);
}

pub(crate) async fn places_are_given_back(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let of_two = |request| QuotaAsk { places: places(2), ..ask(request) };
    assert!(granted(&**quotas, &of_two("a")).await);
    assert!(granted(&**quotas, &of_two("a")).await, "the same request has its place");
    assert!(granted(&**quotas, &of_two("b")).await);
    let refused = quotas.take(&key("c"), &of_two("c")).await.unwrap();
    assert_eq!(refused, Decision::Refused(Refusal::Places { name: "all".into() }));
    for _ in 0..2 {
        quotas.settle(&key("c"), &settle("a", 0)).await.unwrap();
    }
    quotas.settle(&key("c"), &settle("unknown", 0)).await.unwrap();
    assert!(granted(&**quotas, &of_two("c")).await);
    assert!(!granted(&**quotas, &of_two("d")).await);
}

pub(crate) async fn a_place_nobody_gives_back_is_free_in_the_end(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let budget = BudgetAsk { reserve: NanoDollars(90), ..budget() };
    let lease = Duration::from_millis(300);
    let of_one = |request| QuotaAsk {
        lease,
        places: places(1),
        budgets: vec![budget.clone()],
        ..ask(request)
    };
    assert!(granted(&**quotas, &of_one("a")).await);
    assert!(!granted(&**quotas, &of_one("b")).await);
    time::sleep(lease + Duration::from_millis(50)).await;
    assert!(granted(&**quotas, &of_one("b")).await, "neither the place nor the money is held");
}

fn budget() -> BudgetAsk {
    BudgetAsk {
        name: "2026-11".into(),
        limit: NanoDollars(100),
        reserve: NanoDollars(40),
        keep: MINUTE,
    }
}

pub(crate) async fn money_is_reserved_and_then_spent(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let costly = |request| QuotaAsk { budgets: vec![budget()], ..ask(request) };
    assert!(granted(&**quotas, &costly("a")).await);
    assert!(granted(&**quotas, &costly("b")).await);
    let refused = quotas.take(&key("c"), &costly("c")).await.unwrap();
    assert_eq!(refused, Decision::Refused(Refusal::Budget { name: "2026-11".into() }));
    quotas.settle(&key("c"), &settle("a", 5)).await.unwrap();
    quotas.settle(&key("c"), &settle("a", 5)).await.unwrap();
    // 5 are spent and 40 reserved: 55 are left.
    assert!(granted(&**quotas, &costly("c")).await);
    assert!(!granted(&**quotas, &costly("d")).await);
    quotas.settle(&key("c"), &settle("b", 90)).await.unwrap();
    quotas.settle(&key("c"), &settle("c", 0)).await.unwrap();
    assert!(!granted(&**quotas, &costly("e")).await, "95 are spent");
    let mut next = budget();
    next.name = "2026-12".into();
    assert!(granted(&**quotas, &QuotaAsk { budgets: vec![next], ..ask("f") }).await);
}

pub(crate) async fn corrections_are_made_once(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let tokens = rate("tokens", 10, 60_000, 8);
    let ten = QuotaAsk { rates: vec![tokens.clone()], ..ask("a") };
    assert!(granted(&**quotas, &ten).await);
    let back = Settle { corrections: vec![("tokens".into(), tokens.rate, -6)], ..settle("a", 0) };
    quotas.settle(&key("c"), &back).await.unwrap();
    quotas.settle(&key("c"), &back).await.unwrap();
    assert!(granted(&**quotas, &QuotaAsk { request: "b".into(), ..ten.clone() }).await);
    assert!(
        !granted(&**quotas, &QuotaAsk { rates: vec![rate("tokens", 10, 60_000, 1)], ..ask("c") })
            .await
    );
}

pub(crate) async fn clients_do_not_share_limits(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let one = QuotaAsk { rates: vec![rate("requests", 1, 60_000, 1)], ..ask("a") };
    assert!(granted(&**quotas, &one).await);
    assert!(!granted(&**quotas, &one).await);
    let other = quotas.take(&foreign("c"), &one).await.unwrap();
    assert!(matches!(other, Decision::Granted(_)));
    let other = quotas.take(&key("another"), &one).await.unwrap();
    assert!(matches!(other, Decision::Granted(_)));
}

pub(crate) async fn many_at_once_take_no_more_than_there_is(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = Arc::new(bench.open().await);
    let mut tasks = JoinSet::new();
    for worker in 0..8 {
        let stores = Arc::clone(&stores);
        tasks.spawn(async move {
            let mut taken = 0;
            for n in 0..50 {
                let rates = vec![rate("requests", 37, 3_600_000, 1)];
                let ask = QuotaAsk { rates, ..ask(&format!("{worker}-{n}")) };
                taken += u32::from(granted(&*stores.quotas, &ask).await);
            }
            taken
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 37);
}

pub(crate) async fn a_look_takes_nothing(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let rates = vec![rate("requests", 1, 60_000, 1)];
    let all = QuotaAsk { rates, places: places(1), budgets: vec![budget()], ..ask("a") };
    let look = QuotaAsk { look: true, ..all.clone() };
    for _ in 0..3 {
        let decision = quotas.take(&key("c"), &look).await.unwrap();
        let Decision::Granted(left) = decision else { panic!("{decision:?}") };
        let units: Vec<_> = left.rates.iter().map(|it| it.units).collect();
        assert_eq!(
            (&*units, &*left.places, &*left.budgets),
            (&[0][..], &[0][..], &[NanoDollars(60)][..])
        );
    }
    assert!(granted(&**quotas, &all).await);
    let other = QuotaAsk { request: "b".into(), ..look };
    assert!(!granted(&**quotas, &other).await, "what is taken is seen");
}

pub(crate) async fn all_limits_of_a_kind_count(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let named = |name: &str, limit| PlaceAsk { name: name.into(), limit };
    let day = BudgetAsk { name: "day".into(), ..budget() };
    let of = |request: &str, model: &str| QuotaAsk {
        places: vec![named("all", 3), named(model, 1)],
        budgets: vec![budget(), day.clone()],
        ..ask(request)
    };
    let cheap = |request: &str, model: &str| QuotaAsk { budgets: Vec::new(), ..of(request, model) };
    assert!(granted(&**quotas, &of("1", "m1")).await);
    let refused = quotas.take(&key("c"), &of("2", "m1")).await.unwrap();
    assert_eq!(refused, Decision::Refused(Refusal::Places { name: "m1".into() }));
    assert!(granted(&**quotas, &cheap("2", "m2")).await);
    assert!(granted(&**quotas, &cheap("3", "m3")).await);
    let refused = quotas.take(&key("c"), &cheap("4", "m4")).await.unwrap();
    assert_eq!(refused, Decision::Refused(Refusal::Places { name: "all".into() }));
    quotas.settle(&key("c"), &settle("1", 70)).await.unwrap();
    // 70 are spent of both budgets: a reservation of 40 has no room.
    let only_day = QuotaAsk { budgets: vec![day.clone()], ..ask("5") };
    let refused = quotas.take(&key("c"), &only_day).await.unwrap();
    assert_eq!(refused, Decision::Refused(Refusal::Budget { name: "day".into() }));
    assert!(!granted(&**quotas, &QuotaAsk { budgets: vec![budget()], ..ask("5") }).await);
    assert!(granted(&**quotas, &cheap("5", "m1")).await, "the places are free again");
}

pub(crate) async fn without_a_lease_nothing_is_held(on: Which) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let quotas = &stores.quotas;
    let fleeting = QuotaAsk { lease: Duration::ZERO, places: places(1), ..ask("a") };
    assert!(granted(&**quotas, &fleeting).await);
    assert!(granted(&**quotas, &QuotaAsk { request: "b".into(), ..fleeting }).await);
}
