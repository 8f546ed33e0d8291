//! Keys that operators give out while the gateway runs.

use gateway_tests::{OperatedGateway, Redis, Setup, request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

const TOKEN: &str = OperatedGateway::TOKEN;

#[tokio::test]
async fn virtual_key_works_from_creation_to_deletion() {
    let bench = OperatedGateway::start(Setup::new()).await;
    assert_eq!(bench.chat("sk-gw-made-up", "fake/echo").await, "401 invalid_api_key");
    let (key, id) = bench.key(json!({ "client": "app", "models": ["fake/*"] })).await;
    assert_eq!(bench.chat(&key, "fake/echo").await, "200");
    assert_eq!(bench.gateway.chat_with_key(&key, "gpt-5").await, "403 model_not_allowed");
    let (_, known) = bench.ask("GET", &format!("/admin/keys/{id}"), Value::Null).await;
    assert_eq!(
        (&known["client"], &known["key"], &known["hash"]),
        (&json!("app"), &Value::Null, &Value::Null)
    );
    let overlap = json!({ "overlap_seconds": 60 });
    let (status, new) = bench.ask("POST", &format!("/admin/keys/{id}/rotate"), overlap).await;
    assert_eq!(status, 201);
    let second_key = new["key"].as_str().unwrap();
    assert_eq!(
        (bench.chat(&key, "fake/echo").await, bench.chat(second_key, "fake/echo").await),
        ("200".into(), "200".into())
    );
    let (_, list) = bench.ask("GET", "/admin/keys", Value::Null).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let (status, _) = bench.ask("DELETE", &format!("/admin/keys/{id}"), Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(bench.chat(&key, "fake/echo").await, "401 invalid_api_key");
    assert_eq!(bench.chat(second_key, "fake/echo").await, "200");
    let (status, _) = bench.ask("DELETE", &format!("/admin/keys/{id}"), Value::Null).await;
    assert_eq!(status, 404);
    let at_once = format!("/admin/keys/{}/rotate", new["id"].as_str().unwrap());
    let (_, third) = bench.ask("POST", &at_once, Value::Null).await;
    assert_eq!(
        bench.chat(second_key, "fake/echo").await,
        "401 invalid_api_key",
        "without an overlap it ends now"
    );
    let third_key = third["key"].as_str().unwrap();
    assert_eq!(bench.gateway.chat_with_key(third_key, "gpt-5").await, "403 model_not_allowed");
    for secret in [&*key, second_key, third_key, TOKEN] {
        assert!(!bench.gateway.stdout().contains(secret), "a key is told in the log");
    }
}

#[tokio::test]
async fn virtual_key_expires_at_its_time() {
    let bench = OperatedGateway::start(Setup::new()).await;
    let (key, _) = bench.key(json!({ "client": "app", "expires_in_seconds": 0 })).await;
    assert_eq!(bench.chat(&key, "fake/echo").await, "401 invalid_api_key");
    let (key, _) = bench.key(json!({ "client": "app", "expires_in_seconds": 600 })).await;
    assert_eq!(bench.chat(&key, "fake/echo").await, "200");
}

#[tokio::test]
async fn virtual_key_limits_are_enforced() {
    let bench = OperatedGateway::start(Setup::new()).await;
    let limits = json!({ "client": "app", "requests_per_minute": 1 });
    let (key, _) = bench.key(limits).await;
    assert_eq!(bench.chat(&key, "fake/echo").await, "200");
    assert_eq!(bench.chat(&key, "fake/echo").await, "429 rate_limit_exceeded");
}

#[tokio::test]
async fn invalid_key_settings_are_rejected() {
    let bench = OperatedGateway::start(Setup::new()).await;
    for wrong in [
        json!({}),
        json!({ "client": "" }),
        json!({ "client": "a\nb" }),
        json!({ "client": "a", "request_per_minute": 1 }),
        json!({ "client": "a", "model_limits": [{ "model": "m", "burts": 1 }] }),
        json!({ "client": "a", "daily_budget_usd": -1 }),
        json!({ "client": "a", "priority": "urgent" }),
        json!([]),
    ] {
        let (status, told) = bench.ask("POST", "/admin/keys", wrong.clone()).await;
        assert_eq!(status, 422, "{wrong}: {told}");
    }
    assert_eq!(bench.ask("PUT", "/admin/keys", Value::Null).await.0, 405);
    assert_eq!(bench.ask("GET", "/admin/else", Value::Null).await.0, 404);
}

#[tokio::test]
async fn admin_api_requires_token_on_admin_listener() {
    let bench = OperatedGateway::start(Setup::new()).await;
    assert_eq!(
        bench.send_as("guess", "GET", "/admin/keys", "").await.status_and_code(),
        "401 invalid_api_key"
    );
    let bearer = format!("Bearer {TOKEN}");
    for path in ["/admin/keys", "/admin/usage", "/admin"] {
        let bytes = request("GET", path, &[("Authorization", &bearer)], b"");
        assert_eq!(bench.gateway.send(bytes).await.status(), 404, "{path}");
    }
    for _ in 0..19 {
        bench.send_as("guess", "GET", "/admin/keys", "").await;
    }
    let refused = bench.send_as("guess", "GET", "/admin/keys", "").await;
    assert_eq!(refused.status_and_code(), "429 too_many_failed_attempts");
    let refused = bench.send_as(TOKEN, "GET", "/admin/keys", "").await;
    assert_eq!(refused.status_and_code(), "429 too_many_failed_attempts", "a guess cannot succeed");
}

#[tokio::test]
async fn admin_usage_lists_all_clients() {
    let bench = OperatedGateway::start(Setup::new().client("configured", "sk-configured")).await;
    let (key, _) = bench.key(json!({ "client": "app" })).await;
    bench.chat(&key, "fake/echo").await;
    bench.chat("sk-configured", "fake/echo").await;
    bench.gateway.outcomes(2).await;
    let (status, used) = bench.ask("GET", "/admin/usage?group_by=client", Value::Null).await;
    assert_eq!(status, 200);
    let clients: Vec<_> = used["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["client"], &it["requests"]))
        .collect();
    assert_eq!(json!(clients), json!([["app", 1], ["configured", 1]]));
}

#[tokio::test]
async fn failed_authentication_is_limited_by_address() {
    let bench = OperatedGateway::start(Setup::new()).await;
    let (key, _) = bench.key(json!({ "client": "app" })).await;
    let mut told = Vec::new();
    for _ in 0..22 {
        told.push(bench.chat("sk-gw-wrong", "fake/echo").await);
    }
    assert_eq!(told.iter().filter(|it| *it == "401 invalid_api_key").count(), 20);
    assert_eq!(told.last().unwrap(), "429 too_many_failed_attempts");
    let told = bench.chat(&key, "fake/echo").await;
    assert_eq!(told, "429 too_many_failed_attempts", "a guess cannot succeed");
}

#[tokio::test]
async fn new_key_reaches_all_replicas_within_seconds() {
    let redis = Redis::start().await;
    let setup = || Setup::new().sharing(&redis);
    let first = OperatedGateway::start(setup()).await;
    let second = OperatedGateway::start(setup()).await;
    let (key, id) = first.key(json!({ "client": "app" })).await;
    until(&second, &key, "200").await;
    assert_eq!(first.ask("DELETE", &format!("/admin/keys/{id}"), Value::Null).await.0, 200);
    until(&second, &key, "401 invalid_api_key").await;
}

/// Waits until a caller with this key gets `told`.
async fn until(bench: &OperatedGateway, key: &str, told: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    // Attempts that fail are counted: not too many of them.
    while bench.chat(key, "fake/echo").await != told {
        assert!(Instant::now() < deadline);
        time::sleep(Duration::from_millis(500)).await;
    }
}
