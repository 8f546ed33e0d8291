//! The contracts of the stores of responses, replays, reasoning, cached values and usage records.

use crate::backend::{BackendFactory, foreign, key};
use bytes::Bytes;
use gateway_core::{
    Dialect, NanoDollars, Reasoning, Seal, SealKind, Usage,
    state::{
        AdmittedRequest, Batch, BeginResult, ClientKey, Key, KeyHash, ReasoningStore, Replay,
        RequestOutcome, ReservedUsage, ResponseEvents, StoredReasoning, StoredResponse, Tenant,
        Totals, WriteOutcome,
    },
};
use gateway_store::StoreLimits;
use std::time::Duration;
use tokio::time;

const MINUTE: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(400);
const LONGER: Duration = Duration::from_millis(600);

fn response(body: &'static str, in_progress: bool) -> StoredResponse {
    StoredResponse { body: Bytes::from_static(body.as_bytes()), in_progress, lease: None }
}

pub(crate) async fn response_is_stored_until_expiry(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let responses = &stores.responses;
    assert_eq!(responses.get(&key("r")).await.unwrap(), None);
    responses.put(&key("r"), &response("\u{0}one", false), MINUTE).await.unwrap();
    responses.put(&key("short"), &response("x", false), SHORT).await.unwrap();
    assert_eq!(responses.get(&key("r")).await.unwrap(), Some(response("\u{0}one", false)));
    assert_eq!(responses.get(&foreign("r")).await.unwrap(), None);
    assert!(!responses.delete(&foreign("r")).await.unwrap());
    time::sleep(LONGER).await;
    assert_eq!(responses.get(&key("short")).await.unwrap(), None);
    assert!(!responses.delete(&key("short")).await.unwrap());
    assert!(responses.delete(&key("r")).await.unwrap());
    assert_eq!(responses.get(&key("r")).await.unwrap(), None);
}

pub(crate) async fn abandoned_response_is_ended_by_another(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let responses = &stores.responses;
    let begun = StoredResponse { lease: Some(SHORT), ..response("begun", true) };
    let ended = response("ended", false);
    responses.put(&key("r"), &begun, MINUTE).await.unwrap();
    assert!(!responses.get(&key("r")).await.unwrap().unwrap().is_abandoned());
    assert!(!responses.end_abandoned(&key("r"), &ended, MINUTE).await.unwrap());
    time::sleep(LONGER).await;
    assert!(responses.get(&key("r")).await.unwrap().unwrap().is_abandoned());
    assert!(responses.events(&key("r"), 0, 9).await.unwrap().unwrap().is_abandoned());
    // It was slow, not gone.
    assert!(responses.renew(&key("r"), SHORT).await.unwrap());
    assert!(!responses.end_abandoned(&key("r"), &ended, MINUTE).await.unwrap());
    time::sleep(LONGER).await;
    assert!(!responses.end_abandoned(&foreign("r"), &ended, MINUTE).await.unwrap());
    assert!(responses.end_abandoned(&key("r"), &ended, MINUTE).await.unwrap());
    assert!(!responses.end_abandoned(&key("r"), &ended, MINUTE).await.unwrap());
    assert_eq!(responses.get(&key("r")).await.unwrap(), Some(ended));
    assert!(!responses.renew(&key("r"), SHORT).await.unwrap(), "it has ended");
    let without = response("a list", true);
    responses.put(&key("list"), &without, MINUTE).await.unwrap();
    assert_eq!(responses.get(&key("list")).await.unwrap(), Some(without));
}

pub(crate) async fn repeated_append_stores_events_once(on: BackendFactory) {
    let bench = on(StoreLimits { response_events: 4, ..StoreLimits::default() });
    let stores = bench.open().await;
    let responses = &stores.responses;
    let steps = |text: &'static str| text.split(' ').map(Bytes::from).collect::<Vec<_>>();
    let append = async |from, text| responses.append(&key("r"), from, &steps(text)).await.unwrap();
    assert_eq!(append(0, "a").await, WriteOutcome::Gone);
    responses.put(&key("r"), &response("{}", true), MINUTE).await.unwrap();
    assert_eq!(append(0, "a b").await, WriteOutcome::Done(2));
    assert_eq!(append(0, "a b").await, WriteOutcome::Duplicate(2));
    assert_eq!(append(1, "b c").await, WriteOutcome::Done(3), "only what is new is added");
    assert_eq!(append(4, "e").await, WriteOutcome::Conflict(3));
    assert_eq!(append(3, "d e").await, WriteOutcome::Full);
    let events = async |from, limit| responses.events(&key("r"), from, limit).await.unwrap();
    let expected =
        |text, in_progress| Some(ResponseEvents { events: steps(text), in_progress, lease: None });
    assert_eq!(events(0, 99).await, expected("a b c", true));
    assert_eq!(events(1, 1).await, expected("b", true));
    assert_eq!(responses.events(&foreign("r"), 0, 9).await.unwrap(), None);
    responses.put(&key("r"), &response("{1}", false), MINUTE).await.unwrap();
    assert_eq!(events(0, 99).await, expected("a b c", false), "a complete answer keeps its steps");
    assert_eq!(append(3, "d").await, WriteOutcome::Gone);
    assert_eq!(responses.get(&key("r")).await.unwrap(), Some(response("{1}", false)));
}

pub(crate) async fn recreated_response_has_no_old_events(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let responses = &stores.responses;
    responses.put(&key("r"), &response("old", true), SHORT).await.unwrap();
    responses.append(&key("r"), 0, &[Bytes::from_static(b"old")]).await.unwrap();
    time::sleep(SHORT + Duration::from_millis(20)).await;
    responses.put(&key("r"), &response("new", true), MINUTE).await.unwrap();
    let found = responses.events(&key("r"), 0, 9).await.unwrap().unwrap();
    assert!(found.events.is_empty());
    responses.delete(&key("r")).await.unwrap();
    assert_eq!(responses.events(&key("r"), 0, 9).await.unwrap(), None);
}

fn replay() -> Replay {
    Replay {
        status: 201,
        content_type: "text/event-stream".into(),
        body: Bytes::from_static(b"data: \xff\0\n\n"),
    }
}

pub(crate) async fn idempotency_key_runs_request_once(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let it = &stores.idempotency;
    let (mine, other) = ([1; 32], [2; 32]);
    let begin = async |key: Key, print, token| it.begin(&key, print, token, MINUTE).await.unwrap();
    assert_eq!(begin(key("k"), &mine, "a").await, BeginResult::New);
    assert_eq!(begin(key("k"), &mine, "a").await, BeginResult::New, "the same attempt asks again");
    assert_eq!(begin(key("k"), &mine, "b").await, BeginResult::InProgress);
    assert_eq!(begin(key("k"), &other, "b").await, BeginResult::Mismatch);
    assert_eq!(begin(foreign("k"), &mine, "c").await, BeginResult::New);
    assert!(!it.finish(&key("k"), "b", &replay(), MINUTE).await.unwrap(), "it is not b's");
    assert!(it.finish(&key("k"), "a", &replay(), MINUTE).await.unwrap());
    assert_eq!(begin(key("k"), &mine, "b").await, BeginResult::Done(replay()));
    assert_eq!(begin(key("k"), &other, "b").await, BeginResult::Mismatch);
    it.abandon(&key("k"), "a").await.unwrap();
    assert_eq!(
        begin(key("k"), &mine, "b").await,
        BeginResult::Done(replay()),
        "what is done stays"
    );
}

pub(crate) async fn abandoned_attempt_frees_idempotency_key(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let it = &stores.idempotency;
    it.begin(&key("k"), &[1; 32], "a", MINUTE).await.unwrap();
    it.abandon(&key("k"), "b").await.unwrap();
    let begun = it.begin(&key("k"), &[1; 32], "b", MINUTE).await.unwrap();
    assert_eq!(begun, BeginResult::InProgress, "it is not b's");
    it.abandon(&key("k"), "a").await.unwrap();
    it.abandon(&key("k"), "a").await.unwrap();
    assert_eq!(it.begin(&key("k"), &[2; 32], "b", MINUTE).await.unwrap(), BeginResult::New);
    assert!(!it.finish(&key("k"), "a", &replay(), MINUTE).await.unwrap());
}

pub(crate) async fn expired_lease_frees_idempotency_key(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let it = &stores.idempotency;
    it.begin(&key("k"), &[1; 32], "a", SHORT).await.unwrap();
    time::sleep(LONGER).await;
    assert_eq!(it.begin(&key("k"), &[2; 32], "b", MINUTE).await.unwrap(), BeginResult::New);
    assert!(!it.finish(&key("k"), "a", &replay(), MINUTE).await.unwrap());
    assert!(it.finish(&key("k"), "b", &replay(), SHORT).await.unwrap());
    time::sleep(LONGER).await;
    assert_eq!(it.begin(&key("k"), &[1; 32], "c", MINUTE).await.unwrap(), BeginResult::New);
}

pub(crate) async fn renewed_lease_keeps_idempotency_key(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let it = &stores.idempotency;
    it.begin(&key("k"), &[1; 32], "a", SHORT).await.unwrap();
    assert_eq!(it.begin(&key("k"), &[1; 32], "a", MINUTE).await.unwrap(), BeginResult::New);
    time::sleep(LONGER).await;
    assert_eq!(it.begin(&key("k"), &[1; 32], "b", MINUTE).await.unwrap(), BeginResult::InProgress);
    assert!(it.finish(&key("k"), "a", &replay(), MINUTE).await.unwrap());
}

fn aside(text: &str) -> StoredReasoning {
    let seal = Seal {
        dialect: Dialect::Messages,
        kind: SealKind::Signature,
        id: None,
        data: text.to_owned(),
    };
    let reasoning = Reasoning { text: text.to_owned(), seal: Some(seal.clone()) };
    StoredReasoning { reasoning: vec![reasoning], seal: Some(seal) }
}

async fn known_ids(side: &dyn ReasoningStore, ids: &str) -> String {
    let keys: Vec<_> = ids.split(' ').map(key).collect();
    let found = side.get(&keys).await.unwrap();
    let text = |it: &Option<StoredReasoning>| {
        it.as_ref().map_or("-".into(), |it| it.reasoning[0].text.clone())
    };
    found.iter().map(text).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn reasoning_is_found_by_tool_call(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let side = &stores.side;
    assert!(side.get(&[]).await.unwrap().is_empty());
    side.put(&key("a"), &aside("one"), MINUTE).await.unwrap();
    side.put(&key("b"), &aside("two"), SHORT).await.unwrap();
    side.put(&foreign("c"), &aside("three"), MINUTE).await.unwrap();
    assert_eq!(known_ids(&**side, "b a c none").await, "two one - -");
    assert_eq!(side.get(&[key("a")]).await.unwrap(), [Some(aside("one"))]);
    side.put(&key("a"), &aside("other"), MINUTE).await.unwrap();
    time::sleep(LONGER).await;
    assert_eq!(known_ids(&**side, "a b").await, "other -");
}

pub(crate) async fn oldest_reasoning_is_evicted(on: BackendFactory) {
    let bench = on(StoreLimits { asides: 3, ..StoreLimits::default() });
    let stores = bench.open().await;
    let side = &stores.side;
    side.put(&foreign("a"), &aside("x"), MINUTE).await.unwrap();
    for id in ["a", "b", "c", "d"] {
        side.put(&key(id), &aside(id), MINUTE).await.unwrap();
        time::sleep(Duration::from_millis(3)).await;
    }
    assert_eq!(known_ids(&**side, "a b c d").await, "- b c d");
    side.put(&key("e"), &aside("e"), MINUTE).await.unwrap();
    assert_eq!(known_ids(&**side, "a b c d e").await, "- - c d e");
    let kept = side.get(&[foreign("a")]).await.unwrap();
    assert_eq!(kept, [Some(aside("x"))], "others are not made to pay");
}

pub(crate) async fn cached_value_expires(on: BackendFactory) {
    let bench = on(StoreLimits { cache_value_bytes: 10, ..StoreLimits::default() });
    let stores = bench.open().await;
    let cache = &stores.cache;
    let value = Bytes::from_static(b"\0value\xff");
    cache.put(&key("a"), value.clone(), MINUTE).await.unwrap();
    cache.put(&key("b"), value.clone(), SHORT).await.unwrap();
    cache.put(&key("c"), Bytes::from_static(b"larger than it takes"), MINUTE).await.unwrap();
    assert_eq!(cache.get(&key("a")).await.unwrap(), Some(value.clone()));
    assert_eq!(cache.get(&foreign("a")).await.unwrap(), None);
    assert_eq!(cache.get(&key("b")).await.unwrap(), Some(value));
    assert_eq!(cache.get(&key("c")).await.unwrap(), None);
    cache.delete(&key("a")).await.unwrap();
    time::sleep(LONGER).await;
    assert_eq!(cache.get(&key("a")).await.unwrap(), None);
    assert_eq!(cache.get(&key("b")).await.unwrap(), None);
}

const DAY: u64 = 86_400_000;

fn row(id: &str, day: u64, client: &str, model: &str) -> AdmittedRequest {
    AdmittedRequest {
        tags: String::new(),
        user: String::new(),
        id: id.into(),
        at: day * DAY + 5,
        client: client.into(),
        model: model.into(),
        provider: "fake".into(),
        reserved: ReservedUsage {
            usage: Usage { input: 100, output: 50, ..Usage::default() },
            cost: Some(NanoDollars(9)),
        },
    }
}

fn closed_outcome(input: u64, cost: u64) -> RequestOutcome {
    let usage = Usage { input, reasoning: 1, ..Usage::default() };
    RequestOutcome { outcome: "ok".into(), usage, cost: Some(NanoDollars(cost)), estimated: false }
}

fn batch(
    number: u64,
    opened: &[&AdmittedRequest],
    closed: &[(&AdmittedRequest, RequestOutcome)],
) -> Batch {
    Batch {
        run: "run".into(),
        number,
        opened: opened.iter().map(|row| (*row).clone()).collect(),
        closed: closed.iter().map(|(row, closed)| ((*row).clone(), closed.clone())).collect(),
        ..Batch::default()
    }
}

pub(crate) async fn ledger_totals_equal_sum_of_records(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let ledger = &stores.ledger;
    let today = today();
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    for (id, day, client, model, input) in [
        ("1", today, "acme", "m1", 10),
        ("2", today, "acme", "m1", 20),
        ("3", today, "acme", "m|2", 1),
        ("4", today, "other", "m1", 5),
        ("5", today - 1, "acme", "m1", 7),
    ] {
        let row = row(id, day, client, model);
        ledger.record(&batch(next(), &[&row], &[])).await.unwrap();
        let ends = [(&row, closed_outcome(input, input * 3))];
        let (first, second) = (next(), next());
        for number in [first, first, second] {
            ledger.record(&batch(number, &[], &ends)).await.unwrap();
        }
    }
    let mut quick = Totals::of(&row("", today, "acme", "m1"), &closed_outcome(100, 0));
    quick.add(&Totals::of(
        &row("", today, "acme", "m1"),
        &RequestOutcome { cost: None, ..closed_outcome(1, 0) },
    ));
    let sums = Batch { sums: vec![quick], ..batch(next(), &[], &[]) };
    ledger.record(&sums).await.unwrap();
    ledger.record(&sums).await.unwrap();
    let acme = Tenant::new("acme").unwrap();
    let sums = ledger.totals(today..=today, Some(acme)).await.unwrap();
    let brief: Vec<_> =
        sums.iter().map(|it| (&*it.model, it.requests, it.usage.input, it.cost.0)).collect();
    assert_eq!(brief, [("m1", 4, 131, 90), ("m|2", 1, 1, 3)]);
    assert_eq!((sums[0].usage.reasoning, &*sums[0].provider, &*sums[0].outcome), (4, "fake", "ok"));
    assert_eq!((sums[0].unpriced, sums[0].estimated), (1, 0));
    let all = ledger.totals(today - 1..=today, None).await.unwrap();
    let brief: Vec<_> = all.iter().map(|it| (it.day, &*it.client, it.requests)).collect();
    let expected =
        [(today - 1, "acme", 1), (today, "acme", 4), (today, "acme", 1), (today, "other", 1)];
    assert_eq!(brief, expected);
    assert_eq!(ledger.close_orphans(u64::MAX, "lost_in_crash").await.unwrap(), 0);
}

pub(crate) async fn orphans_are_closed_once(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let ledger = &stores.ledger;
    let today = today();
    let lost = row("1", today - 1, "acme", "m");
    let open = row("2", today, "acme", "m");
    ledger.record(&batch(1, &[&lost, &open], &[])).await.unwrap();
    assert_eq!(ledger.close_orphans(today * DAY, "lost_in_crash").await.unwrap(), 1);
    assert_eq!(ledger.close_orphans(today * DAY, "lost_in_crash").await.unwrap(), 0);
    // It was slow, not lost: it is not counted again.
    ledger.record(&batch(2, &[], &[(&lost, closed_outcome(1, 1))])).await.unwrap();
    let sums = ledger.totals(0..=today, None).await.unwrap();
    let brief: Vec<_> = sums.iter().map(|it| (&*it.outcome, it.requests, it.estimated)).collect();
    assert_eq!(brief, [("lost_in_crash", 1, 1)]);
    assert_eq!((sums[0].usage.input, sums[0].usage.output, sums[0].cost.0), (100, 50, 9));
}

pub(crate) async fn requests_of_a_lost_run_owe_their_reservations(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let ledger = &stores.ledger;
    let today = today();
    let mine = |id: &str, client| row(&format!("run-{id}"), today, client, "m");
    let other = row("other-1", today, "acme", "m");
    let (kept, more) = (mine("1", "acme"), mine("2", "acme"));
    ledger.record(&batch(1, &[&kept, &more], &[])).await.unwrap();
    ledger.record(&Batch { run: "other".into(), ..batch(1, &[&other], &[]) }).await.unwrap();
    let reserved = ReservedUsage {
        usage: Usage { input: 1_000, ..Usage::default() },
        cost: Some(NanoDollars(70)),
    };
    let revised = [AdmittedRequest { reserved, ..more.clone() }, mine("3", "never opened")];
    let revision = Batch { revised: revised.to_vec(), ..batch(2, &[], &[]) };
    ledger.record(&revision).await.unwrap();
    let lease = Duration::from_millis(1);
    ledger.renew_run("run", lease).await.unwrap();
    time::sleep(Duration::from_millis(5)).await;
    let ended = ledger.renew_run("other", Duration::from_mins(1)).await.unwrap();
    assert_eq!(ended, ["run"]);
    assert_eq!(ledger.close_run("run", "lost_in_crash").await.unwrap(), 2);
    assert_eq!(ledger.close_run("run", "lost_in_crash").await.unwrap(), 0);
    let after = ledger.renew_run("other", Duration::from_mins(1)).await.unwrap();
    assert!(after.is_empty(), "{after:?}");
    // A batch that was recorded is not opened anew.
    ledger.record(&batch(1, &[&kept, &more], &[])).await.unwrap();
    assert_eq!(ledger.close_run("run", "lost_in_crash").await.unwrap(), 0);
    let sums = ledger.totals(0..=today, None).await.unwrap();
    let brief: Vec<_> = sums
        .iter()
        .map(|it| (&*it.client, it.requests, it.usage.input, it.usage.output, it.cost.0))
        .collect();
    assert_eq!(brief, [("acme", 2, 1_100, 50, 79)]);
}

fn client_key(id: &str, hint: &str) -> ClientKey {
    ClientKey {
        id: id.into(),
        hash: KeyHash::new([7; 32]),
        hint: hint.into(),
        created: 1,
        expires: Some(2),
        grant: "{}".into(),
    }
}

pub(crate) async fn virtual_keys_are_stored_until_removal(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let keys = &stores.client_keys;
    let mut versions = vec![keys.version().await.unwrap()];
    for key in [client_key("b", "1"), client_key("a", "2"), client_key("b", "3")] {
        keys.put(&key).await.unwrap();
        versions.push(keys.version().await.unwrap());
    }
    let all = keys.all().await.unwrap();
    assert_eq!(all, [client_key("a", "2"), client_key("b", "3")]);
    let (old, new) = (client_key("b", "3"), client_key("b", "4"));
    assert!(keys.replace(&old, &new, &[client_key("c", "5")]).await.unwrap());
    versions.push(keys.version().await.unwrap());
    assert!(!keys.replace(&old, &new, &[client_key("d", "6")]).await.unwrap());
    assert!(keys.remove("c").await.unwrap());
    assert!(!keys.replace(&client_key("c", "5"), &client_key("c", "7"), &[]).await.unwrap());
    assert_eq!(keys.all().await.unwrap(), [client_key("a", "2"), client_key("b", "4")]);
    versions.push(keys.version().await.unwrap());
    assert!(keys.remove("a").await.unwrap());
    versions.push(keys.version().await.unwrap());
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    assert!(!keys.remove("a").await.unwrap());
    assert_eq!(keys.version().await.unwrap(), *versions.last().unwrap(), "nothing changed");
    assert_eq!(keys.all().await.unwrap().len(), 1);
}

/// The rows must be of a day that is not forgotten.
fn today() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400
}
