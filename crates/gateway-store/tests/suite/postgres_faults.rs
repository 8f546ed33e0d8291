//! The behavior during an outage of Postgres: bounded delays and errors for callers; and the start.

use crate::{
    backend::{key, minute, turn},
    postgres_server::PostgresServer,
};
use gateway_core::state::{LeaseRequest, MessageRange, SlotLease, StoreError, WriteOutcome};
use gateway_store::{PostgresSettings, StoreBackend, StoreSettings, Stores};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time};

fn settings(server: &PostgresServer) -> PostgresSettings {
    PostgresSettings { timeout: Duration::from_millis(500), ..PostgresSettings::new(server.url()) }
}

async fn open(settings: PostgresSettings) -> Result<Stores, StoreError> {
    gateway_store::open(StoreSettings::new(StoreBackend::Postgres(settings, None))).await
}

async fn with_session(server: &PostgresServer) -> Stores {
    let stores = open(settings(server)).await.unwrap();
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    stores
}

/// The next call's error, and how long it took.
async fn failing(stores: &Stores) -> (Option<StoreError>, Duration) {
    let started = time::Instant::now();
    let result = stores.sessions.load(&key("s"), MessageRange::NONE).await;
    (result.err(), started.elapsed())
}

/// Postgres is used again within five seconds.
async fn check_recovers(stores: &Stores) {
    let started = time::Instant::now();
    while failing(stores).await.0.is_some() {
        assert!(started.elapsed() < Duration::from_secs(5), "it does not recover");
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_postgres_times_out_five_calls_then_fails_fast() {
    let server = PostgresServer::start();
    let stores = with_session(&server).await;
    server.signal("STOP");
    for n in 0..5 {
        let (error, took) = failing(&stores).await;
        assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
        assert!(took < Duration::from_millis(1_100), "call {n} took {took:?}");
    }
    let started = time::Instant::now();
    for _ in 0..1_000 {
        assert!(failing(&stores).await.0.is_some());
    }
    let refused = stores.sessions.append(&key("s"), &turn("t", "x")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let each = started.elapsed() / 1_001;
    assert!(each < Duration::from_millis(1), "each call took {each:?}");
    server.signal("CONT");
    check_recovers(&stores).await;
    let outcome = stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Done(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_postgres_is_connected_and_migrated() {
    let mut server = PostgresServer::start();
    server.kill();
    let stores = open(settings(&server)).await.unwrap();
    assert!(failing(&stores).await.0.is_some());
    let health = stores.health().await;
    assert!(!health.reachable && !health.warnings.is_empty());
    server.restart();
    check_recovers(&stores).await;
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    assert!(stores.health().await.reachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_postgres_is_used_with_its_data() {
    let mut server = PostgresServer::start();
    let stores = with_session(&server).await;
    stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    server.kill();
    assert!(failing(&stores).await.0.is_some());
    server.restart();
    check_recovers(&stores).await;
    let outcome = stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Duplicate(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_postgres_credential_is_reported_without_it() {
    let server = PostgresServer::start();
    let url = server.url().replace("gateway@", "nosuch:hunter2@");
    let stores = open(PostgresSettings::new(url)).await.unwrap();
    let (error, _) = failing(&stores).await;
    assert!(matches!(error, Some(StoreError::Refused(_))), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_migrate_once() {
    let server = PostgresServer::start();
    let mut starting = JoinSet::new();
    for _ in 0..8 {
        starting.spawn(open(PostgresSettings::new(server.url())));
    }
    let stores = starting.join_all().await;
    assert!(stores.iter().all(Result::is_ok), "{stores:?}");
    let migrations = server.ask("SELECT count(*), max(version) FROM llm_gateway.schema_migrations");
    assert_eq!(migrations, "1|1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_newer_version_are_left_alone() {
    let server = PostgresServer::start();
    with_session(&server).await.close().await;
    server.ask("INSERT INTO llm_gateway.schema_migrations VALUES (99)");
    let refused = open(settings(&server)).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_sessions_slots_and_claims() {
    let server = PostgresServer::start();
    let (first, second) = (with_session(&server).await, open(settings(&server)).await.unwrap());
    first.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    let outcome = second.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Duplicate(1));
    let lease = Duration::from_mins(1);
    first.sessions.claim(&key("s"), "a", lease).await.unwrap();
    let held = second.sessions.claim(&key("s"), "b", lease).await.unwrap();
    assert!(matches!(held, gateway_core::state::ClaimResult::Held(_)), "{held:?}");
    let slots = |holder: &str| LeaseRequest {
        holder: holder.into(),
        lease,
        slots: vec![SlotLease { name: "all".into(), limit: 1, held: 0, need: 1, extra: 0 }],
        ..LeaseRequest::default()
    };
    let reply = first.quotas.exchange(&key("c"), &slots("a")).await.unwrap();
    assert_eq!(reply.refused, None);
    let reply = second.quotas.exchange(&key("c"), &slots("b")).await.unwrap();
    assert!(reply.refused.is_some());
}

/// Many sessions are written at once by two replicas, which take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_of_two_replicas_are_all_stored() {
    let server = PostgresServer::start();
    let limits = PostgresSettings::new(server.url());
    let stores = [open(limits.clone()).await.unwrap(), open(limits).await.unwrap()].map(Arc::new);
    stores[0].sessions.create(&key("s"), &minute()).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let stores = Arc::clone(&stores[writer % 2]);
        writers.spawn(async move {
            for n in 0..25 {
                let id = format!("{writer}-{n}");
                stores.sessions.append(&key("s"), &turn(&id, &id)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let found = stores[1].sessions.load(&key("s"), MessageRange::ALL).await.unwrap().unwrap();
    let versions: Vec<_> = found.entries.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (1..=200).collect::<Vec<_>>());
}

/// Text in Postgres cannot hold the character NUL; a record with one is kept all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nul_in_names_does_not_stop_the_ledger() {
    use gateway_core::state::{AdmittedRequest, Batch, RequestOutcome, ReservedUsage, Totals};
    let server = PostgresServer::start();
    let stores = open(settings(&server)).await.unwrap();
    let row = AdmittedRequest {
        id: "run-1".into(),
        at: 86_400_000 * 20_000,
        client: "a\0b".into(),
        model: "m\0".into(),
        provider: "p".into(),
        tags: "team=a\0".into(),
        user: "u\0".into(),
        reserved: ReservedUsage::default(),
    };
    let outcome = RequestOutcome { outcome: "ok".into(), ..RequestOutcome::default() };
    let batch = Batch {
        run: "run".into(),
        number: 1,
        opened: vec![row.clone()],
        sums: vec![Totals::of(&row, &outcome)],
        ..Batch::default()
    };
    stores.ledger.record(&batch).await.unwrap();
    let closing =
        Batch { number: 2, opened: vec![], sums: vec![], closed: vec![(row, outcome)], ..batch };
    stores.ledger.record(&closing).await.unwrap();
    let totals = stores.ledger.totals(20_000..=20_000, None).await.unwrap();
    assert_eq!(totals.iter().map(|it| it.requests).collect::<Vec<_>>(), [2]);
}
