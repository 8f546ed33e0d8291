//! The behavior during a Redis outage: bounded delays and errors for callers.

use crate::{
    backend::{key, minute, turn},
    redis_server::Server,
};
use gateway_core::state::{MessageRange, StoreError, StoredReasoning, WriteOutcome};
use gateway_store::{RedisSettings, StoreBackend, StoreLimits, StoreSettings, Stores};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time,
};

async fn open(url: String) -> Stores {
    gateway_store::open(StoreSettings::new(StoreBackend::Redis(RedisSettings::new(url))))
        .await
        .unwrap()
}

async fn with_session(server: &Server) -> Stores {
    let stores = open(server.url()).await;
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    stores
}

/// The next call's error, and how long it took.
async fn failing(stores: &Stores) -> (Option<StoreError>, Duration) {
    let started = time::Instant::now();
    let result = stores.sessions.load(&key("s"), MessageRange::NONE).await;
    (result.err(), started.elapsed())
}

/// Redis is used again within two seconds.
async fn check_recovers(stores: &Stores) {
    let started = time::Instant::now();
    while failing(stores).await.0.is_some() {
        assert!(started.elapsed() < Duration::from_secs(2), "it does not recover");
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_redis_times_out_five_calls_then_fails_fast() {
    let server = Server::start();
    let stores = with_session(&server).await;
    server.signal("STOP");
    for n in 0..5 {
        let (error, took) = failing(&stores).await;
        assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
        assert!(took < Duration::from_millis(450), "call {n} took {took:?}");
    }
    let started = time::Instant::now();
    for _ in 0..1_000 {
        assert!(failing(&stores).await.0.is_some());
    }
    let each = started.elapsed() / 1_000;
    assert!(each < Duration::from_millis(1), "each call took {each:?}");
    time::sleep(Duration::from_secs(2)).await;
    server.signal("CONT");
    check_recovers(&stores).await;
    let outcome = stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Done(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_redis_is_connected() {
    let mut server = Server::start();
    server.kill();
    let stores = open(server.url()).await;
    assert!(failing(&stores).await.0.is_some());
    let health = stores.health().await;
    assert!(!health.reachable && !health.warnings.is_empty());
    server.restart();
    check_recovers(&stores).await;
    assert!(stores.health().await.reachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_redis_is_used_with_its_data() {
    let mut server = Server::start();
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
async fn full_redis_allows_reads_and_rejects_writes() {
    let server = Server::start();
    let stores = with_session(&server).await;
    server.ask("CONFIG SET maxmemory 1");
    for _ in 0..8 {
        let error = stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap_err();
        assert!(matches!(error, StoreError::Full), "{error:?}");
    }
    assert!(failing(&stores).await.0.is_none(), "the breaker is for outages");
    server.ask("CONFIG SET maxmemory 0");
    let outcome = stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Done(1), "nothing of the failed attempts was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_replica_is_not_written() {
    let server = Server::start();
    let stores = with_session(&server).await;
    server.ask("REPLICAOF 127.0.0.1 1");
    let error = stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    server.ask("REPLICAOF NO ONE");
    check_recovers(&stores).await;
    let outcome = stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Done(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_redis_credential_is_reported() {
    let server = Server::start();
    let stores = with_session(&server).await;
    server.ask("CONFIG SET requirepass hunter2");
    server.ask("AUTH hunter2\r\nCLIENT KILL TYPE normal SKIPME yes");
    let mut refused = false;
    for _ in 0..20 {
        let (error, _) = failing(&stores).await;
        let text = format!("{error:?}");
        assert!(!text.contains("hunter2"));
        refused |= matches!(error, Some(StoreError::Refused(_)));
        time::sleep(Duration::from_millis(50)).await;
    }
    assert!(refused, "the credential is what is wrong");
    server.ask("AUTH hunter2\r\nCONFIG SET requirepass \"\"");
    check_recovers(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_scripts_are_reloaded() {
    let server = Server::start();
    let stores = with_session(&server).await;
    for n in 1..=3 {
        server.ask("SCRIPT FLUSH");
        let outcome = stores.sessions.append(&key("s"), &turn(&n.to_string(), "x")).await.unwrap();
        assert_eq!(outcome, WriteOutcome::Done(n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupt_record_does_not_affect_others() {
    let server = Server::start();
    let stores = with_session(&server).await;
    for id in ["type", "schema", "number", "line", "fine"] {
        stores.sessions.create(&key(id), &minute()).await.unwrap();
        stores.sessions.append(&key(id), &turn("t", "x")).await.unwrap();
    }
    server.ask("SET gw:s:{acme/type}:m nonsense");
    server.ask("HSET gw:s:{acme/schema}:m v 2");
    server.ask("HSET gw:s:{acme/number}:m ver many");
    server.ask("LSET gw:s:{acme/line}:l 0 nonsense");
    for id in ["type", "schema", "number", "line"] {
        let error = stores.sessions.load(&key(id), MessageRange::ALL).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { what: "session", .. }), "{id}: {error:?}");
    }
    let error = stores.sessions.append(&key("schema"), &turn("t2", "x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(server.ask("LLEN gw:s:{acme/schema}:l").starts_with(":1\r"), "it is left as it was");
    assert!(stores.sessions.load(&key("fine"), MessageRange::ALL).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_redis_key_expires() {
    let server = Server::start();
    let stores = with_session(&server).await;
    stores.sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    stores.sessions.claim(&key("s"), "t", Duration::from_secs(9)).await.unwrap();
    stores.side.put(&key("a"), &StoredReasoning::default(), Duration::from_secs(9)).await.unwrap();
    stores.idempotency.begin(&key("i"), &[0; 32], "t", Duration::from_secs(9)).await.unwrap();
    let script = "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do \
                  if redis.call('PTTL', k) < 0 then n = n + 1 end end return n";
    assert_eq!(server.ask(&format!("EVAL \"{script}\" 0")), ":0\r\n");
    let size = server.ask("DBSIZE");
    let size: u64 = size.trim().trim_start_matches(':').parse().unwrap();
    assert!(size > 5, "there are keys at all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_reply_does_not_duplicate_write() {
    let server = Server::start();
    let (address, swallowed) = swallowing_proxy(server.port()).await;
    let stores = Arc::new(with_session_at(&server, address).await);
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let stores = Arc::clone(&stores);
        writers.spawn(async move {
            let mut recognised = 0;
            for n in 0..200 {
                let turn = turn(&format!("{writer}-{n}"), &format!("{writer}-{n}"));
                loop {
                    match stores.sessions.append(&key("s"), &turn).await {
                        Ok(WriteOutcome::Done(_)) => break,
                        Ok(WriteOutcome::Duplicate(_)) => {
                            recognised += 1;
                            break;
                        }
                        Ok(other) => panic!("{other:?}"),
                        Err(_) => time::sleep(Duration::from_millis(10)).await,
                    }
                }
            }
            recognised
        });
    }
    let recognised: u64 = writers.join_all().await.iter().sum();
    let swallowed = swallowed.load(Ordering::Relaxed);
    assert!(swallowed >= 75 && recognised > 0, "{swallowed} lost, {recognised} recognised");
    let direct = roomy(server.url()).await;
    let found = direct.sessions.load(&key("s"), MessageRange::ALL).await.unwrap().unwrap();
    let mut texts: Vec<_> = found.entries.iter().map(|it| it.message.plain_text()).collect();
    let versions: Vec<_> = found.entries.iter().map(|it| it.version).collect();
    assert_eq!(versions, (1..=1_600).collect::<Vec<_>>());
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 1_600);
}

/// With room for long sessions.
async fn roomy(url: String) -> Stores {
    let limits = StoreLimits { session_messages: 10_000, ..StoreLimits::default() };
    gateway_store::open(StoreSettings {
        backend: StoreBackend::Redis(RedisSettings::new(url)),
        limits,
    })
    .await
    .unwrap()
}

async fn with_session_at(server: &Server, address: String) -> Stores {
    with_session(server).await.close().await;
    roomy(format!("redis://{address}")).await
}

/// A proxy that now and then loses a reply, and the connection with it.
async fn swallowing_proxy(port: u16) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let swallowed = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&swallowed);
    let mut proxy = JoinSet::new();
    proxy.spawn(async move {
        let (replies, mut links) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            links.spawn(relay(near, far, Arc::clone(&replies), Arc::clone(&counter)));
        }
    });
    // It lives as long as the runtime of the test.
    proxy.detach_all();
    (address, swallowed)
}

async fn relay(near: TcpStream, far: TcpStream, replies: Arc<AtomicU64>, lost: Arc<AtomicU64>) {
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
        (near.into_split(), far.into_split());
    let up = tokio::io::copy(&mut from_near, &mut to_far);
    let down = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from_far.read(&mut buffer).await {
            let appends = buffer[..length].windows(4).filter(|it| *it == b"\nOK\r").count() as u64;
            let before = replies.fetch_add(appends, Ordering::Relaxed);
            // Every 20th, and what came with it.
            if before / 20 != (before + appends) / 20 {
                lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if to_near.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! { _ = up => {}, () = down => {} }
}
