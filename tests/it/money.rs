//! Money is booked when it is spent: what was written to an upstream is owed, whatever becomes of
//! the answer.

use gateway_tests::{
    Gateway, RawConnection, Script, Setup, Upstream, openai, platform::PlatformStub, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time;

const KEY: &str = "sk-ours";

/// A client before a model at ten cents a token read and twenty a token written.
fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .client("ours", KEY)
}

/// Sends a chat request for `m` with these members besides, and does not wait.
async fn send(gateway: &Gateway, path: &str, body: &str) -> RawConnection {
    let mut raw = gateway.connect().await;
    let headers = [("x-api-key", KEY), ("content-type", "application/json")];
    raw.send(request("POST", path, &headers, body.as_bytes())).await;
    raw
}

async fn chat(gateway: &Gateway, besides: Value) -> RawConnection {
    send(gateway, "/v1/chat/completions", &openai::ask("m", besides)).await
}

/// A text of about so many tokens.
fn long(tokens: usize) -> String {
    "word".repeat(tokens)
}

/// The sum of what the client has used.
async fn total(gateway: &Gateway, outcomes: usize) -> Value {
    gateway.outcomes(outcomes).await;
    let headers = [("x-api-key", KEY)];
    let reply = gateway.send(request("GET", "/v1/usage", &headers, b"")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.json()["total"].clone()
}

#[track_caller]
fn check_tokens(total: &Value, input: u64, output: u64) {
    let count = |name: &str| total[name].as_u64().unwrap();
    let read = count("input_tokens");
    assert!(read >= input && read <= input + input / 10 + 60, "{input} read: {total}");
    assert_eq!(count("output_tokens"), output, "{total}");
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let cost = (read + 2 * output) as f64 / 10.0;
    assert!((total["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-6, "{total}");
}

#[tokio::test]
async fn request_left_before_its_answer_owes_its_input() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    for stream in [false, true] {
        upstream.next(Script::new().stall());
        let sent = upstream.exchanges().len();
        let raw = chat(&gateway, json!({ "stream": stream, "user": long(1000) })).await;
        upstream.arrived(sent + 1).await;
        drop(raw);
    }
    check_tokens(&total(&gateway, 2).await, 2000, 0);
}

#[tokio::test]
async fn request_that_timed_out_owes_its_input() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).hurried("300ms").start().await;
    upstream.next(Script::new().stall());
    let mut raw = chat(&gateway, json!({ "user": long(1000) })).await;
    assert_eq!(raw.reply().await.status_and_code(), "504 upstream_timeout");
    check_tokens(&total(&gateway, 1).await, 1000, 0);
}

#[tokio::test]
async fn request_cut_before_its_answer_owes_its_input() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    upstream.next(Script::new().reset());
    let mut raw = chat(&gateway, json!({ "user": long(1000) })).await;
    assert_eq!(raw.reply().await.status(), 502);
    check_tokens(&total(&gateway, 1).await, 1000, 0);
}

#[tokio::test]
async fn refused_request_owes_nothing() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    for status in [400, 429, 500, 503] {
        upstream.next(Script::json(status, openai::error("e", "e", "no")));
        chat(&gateway, json!({ "user": long(1000) })).await.reply().await;
    }
    check_tokens(&total(&gateway, 4).await, 0, 0);
}

#[tokio::test]
async fn unreachable_upstream_owes_nothing() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream).provider("lab", "http://127.0.0.1:9/v1");
    let gateway = setup.start().await;
    assert_eq!(chat(&gateway, json!({})).await.reply().await.status(), 502);
    check_tokens(&total(&gateway, 1).await, 0, 0);
}

#[tokio::test]
async fn every_attempt_that_was_written_is_owed() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream).write("resilience", "retry_max_attempts", "3").write(
        "resilience",
        "retry_ambiguous",
        "true",
    );
    let gateway = setup.start().await;
    upstream.next(Script::new().reset());
    upstream.next(Script::new().reset());
    let reply = chat(&gateway, json!({ "user": long(1000) })).await.reply().await;
    assert_eq!(reply.status(), 200);
    // Two attempts that broke, and an answer of 7 tokens read and 3 written.
    check_tokens(&total(&gateway, 1).await, 2007, 3);
}

#[tokio::test]
async fn left_embeddings_request_owes_its_input() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    upstream.next(Script::new().stall());
    let body = json!({ "model": "m", "input": long(1000) }).to_string();
    let raw = send(&gateway, "/v1/embeddings", &body).await;
    upstream.arrived(1).await;
    drop(raw);
    check_tokens(&total(&gateway, 1).await, 1000, 0);
}

#[tokio::test]
async fn tool_loop_left_in_a_later_round_owes_all_rounds() {
    let (upstream, platform) = (Upstream::start().await, PlatformStub::start().await);
    let gateway = setup(&upstream).with_platform(&platform).start().await;
    upstream.numbered(|number, _| openai::three_tool_rounds(number));
    let raw = chat(&gateway, json!({ "tools": [openai::search_tool()], "user": long(1000) })).await;
    upstream.arrived(4).await;
    drop(raw);
    let total = total(&gateway, 1).await;
    // Three rounds as reported, and the estimate of the fourth.
    assert_eq!(total["output_tokens"], 150, "{total}");
    assert!(total["input_tokens"].as_u64().unwrap() >= 300 + 1000, "{total}");
}

#[tokio::test]
async fn budget_is_spent_by_requests_that_are_left() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream)
        .write("limits", "enabled", "true")
        .write("[clients]", "daily_budget_usd", "500")
        .start()
        .await;
    upstream.always(Script::new().stall());
    let mut refused = 0;
    for number in 0..12 {
        let mut raw = chat(&gateway, json!({ "user": long(1000), "max_tokens": 1 })).await;
        let wait = upstream.arrived(number + 1 - refused);
        tokio::select! {
            () = wait => drop(raw),
            reply = raw.reply() => {
                assert_eq!(reply.status_and_code(), "429 budget_exceeded");
                refused += 1;
            }
        }
        time::sleep(Duration::from_millis(50)).await;
    }
    assert!(upstream.exchanges().len() <= 5, "{} were let through", upstream.exchanges().len());
    assert!(refused >= 7, "{refused}");
}
