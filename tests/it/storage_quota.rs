//! The state that one tenant may keep, over each store.

use gateway_tests::{DataDirectory, Gateway, Redis, Reply, Setup, request};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _};

/// Two tenants, `a` and `b`.
fn two_tenants() -> Setup {
    Setup::new()
        .client("a", "sk-a")
        .set("[clients]", "tenant", "a")
        .client("b", "sk-b")
        .set("log", "level", "warn")
}

async fn send(gateway: &Gateway, key: &str, line: &str, body: Value) -> Reply {
    send_with(gateway, key, line, &[], body).await
}

async fn send_with(
    gateway: &Gateway,
    key: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> Reply {
    let (method, path) = line.split_once(' ').unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [headers, &[("x-api-key", key)]].concat();
    gateway.send(request(method, path, &headers, body.as_bytes())).await
}

/// A tenant with two sessions gets no third one; another tenant does, and so does it once one is gone.
async fn check_sessions(setup: Setup) {
    let gateway = setup.write("store", "tenant_sessions", "2").start().await;
    let create = async |key| send(&gateway, key, "POST /v1/sessions", json!({})).await;
    let first = create("sk-a").await;
    assert_eq!((first.status(), create("sk-a").await.status()), (201, 201));
    let refused = create("sk-a").await;
    assert_eq!(refused.status_and_code(), "507 storage_quota_exceeded");
    assert_eq!(refused.header("x-should-retry"), "false");
    let label = "storage_quota_exceeded";
    let counted = gateway.metric("llm_gateway_store_errors_total", label).await;
    assert_eq!(counted.to_string(), "1");
    assert_eq!(create("sk-b").await.status(), 201);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let deleted = send(&gateway, "sk-a", &format!("DELETE /v1/sessions/{id}"), Value::Null).await;
    assert!(deleted.status() < 300, "{}", deleted.text());
    assert_eq!(create("sk-a").await.status(), 201);
    assert_eq!(create("sk-a").await.status(), 507);
}

/// What does not fit is delivered and declared as not stored; what is stored stays readable.
async fn check_bytes(setup: Setup) {
    let gateway = setup.set("store", "tenant_bytes", "1MiB").start().await;
    let input = "x".repeat(300 << 10);
    let mut kept = Vec::new();
    let mut refused = 0;
    for _ in 0..6 {
        let body = json!({ "model": "fake/echo", "input": input });
        let reply = send(&gateway, "sk-a", "POST /v1/responses", body).await;
        assert_eq!(reply.status(), 200, "{:.300}", reply.text());
        let not_stored = reply.header("x-gateway-not-stored").to_owned();
        if not_stored.is_empty() {
            kept.push(reply.json()["id"].as_str().unwrap().to_owned());
        } else {
            assert!(not_stored.contains("storage_quota_exceeded"), "{not_stored}");
            refused += 1;
        }
    }
    assert!(!kept.is_empty() && refused > 0, "{} kept, {refused} refused", kept.len());
    for id in kept {
        let path = format!("GET /v1/responses/{id}");
        assert_eq!(send(&gateway, "sk-a", &path, Value::Null).await.status(), 200);
    }
    let body = json!({ "model": "fake/echo", "input": "hello" });
    let other = send(&gateway, "sk-b", "POST /v1/responses", body).await;
    assert_eq!(other.header("x-gateway-not-stored"), "");
}

/// A third request with an idempotency key of its own is refused before it is sent.
async fn check_replays(setup: Setup) {
    let gateway = setup.write("store", "tenant_idempotency_records", "2").start().await;
    let ask = async |key, name| {
        let body = json!({ "model": "fake/echo", "max_tokens": 9,
            "messages": [{ "role": "user", "content": "hello" }] });
        let headers = [("Idempotency-Key", name)];
        send_with(&gateway, key, "POST /v1/messages", &headers, body).await
    };
    assert_eq!((ask("sk-a", "one").await.status(), ask("sk-a", "two").await.status()), (200, 200));
    let refused = ask("sk-a", "three").await;
    assert_eq!(refused.status(), 507);
    assert_eq!(refused.json()["type"], "error", "in the caller's dialect: {}", refused.text());
    assert_eq!(ask("sk-a", "one").await.header("idempotent-replayed"), "true");
    assert_eq!(ask("sk-b", "three").await.status(), 200);
}

#[tokio::test]
async fn tenant_quota_bounds_memory_store() {
    check_sessions(two_tenants()).await;
    check_bytes(two_tenants()).await;
    check_replays(two_tenants()).await;
}

#[tokio::test]
async fn tenant_quota_bounds_embedded_store() {
    let data = [DataDirectory::new(), DataDirectory::new(), DataDirectory::new()];
    check_sessions(two_tenants().keeping(&data[0])).await;
    check_bytes(two_tenants().keeping(&data[1])).await;
    check_replays(two_tenants().keeping(&data[2])).await;
}

#[tokio::test]
async fn tenant_quota_bounds_redis_store() {
    for check in [0, 1, 2] {
        let redis = Redis::start().await;
        let setup = two_tenants().sharing(&redis);
        match check {
            0 => check_sessions(setup).await,
            1 => check_bytes(setup).await,
            _ => check_replays(setup).await,
        }
    }
}

/// What a tenant keeps is counted in the store: a restart forgets nothing of it.
#[tokio::test]
async fn tenant_quota_survives_restart() {
    let data = DataDirectory::new();
    let setup = two_tenants().keeping(&data).write("store", "tenant_sessions", "1");
    let gateway = setup.start().await;
    assert_eq!(send(&gateway, "sk-a", "POST /v1/sessions", json!({})).await.status(), 201);
    let gateway = gateway.restart().await;
    assert_eq!(send(&gateway, "sk-a", "POST /v1/sessions", json!({})).await.status(), 507);
}

#[tokio::test]
async fn data_file_is_private() {
    let data = DataDirectory::new();
    let directory = data.path().join("new");
    let setup = Setup::new().keeping(&data);
    let gateway = setup.data_in(&directory).start().await;
    assert_eq!(gateway.get("/health").await.status(), 200);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("gateway.redb")), 0o600);
}
