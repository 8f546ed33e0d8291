//! A Redis in trouble, as callers of the gateway see it: sessions are refused, all else goes on.

use gateway_tests::{Gateway, RawConnection, Redis, Reply, Setup, Upstream, openai, request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

fn setup(redis: &Redis, upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .env("LLM_GATEWAY_STORE", "redis")
        .env("LLM_GATEWAY_REDIS_URL", &redis.url())
        .env("LLM_GATEWAY_LOG_LEVEL", "info")
}

async fn start() -> (Redis, Upstream, Gateway) {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    let gateway = setup(&redis, &upstream).start().await;
    (redis, upstream, gateway)
}

async fn create(gateway: &Gateway) -> Reply {
    gateway.send(request("POST", "/v1/sessions", &[], b"")).await
}

async fn create_id(gateway: &Gateway) -> String {
    create(gateway).await.json()["id"].as_str().unwrap().to_owned()
}

/// Sessions are kept again within two seconds; says how soon.
async fn recovered(gateway: &Gateway) -> Duration {
    let began = Instant::now();
    while create(gateway).await.status() != 201 {
        assert!(began.elapsed() < Duration::from_secs(2), "{}", create(gateway).await.text());
        time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

/// Returns the 99th percentile of the duration of stateless requests, of four concurrent callers.
async fn chats(gateway: &Gateway, number: usize) -> Duration {
    let (address, mut callers) = (gateway.address(), JoinSet::new());
    let body = openai::ask("lab/m", json!({}));
    let chat = request("POST", "/v1/chat/completions", &[], body.as_bytes());
    for _ in 0..4 {
        let chat = chat.clone();
        callers.spawn(async move {
            let mut took = Vec::new();
            let mut raw = RawConnection::connect(address).await;
            for _ in 0..number / 4 {
                let began = Instant::now();
                raw.send(&chat).await;
                assert_eq!(raw.reply().await.status(), 200);
                took.push(began.elapsed());
            }
            took
        });
    }
    let mut took = callers.join_all().await.concat();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Returns the log lines at warning level or above.
fn alarms(gateway: &Gateway) -> Vec<Value> {
    let mut log = gateway.log();
    log.retain(|line| line["level"] == "WARN" || line["level"] == "ERROR");
    log
}

/// For how long Redis is frozen: a moment, or as long as is asked for.
fn frozen_for() -> Duration {
    let asked = gateway_tests::number("GATEWAY_TEST_FROZEN_SECONDS");
    Duration::from_secs(asked.unwrap_or(2))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_redis_does_not_affect_stateless_requests() {
    let (redis, _upstream, gateway) = start().await;
    let id = create_id(&gateway).await;
    chats(&gateway, 100).await;
    let before = chats(&gateway, 400).await;
    let (said, frozen) = (alarms(&gateway).len(), Instant::now());
    redis.signal("STOP");
    for _ in 0..5 {
        let refused = gateway.get(&format!("/v1/sessions/{id}")).await;
        assert_eq!(refused.status_and_code(), "503 store_unavailable");
        assert_eq!(refused.header("retry-after"), "2");
    }
    let (mut worst, mut refusals) = (Duration::ZERO, 0);
    while frozen.elapsed() < frozen_for() {
        worst = worst.max(chats(&gateway, 400).await);
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(create(&gateway).await.status_and_code(), "503 store_unavailable");
            assert!(began.elapsed() < Duration::from_millis(200), "nobody waits for it any more");
            refusals += 1;
        }
    }
    redis.signal("CONT");
    let back = recovered(&gateway).await;
    let alarms = alarms(&gateway);
    let told: Vec<_> = alarms[said..].iter().map(|line| line["message"].clone()).collect();
    let summary = format!("p99 {before:?}, frozen {worst:?}; back after {back:?}; said {told:?}");
    // Chats never wait for the store, whose deadline is 250 ms; the rest is what a busy machine
    // does.
    assert!(worst < before + Duration::from_millis(150), "{summary}");
    assert!(told.len() <= 3, "{refusals} refusals: {summary}");
    assert!(told.iter().filter(|it| **it == "Redis is unavailable").count() == 1, "{summary}");
    gateway_tests::print_measurement(&summary);
}

#[tokio::test]
async fn each_redis_failure_has_its_error_and_recovers() {
    let (redis, _upstream, gateway) = start().await;
    let id = create_id(&gateway).await;
    let path = format!("/v1/sessions/{id}");
    let troubles = [
        ("CONFIG SET maxmemory 1", "503 storage_full", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 1", "503 store_unavailable", "REPLICAOF NO ONE"),
        (
            "CONFIG SET requirepass hunter2\r\nAUTH hunter2\r\nCLIENT KILL TYPE normal SKIPME yes",
            "503 store_unavailable",
            "AUTH hunter2\r\nCONFIG SET requirepass \"\"",
        ),
        (
            "CONFIG SET busy-reply-threshold 50\r\nEVAL \"while true do end\" 0",
            "503 store_unavailable",
            "SCRIPT KILL",
        ),
    ];
    for (trouble, told, repair) in troubles {
        redis.ask(trouble).await;
        for _ in 0..7 {
            let refused = create(&gateway).await;
            assert_eq!(refused.status_and_code(), told, "{trouble}");
            assert!(!refused.header("retry-after").is_empty(), "{trouble}");
            assert_eq!(gateway.ask("lab/m", json!({})).await.status(), 200, "{trouble}");
        }
        if told == "503 storage_full" {
            assert_eq!(gateway.get(&path).await.status(), 200, "what is there can be read");
        }
        redis.ask(repair).await;
        recovered(&gateway).await;
    }
    redis.ask("SCRIPT FLUSH").await;
    assert_eq!(create(&gateway).await.status(), 201, "scripts are sent again");
    assert_eq!(gateway.get(&path).await.status(), 200);
}

#[tokio::test]
async fn corrupt_session_does_not_affect_others() {
    let (redis, _upstream, gateway) = start().await;
    let (kind, schema, fine) =
        (create_id(&gateway).await, create_id(&gateway).await, create_id(&gateway).await);
    redis.ask(&format!("SET gw:s:{{anonymous/{kind}}}:m nonsense")).await;
    redis.ask(&format!("HSET gw:s:{{anonymous/{schema}}}:m v 99")).await;
    for broken in [&kind, &schema] {
        let told = gateway.get(&format!("/v1/sessions/{broken}")).await.status_and_code();
        assert_eq!(told, "500 session_corrupt");
        let said = gateway.ask("lab/m", json!({ "session_id": broken })).await.status_and_code();
        assert_eq!(said, "500 session_corrupt");
    }
    assert_eq!(gateway.get(&format!("/v1/sessions/{fine}")).await.status(), 200);
    let left = redis.ask(&format!("GET gw:s:{{anonymous/{kind}}}:m")).await;
    assert!(left.contains("nonsense"), "it is left as it was");
}

#[tokio::test]
async fn late_redis_is_used() {
    let (mut redis, upstream) = (Redis::start().await, Upstream::start().await);
    redis.kill();
    let gateway = setup(&redis, &upstream).start().await;
    assert_eq!(create(&gateway).await.status_and_code(), "503 store_unavailable");
    assert_eq!(gateway.ask("lab/m", json!({})).await.status(), 200);
    redis.revive().await;
    recovered(&gateway).await;
}

#[tokio::test]
async fn redis_durability_is_logged_at_start() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    redis.ask("CONFIG SET appendonly no").await;
    redis.ask("CONFIG SET maxmemory 1gb\r\nCONFIG SET maxmemory-policy allkeys-lru").await;
    let gateway = setup(&redis, &upstream).start().await;
    let log = gateway.log();
    let store = log.iter().find(|line| line["message"] == "store").expect("a line about it");
    assert_eq!((&store["backend"], &store["durability"]), (&json!("redis"), &json!("volatile")));
    let warned = |text: &str| {
        let about = log.iter().filter(|line| line["level"] == "WARN");
        about.filter(|line| line["message"].as_str().is_some_and(|it| it.contains(text))).count()
    };
    assert_eq!((warned("appendonly no"), warned("allkeys-lru")), (1, 1));
}

#[tokio::test]
async fn dead_replica_releases_session_lock() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    let mut first = setup(&redis, &upstream).start().await;
    let second = setup(&redis, &upstream).start().await;
    let id = create_id(&first).await;
    upstream.next(gateway_tests::Script::streaming().event(&openai::says("a")).stall());
    let ask = json!({ "session_id": id, "stream": true });
    let mut raw = first.asking("lab/m", ask).await;
    assert!(raw.begin().await.block().await.is_some());
    first.kill();
    let held = redis.ask(&format!("PTTL gw:s:{{anonymous/{id}}}:t")).await;
    let held: i64 = held.trim_start_matches(':').trim().parse().unwrap();
    assert!((1..=30_000).contains(&held), "{held}");
    redis.ask(&format!("PEXPIRE gw:s:{{anonymous/{id}}}:t 100")).await;
    let headers = [("x-session-id", &*id), ("x-session-conflict", "wait")];
    let body = openai::ask("lab/m", json!({}));
    let chat = request("POST", "/v1/chat/completions", &headers, body.as_bytes());
    assert_eq!(second.send(chat).await.status(), 200);
}
