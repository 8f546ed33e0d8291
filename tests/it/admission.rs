//! Overload and admission control.

use gateway_tests::{Gateway, RawConnection, Script, Setup, Upstream, openai, request};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

async fn start(settings: &[(&str, &str)]) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let mut setup = Setup::before(&upstream);
    for (name, value) in settings {
        setup = setup.write("admission", name, value);
    }
    (upstream, setup.start().await)
}

/// Begins a streamed answer that does not end by itself.
async fn hold(upstream: &Upstream, gateway: &Gateway, headers: &[(&str, &str)]) -> RawConnection {
    let script = Script::streaming().event(&openai::opening()).event(&openai::says("a")).stall();
    upstream.next(script);
    let body = openai::ask("lab/m", json!({ "stream": true }));
    let mut raw = gateway.connect().await;
    raw.send(request("POST", "/v1/chat/completions", headers, body.as_bytes())).await;
    assert_eq!(raw.begin().await.head.word(1), "200");
    raw
}

#[tokio::test]
async fn slot_is_held_until_stream_ends_and_others_are_rejected() {
    let settings = [("max_concurrent_requests", "2"), ("queue", "0")];
    let (upstream, gateway) = start(&settings).await;
    let first = hold(&upstream, &gateway, &[]).await;
    let second = hold(&upstream, &gateway, &[]).await;
    let refused = gateway.ask("lab/m", json!({})).await;
    assert_eq!(refused.status_and_code(), "503 overloaded");
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(refused.header("x-memory-pressure"), "normal");
    assert_eq!(refused.header("x-active-requests"), "2");
    assert!(refused.header("x-memory-rss-mb").parse::<f64>().unwrap() > 1.0);
    let body = refused.json();
    assert_eq!((&body["reason"], &body["max_concurrent"]), (&json!("backpressure"), &json!(2)));
    assert_eq!((&body["active_requests"], &body["retry_after_seconds"]), (&json!(2), &json!(5)));
    assert_eq!(upstream.exchanges().len(), 2);
    for path in ["/health", "/metrics", "/"] {
        let reply = gateway.get(path).await;
        assert_eq!((reply.status(), reply.header("x-active-requests")), (200, ""), "{path}");
    }
    assert_eq!(gateway.get("/v1/models").await.status(), 200, "it asks no model");
    drop(first);
    gateway.outcomes(1).await;
    assert_eq!(gateway.ask("lab/m", json!({})).await.status(), 200);
    drop(second);
}

#[tokio::test]
async fn request_waits_briefly_for_slot() {
    let settings = [("max_concurrent_requests", "1"), ("queue_timeout", "\"10s\"")];
    let (upstream, gateway) = start(&settings).await;
    let held = hold(&upstream, &gateway, &[]).await;
    let mut waiting = gateway.asking("lab/m", json!({})).await;
    // It is there before the place is given back.
    gateway.get("/health").await;
    drop(held);
    assert_eq!(waiting.reply().await.status(), 200);
}

#[tokio::test]
async fn batch_requests_leave_reserved_slots() {
    let settings = [("max_concurrent_requests", "2"), ("queue", "0")];
    let (upstream, gateway) = start(&settings).await;
    let _held = hold(&upstream, &gateway, &[]).await;
    let _batch = hold(&upstream, &gateway, &[("x-priority", "batch")]).await;
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "503 overloaded");
}

#[tokio::test]
async fn memory_pressure_sheds_requests() {
    let (_upstream, gateway) = start(&[("memory_threshold_mb", "1")]).await;
    // Measured a few times a second.
    let deadline = SystemTime::UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(10);
    let refused = loop {
        let reply = gateway.ask("lab/m", json!({})).await;
        if reply.status() == 503 {
            break reply;
        }
        assert!(SystemTime::UNIX_EPOCH.elapsed().unwrap() < deadline);
    };
    assert_eq!(refused.status_and_code(), "503 overloaded");
    assert_eq!(refused.header("x-memory-pressure"), "critical");
    assert_eq!(refused.json()["threshold_mb"], 1);
    assert_eq!(gateway.get("/health").await.status(), 200);
}

#[tokio::test]
async fn provider_cannot_take_all_slots() {
    let (upstream, gateway) = start(&[("max_per_provider", "1")]).await;
    let _held = hold(&upstream, &gateway, &[]).await;
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "503 provider_overloaded");
    assert_eq!(gateway.ask("fake/echo", json!({})).await.status(), 200);
}

#[tokio::test]
async fn tenant_cannot_take_all_slots() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).client("a", "sk-a").client("b", "sk-b");
    let gateway = setup.write("admission", "max_per_tenant", "1").start().await;
    let _held = hold(&upstream, &gateway, &[("x-api-key", "sk-a")]).await;
    let ask = async |key: &str| {
        let body = openai::ask("lab/m", json!({}));
        let headers = [("x-api-key", key)];
        gateway
            .send(request("POST", "/v1/chat/completions", &headers, body.as_bytes()))
            .await
            .status_and_code()
    };
    assert_eq!(ask("sk-a").await, "429 tenant_overloaded");
    assert_eq!(ask("sk-b").await, "200");
}

/// Returns the admission status for operators.
async fn admission_status(gateway: &Gateway) -> serde_json::Value {
    gateway.get("/health/detailed").await.json()["admission"].clone()
}

#[tokio::test]
async fn admission_state_is_reported_to_operators() {
    let settings = [
        ("max_concurrent_requests", "1"),
        ("queue", "1"),
        ("queue_timeout", "\"60s\""),
        ("memory_threshold_mb", "4096"),
    ];
    let (upstream, gateway) = start(&settings).await;
    let before = admission_status(&gateway).await;
    let facts = ["active", "places", "waiting", "queue", "shed"].map(|name| before[name].clone());
    assert_eq!(json!(facts), json!([0, 1, 0, 1, 0]), "{before}");
    assert_eq!(before["memory"]["threshold_mb"], 4096, "{before}");
    assert_eq!(before["memory"]["pressure"], "normal");
    let held = hold(&upstream, &gateway, &[]).await;
    let mut waiting = gateway.asking("lab/m", json!({})).await;
    let deadline = SystemTime::UNIX_EPOCH.elapsed().unwrap() + gateway_tests::PATIENCE;
    while admission_status(&gateway).await["waiting"] != 1 {
        assert!(SystemTime::UNIX_EPOCH.elapsed().unwrap() < deadline, "nobody waits");
    }
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "503 overloaded");
    let full = admission_status(&gateway).await;
    assert_eq!((&full["active"], &full["shed"]), (&json!(1), &json!(1)), "{full}");
    assert!(full["memory"]["used_mb"].as_f64().unwrap() > 1.0, "{full}");
    drop(held);
    assert_eq!(waiting.reply().await.status(), 200);
}

/// A slow provider fills its own slots; its queue does not delay requests to others.
#[tokio::test]
async fn slow_provider_does_not_slow_others() {
    let settings = [("max_per_provider", "4"), ("queue_timeout", "\"2s\"")];
    let (upstream, gateway) = start(&settings).await;
    let body = openai::ask("fake/echo", json!({}));
    let other = request("POST", "/v1/chat/completions", &[], body.as_bytes());
    let before = usual(&gateway, &other, 100, "200").await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(hold(&upstream, &gateway, &[]).await);
    }
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(gateway.asking("lab/m", json!({})).await);
    }
    let meanwhile = usual(&gateway, &other, 100, "200").await;
    let told = format!("another takes {meanwhile:?}, and {before:?} before");
    gateway_tests::print_measurement(&told);
    assert!(meanwhile < 2 * before + Duration::from_millis(5), "{told}");
    for mut raw in waiting {
        assert_eq!(raw.reply().await.status_and_code(), "503 provider_overloaded");
    }
    assert_eq!(upstream.exchanges().len(), 4, "whoever waits is not asked for");
    held.clear();
    gateway.outcomes(4 + 200).await;
    assert_eq!(gateway.ask("lab/m", json!({})).await.status(), 200);
}

/// Returns the median time of `count` requests on one connection.
async fn usual(gateway: &Gateway, bytes: &[u8], count: usize, told: &str) -> Duration {
    let mut raw = gateway.connect().await;
    let mut took = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        raw.send(bytes).await;
        assert_eq!(raw.reply().await.status_and_code(), told);
        took.push(began.elapsed());
    }
    took.sort();
    took[count / 2]
}

/// To turn away costs the gateway hardly more than to say that it is there, however much there is to
/// do.
#[tokio::test]
async fn excess_requests_are_rejected_immediately() {
    let settings = [("max_concurrent_requests", "2"), ("queue", "0")];
    let (upstream, gateway) = start(&settings).await;
    let _held = (hold(&upstream, &gateway, &[]).await, hold(&upstream, &gateway, &[]).await);
    let body = openai::ask("lab/m", json!({}));
    let asking = request("POST", "/v1/chat/completions", &[], body.as_bytes());
    let probing = request("GET", "/health", &[], b"");
    let probe = usual(&gateway, &probing, 200, "200").await;
    let refusal = usual(&gateway, &asking, 200, "503 overloaded").await;
    gateway_tests::print_measurement(&format!("a probe takes {probe:?}, a refusal {refusal:?}"));
    assert!(refusal < 5 * probe + Duration::from_millis(1), "{refusal:?}, and a probe {probe:?}");
    assert_eq!(upstream.exchanges().len(), 2);
}

/// Callers who ask again and again for `length`, and wait a little when they are turned away: how
/// many answers they had.
async fn answers(gateway: &Arc<Gateway>, callers: usize, length: Duration) -> usize {
    let end = Instant::now() + length;
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let gateway = Arc::clone(gateway);
        tasks.spawn(async move {
            let (mut raw, mut answers) = (gateway.connect().await, 0);
            let body = openai::ask("lab/m", json!({}));
            let asking = request("POST", "/v1/chat/completions", &[], body.as_bytes());
            while Instant::now() < end {
                raw.send(&asking).await;
                match raw.reply().await.status_and_code().as_str() {
                    "200" => answers += 1,
                    told => {
                        assert_eq!(told, "503 overloaded");
                        time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
            answers
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// Five times as many callers as there are places get as much done as just enough of them.
#[tokio::test]
async fn overload_does_not_reduce_throughput() {
    let settings = [("max_concurrent_requests", "4"), ("queue", "4")];
    let (upstream, gateway) = start(&settings).await;
    let gateway = Arc::new(gateway);
    upstream.always(Script::new().wait(50).bytes(openai_whole()));
    let length = Duration::from_secs(3);
    let enough = answers(&gateway, 4, length).await;
    let too_many = answers(&gateway, 20, length).await;
    gateway_tests::print_measurement(&format!("{enough} answers for 4 callers, {too_many} for 20"));
    assert!(too_many * 10 >= enough * 9, "{too_many} instead of {enough}");
}

fn openai_whole() -> String {
    let answer = openai::whole("Hello.");
    let length = answer.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{answer}"
    )
}
