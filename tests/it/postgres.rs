//! Postgres as the store: what survives, what replicas share, and what teams query.

use gateway_tests::{
    Gateway, POSTGRES_PASSWORD, Postgres, Redis, Reply, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

const KEY: &str = "sk-ours";

/// A client before a model at ten cents a token read and twenty a token written.
fn setup(upstream: &Upstream, postgres: &Postgres) -> Setup {
    Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .client("ours", KEY)
        .sharing_postgres(postgres)
}

async fn send(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Reply {
    let headers = [("x-api-key", KEY), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    gateway.send(request(method, path, &headers, body.as_bytes())).await
}

async fn chat(gateway: &Gateway, besides: Value) -> Reply {
    let body = serde_json::from_str(&openai::ask("m", besides)).unwrap();
    send(gateway, "POST", "/v1/chat/completions", &body).await
}

async fn create_session(gateway: &Gateway) -> Reply {
    send(gateway, "POST", "/v1/sessions", &json!({})).await
}

/// The usage of the client, once the last batch is written.
async fn usage_of(gateway: &Gateway, requests: u64) -> Value {
    let began = Instant::now();
    loop {
        let usage = send(gateway, "GET", "/v1/usage", &Value::Null).await.json();
        if usage["total"]["requests"] == requests || began.elapsed() > Duration::from_secs(10) {
            return usage;
        }
        time::sleep(Duration::from_millis(50)).await;
    }
}

async fn readiness(gateway: &Gateway) -> u16 {
    gateway.send(request("GET", "/health/ready", &[], b"")).await.status()
}

/// Waits until a condition holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_ledger_and_keys_survive_a_killed_gateway_on_postgres() {
    let (upstream, postgres) = (Upstream::start().await, Postgres::start().await);
    let mut gateway = setup(&upstream, &postgres).start().await;
    let session = create_session(&gateway).await.json();
    let id = session["id"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        assert_eq!(chat(&gateway, json!({ "session_id": id })).await.status(), 200);
    }
    gateway.kill();
    gateway.revive().await;
    let usage = usage_of(&gateway, 20).await;
    assert_eq!(usage["total"]["requests"], 20, "{usage}");
    let path = format!("/v1/sessions/{id}/messages?limit=1000");
    let messages = send(&gateway, "GET", &path, &Value::Null).await.json();
    assert_eq!(messages["data"].as_array().unwrap().len(), 40, "{messages}");
    assert!(!gateway.stdout().contains(POSTGRES_PASSWORD), "{}", gateway.stdout());
    assert!(gateway.stdout().contains("postgres"), "{}", gateway.stdout());
}

/// Returns the SQL examples of the page on state.
fn documented_queries() -> Vec<String> {
    let page = include_str!("../../docs/state.md");
    let blocks = page.split("```sql\n").skip(1);
    blocks.filter_map(|block| Some(block.split_once("```")?.0.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_postgres_and_documented_queries_show_their_spend() {
    let (upstream, postgres) = (Upstream::start().await, Postgres::start().await);
    let gateways =
        [setup(&upstream, &postgres).start().await, setup(&upstream, &postgres).start().await];
    let session = create_session(&gateways[0]).await.json();
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    assert_eq!(send(&gateways[1], "GET", &path, &Value::Null).await.status(), 200);
    let mut ids = Vec::new();
    for n in 0..6 {
        let reply = chat(&gateways[n % 2], json!({})).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        ids.push(reply.header("x-request-id").to_owned());
    }
    let usage = usage_of(&gateways[1], 6).await;
    assert_eq!(usage["total"]["requests"], 6, "{usage}");
    until("every request is in the log of the other replica", async || {
        let mut found = 0;
        for (n, id) in ids.iter().enumerate() {
            let path = format!("/v1/requests/{id}");
            let reply = send(&gateways[(n + 1) % 2], "GET", &path, &Value::Null).await;
            found += usize::from(reply.status() == 200);
        }
        found == ids.len()
    })
    .await;
    let queries = documented_queries();
    assert!(queries.len() >= 4, "{queries:?}");
    for sql in &queries {
        let rows = postgres.ask(sql);
        assert!(!rows.contains("ERROR") && !rows.is_empty(), "{sql}: {rows}");
    }
    let nano = usage["total"]["cost_nano_usd"].as_u64().unwrap();
    let spent = "SELECT (sum(cost_usd) * 1000000000)::bigint, sum(requests)::bigint \
                 FROM llm_gateway.usage_daily";
    assert_eq!(postgres.ask(spent), format!("{nano}|6"));
    let logged = "SELECT count(*), (sum(cost_usd) * 1000000000)::bigint \
                  FROM llm_gateway.request_log WHERE outcome = 'ok'";
    assert_eq!(postgres.ask(logged), format!("6|{nano}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_postgres_fails_sessions_and_readiness_and_nothing_else() {
    let (upstream, mut postgres) = (Upstream::start().await, Postgres::start().await);
    let gateway = setup(&upstream, &postgres).start().await;
    assert_eq!((create_session(&gateway).await.status(), readiness(&gateway).await), (201, 200));
    postgres.kill();
    until("the gateway is not ready", async || readiness(&gateway).await == 503).await;
    let refused = create_session(&gateway).await;
    assert_eq!(refused.status(), 503, "{}", refused.text());
    assert!(refused.text().contains("store_unavailable"), "{}", refused.text());
    assert_eq!(chat(&gateway, json!({})).await.status(), 200);
    postgres.revive().await;
    until("sessions are kept again", async || create_session(&gateway).await.status() == 201).await;
    until("the gateway is ready", async || readiness(&gateway).await == 200).await;
    // The request that was served meanwhile is booked once.
    let usage = usage_of(&gateway, 1).await;
    assert_eq!(usage["total"]["requests"], 1, "{usage}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_a_rate_limit_in_postgres() {
    let (upstream, postgres) = (Upstream::start().await, Postgres::start().await);
    check_shared_rate_limit(|| setup(&upstream, &postgres)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_in_the_redis_beside_postgres_and_sessions_are_not() {
    let (upstream, postgres) = (Upstream::start().await, Postgres::start().await);
    let mut redis = Redis::start().await;
    let both = || setup(&upstream, &postgres).env("REDIS_URL", &redis.url());
    let gateway = check_shared_rate_limit(both).await;
    assert_eq!(postgres.ask("SELECT count(*) FROM llm_gateway.quotas"), "0");
    assert!(redis.ask("KEYS gw:q:*").await.starts_with('*'));
    redis.kill();
    // A request may still meet the rate that the gateway has last seen in Redis.
    until("sessions are kept", async || create_session(&gateway).await.status() == 201).await;
}

/// Two replicas admit a burst of five together. Returns one of them.
async fn check_shared_rate_limit(setup: impl Fn() -> Setup) -> Gateway {
    let limited = || {
        setup()
            .write("[clients]", "requests_per_minute", "1")
            .write("[clients]", "burst", "5")
            .write("limits", "enabled", "true")
    };
    let [first, second] = [limited().start().await, limited().start().await];
    let mut admitted = 0;
    for n in 0..8 {
        let gateway = if n % 2 == 0 { &first } else { &second };
        admitted += u64::from(chat(gateway, json!({})).await.status() == 200);
    }
    assert!((5..=6).contains(&admitted), "{admitted} requests were admitted");
    first
}
