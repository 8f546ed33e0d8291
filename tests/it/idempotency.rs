//! Requests that carry an `Idempotency-Key` are done once.

use gateway_tests::{
    ExchangeEnd, Gateway, PATIENCE, RawConnection, Reply, Script, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    (upstream, gateway)
}

fn keyed(path: &str, key: &str, body: &Value) -> Vec<u8> {
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request("POST", path, &headers, body.as_bytes())
}

async fn post(gateway: &Gateway, path: &str, key: &str, body: &Value) -> Reply {
    gateway.send(keyed(path, key, body)).await
}

fn chat(besides: Value) -> Value {
    serde_json::from_str(&openai::ask("lab/m", besides)).unwrap()
}

const CHAT: &str = "/v1/chat/completions";

/// Checks that the request runs once and is replayed, and runs again under another key.
async fn check(gateway: &Gateway, upstream: &Upstream, path: &str, body: Value) {
    let before = upstream.exchanges().len();
    let first = post(gateway, path, path, &body).await;
    assert!(first.status() < 300, "{path}: {}", first.text());
    assert_eq!(first.header("idempotent-replayed"), "");
    let asked = upstream.exchanges().len() - before;
    let second = post(gateway, path, path, &body).await;
    assert_eq!(second.header("idempotent-replayed"), "true", "{path}");
    assert_eq!((second.status(), second.text()), (first.status(), first.text()), "{path}");
    assert_eq!(second.header("content-type"), first.header("content-type"), "{path}");
    assert_eq!(upstream.exchanges().len() - before, asked, "{path}");
    let other = post(gateway, path, "another-key", &body).await;
    assert_eq!((other.status(), other.header("idempotent-replayed")), (first.status(), ""));
    assert_eq!(upstream.exchanges().len() - before, 2 * asked, "{path}");
}

#[tokio::test]
async fn idempotent_request_runs_once_in_every_dialect() {
    let (upstream, gateway) = start().await;
    let said = json!([{ "role": "user", "content": "Hello" }]);
    for stream in [false, true] {
        let gateway = Gateway::before(&upstream).await;
        check(&gateway, &upstream, CHAT, chat(json!({ "stream": stream }))).await;
        let body = json!({ "model": "lab/m", "input": "Hello", "stream": stream });
        check(&gateway, &upstream, "/v1/responses", body).await;
        let body = json!({ "model": "lab/m", "max_tokens": 9, "messages": said, "stream": stream });
        check(&gateway, &upstream, "/v1/messages", body).await;
        let body = json!({ "model": "lab/m", "prompt": "Hello", "stream": stream });
        check(&gateway, &upstream, "/v1/completions", body).await;
    }
    check(&gateway, &upstream, "/v1/sessions", Value::Null).await;
    let id = post(&gateway, "/v1/sessions", "s", &Value::Null).await.json()["id"].clone();
    let fork = format!("/v1/sessions/{}/fork", id.as_str().unwrap());
    check(&gateway, &upstream, &fork, Value::Null).await;
    let vector = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    upstream.always(Script::json(200, vector));
    let body = json!({ "model": "lab/m", "input": "Hello" });
    check(&gateway, &upstream, "/v1/embeddings", body).await;
}

#[tokio::test]
async fn reused_key_with_other_body_is_rejected() {
    let (upstream, gateway) = start().await;
    assert_eq!(post(&gateway, CHAT, "k", &chat(json!({}))).await.status(), 200);
    let other = post(&gateway, CHAT, "k", &chat(json!({ "temperature": 0 }))).await;
    assert_eq!(other.status_and_code(), "422 idempotency_mismatch");
    let headers = [("Idempotency-Key", "k"), ("x-gateway-strict", "true")];
    let body = chat(json!({})).to_string();
    let other = gateway.send(request("POST", CHAT, &headers, body.as_bytes())).await;
    assert_eq!(other.status_and_code(), "422 idempotency_mismatch");
    let elsewhere = json!({ "model": "lab/m", "input": "Hello" });
    assert_eq!(post(&gateway, "/v1/responses", "k", &elsewhere).await.status(), 200);
    assert_eq!(upstream.exchanges().len(), 2);
    for key in ["", "a b", &"k".repeat(256)] {
        let refused = post(&gateway, CHAT, key, &chat(json!({}))).await;
        assert_eq!(refused.status_and_code(), "400 invalid_idempotency_key", "{key:?}");
    }
}

#[tokio::test]
async fn idempotency_key_is_scoped_to_tenant() {
    let (mine, theirs) = ("sk-mine-0123456789abcdef", "sk-theirs-0123456789abcdef");
    let gateway = Setup::new().client("mine", mine).client("theirs", theirs).start().await;
    let mut told = Vec::new();
    for key in [mine, theirs, mine] {
        let bearer = format!("Bearer {key}");
        let headers = [("Idempotency-Key", "k"), ("Authorization", &*bearer)];
        let reply = gateway.send(request("POST", "/v1/sessions", &headers, b"")).await;
        told.push((reply.json()["id"].clone(), reply.header("idempotent-replayed") == "true"));
    }
    assert_eq!(told[0].0, told[2].0);
    assert_ne!(told[0].0, told[1].0);
    assert_eq!([told[0].1, told[1].1, told[2].1], [false, false, true]);
    let nobody = post(&gateway, "/v1/sessions", "k", &Value::Null).await;
    assert_eq!(nobody.status(), 401);
}

#[tokio::test]
async fn concurrent_request_with_same_key_is_rejected() {
    let (upstream, gateway) = start().await;
    let answer = openai::whole("Hello.");
    let length = answer.len().to_string();
    let headers = [("content-type", "application/json"), ("content-length", &*length)];
    upstream.next(Script::new().wait(500).head(200, &headers).bytes(answer));
    let body = chat(json!({}));
    let mut first = gateway.connect().await;
    first.send(keyed(CHAT, "k", &body)).await;
    upstream.arrived(1).await;
    let second = post(&gateway, CHAT, "k", &body).await;
    assert_eq!(second.status_and_code(), "409 idempotency_in_progress");
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(first.reply().await.status(), 200);
    let third = post(&gateway, CHAT, "k", &body).await;
    assert_eq!((third.status(), third.header("idempotent-replayed")), (200, "true"));
    assert_eq!(upstream.exchanges().len(), 1);
}

#[tokio::test]
async fn failed_request_may_be_repeated() {
    let (upstream, gateway) = start().await;
    let cut = || Script::streaming().event(&openai::says("a")).close();
    for (script, stream) in [(Script::json(500, "{}"), false), (cut(), true)] {
        let key = format!("k-{stream}");
        let body = chat(json!({ "stream": stream }));
        upstream.next(script);
        let failed = post(&gateway, CHAT, &key, &body).await;
        assert!(failed.status() >= 500 || failed.text().contains("error"), "{}", failed.text());
        let again = post(&gateway, CHAT, &key, &body).await;
        assert_eq!((again.status(), again.header("idempotent-replayed")), (200, ""));
        let third = post(&gateway, CHAT, &key, &body).await;
        assert_eq!(third.header("idempotent-replayed"), "true");
        assert_eq!(third.text(), again.text());
    }
}

/// Sends the request until it is not being done any more.
async fn until_free(gateway: &Gateway, key: &str, body: &Value) -> Reply {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = post(gateway, CHAT, key, body).await;
        if reply.status() != 409 {
            return reply;
        }
        assert!(Instant::now() < deadline, "{}", reply.text());
        time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn abandoned_turn_is_repeated_and_stored_once() {
    let (upstream, gateway) = start().await;
    let id = post(&gateway, "/v1/sessions", "s", &Value::Null).await.json()["id"].clone();
    let body = chat(json!({ "session_id": id, "stream": true }));
    upstream.next(Script::streaming().event(&openai::says("begun")).stall());
    let mut raw: RawConnection = gateway.connect().await;
    raw.send(keyed(CHAT, "k", &body)).await;
    assert!(raw.begin().await.block().await.unwrap().contains("begun"));
    drop(raw);
    assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)));
    let again = until_free(&gateway, "k", &body).await;
    assert_eq!((again.status(), again.header("idempotent-replayed")), (200, ""));
    let next =
        chat(json!({ "session_id": id, "messages": [{ "role": "user", "content": "two" }] }));
    assert_eq!(post(&gateway, CHAT, "k2", &next).await.status(), 200);
    let sent = upstream.last().json()["messages"].clone();
    let sent: Vec<_> = sent.as_array().unwrap().iter().map(|it| it["content"].clone()).collect();
    assert_eq!(sent, ["Hello", "Hello.", "two"]);
    let page = gateway.get(&format!("/v1/sessions/{}/messages", id.as_str().unwrap())).await;
    let kept = page.json()["data"].as_array().unwrap().len();
    assert_eq!(kept, 6, "what was told before stays, marked: {}", page.text());
}

#[tokio::test]
async fn oversized_reply_is_not_replayed() {
    let (upstream, gateway) = start().await;
    upstream.next(Script::json(200, openai::whole(&"x".repeat(5 << 20))));
    let body = chat(json!({}));
    assert_eq!(post(&gateway, CHAT, "k", &body).await.status(), 200);
    let again = post(&gateway, CHAT, "k", &body).await;
    assert_eq!(again.status_and_code(), "422 idempotency_reply_too_large");
    assert_eq!(upstream.exchanges().len(), 1, "it is not done again either");
}

#[tokio::test]
async fn idempotency_without_store_is_rejected() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .env("LLM_GATEWAY_STORE", "redis")
        .env("LLM_GATEWAY_REDIS_URL", "redis://127.0.0.1:1");
    let gateway = setup.start().await;
    let refused = post(&gateway, CHAT, "k", &chat(json!({}))).await;
    assert_eq!(refused.status_and_code(), "503 store_unavailable");
    assert_eq!(refused.header("retry-after"), "2");
    assert!(upstream.exchanges().is_empty());
    assert_eq!(gateway.ask("lab/m", json!({})).await.status(), 200, "others do not notice");
}

#[tokio::test]
async fn reply_is_replayed_after_restart() {
    let data = std::env::temp_dir().join(format!("gateway-once-{}", std::process::id()));
    let upstream = Upstream::start().await;
    let setup = || {
        Setup::before(&upstream)
            .env("LLM_GATEWAY_DATA_DIR", data.to_str().unwrap())
            .env("LLM_GATEWAY_STORE", "embedded")
    };
    let body = chat(json!({ "stream": true }));
    let mut gateway = setup().start().await;
    let first = post(&gateway, CHAT, "k", &body).await;
    gateway.terminate();
    assert!(gateway.stopped().await.success());
    let gateway = setup().start().await;
    let second = post(&gateway, CHAT, "k", &body).await;
    assert_eq!((second.text(), second.header("idempotent-replayed")), (first.text(), "true"));
    assert_eq!(upstream.exchanges().len(), 1);
    drop(gateway);
    let _ = std::fs::remove_dir_all(data);
}
