//! A blocked log output, and a flood of log lines.

use gateway_tests::{Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn blocked_log_output_does_not_block_requests() {
    let mut gateway = Setup::new().set("log", "level", "trace").unread().start().await;
    // The pipe takes 64 KiB, the queue 8192 lines.
    let mut raw = gateway.connect().await;
    let body = openai::ask("fake/echo", json!({ "user": "x".repeat(200) }));
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let many = request("POST", "/v1/chat/completions", &[], body.as_bytes()).repeat(100);
        raw.send(many).await;
        for _ in 0..100 {
            let began = Instant::now();
            assert_eq!(raw.reply().await.status(), 200);
            slowest = slowest.max(began.elapsed());
        }
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let lost = gateway.metric("llm_gateway_log_lines_lost_total", "full").await;
    assert!(lost > 100.0, "{lost} lines are lost");
    let began = Instant::now();
    gateway.terminate();
    assert!(gateway.stopped().await.success());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn repeated_failure_is_rate_limited_in_log() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(500, "{}"));
    let setup = Setup::tenacious().provider("lab", &upstream.url());
    let setup = setup.set("resilience", "retry_max_attempts", "1");
    let gateway = setup.set("resilience", "circuit_breaker_failure_threshold", "1");
    let gateway = gateway.start().await;
    // Each model opens a breaker of its own.
    for number in 0..60 {
        gateway.ask(&format!("lab/m{number}"), Value::Null).await;
    }
    let lines = gateway.log();
    let warned = lines.iter().filter(|it| it["target"] == "gateway::breaker").count();
    assert!((20..60).contains(&warned), "{warned}");
    assert_eq!(gateway.outcomes(60).await.len(), 60);
    assert!(gateway.metric("llm_gateway_log_lines_lost_total", "repeated").await >= 1.0);
}
