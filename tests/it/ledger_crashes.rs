//! The usage ledger after a crash: every request that an upstream was asked for is booked, at its
//! usage if it ended, at its reservation if it did not.

use gateway_tests::{
    Gateway, RawConnection, Redis, Script, Setup, Upstream, openai, platform::PlatformStub, request,
};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tokio::time::{self, Instant};

const KEY: &str = "sk-ours";

/// A client before a model at ten cents a token read and twenty a token written.
fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .client("ours", KEY)
}

fn embedded(upstream: &Upstream) -> Setup {
    setup(upstream).set("store", "backend", "embedded")
}

/// Sends a chat request with these members besides, and does not wait.
async fn chat(gateway: &Gateway, besides: Value) -> RawConnection {
    let mut raw = gateway.connect().await;
    let headers = [("x-api-key", KEY), ("content-type", "application/json")];
    let body = openai::ask("m", besides);
    raw.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
    raw
}

/// A text of about so many tokens.
fn long(tokens: usize) -> String {
    "word".repeat(tokens)
}

/// The usage of the client, by outcome.
async fn usage(gateway: &Gateway) -> Value {
    let headers = [("x-api-key", KEY)];
    let path = "/v1/usage?group_by=outcome";
    let reply = gateway.send(request("GET", path, &headers, b"")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.json()
}

fn of_outcome(usage: &Value, outcome: &str) -> Value {
    let rows = usage["data"].as_array().unwrap();
    rows.iter().find(|row| row["outcome"] == outcome).cloned().unwrap_or_default()
}

/// Checks that `number` requests were booked at the reservation of 1,000 tokens read and 50
/// written each, with their cost.
#[track_caller]
fn check_reserved(usage: &Value, number: u64) {
    let lost = of_outcome(usage, "lost_in_crash");
    assert_eq!(lost["requests"], number, "{usage}");
    let input = lost["input_tokens"].as_u64().unwrap();
    assert!((1000 * number..1080 * number).contains(&input), "{usage}");
    assert_eq!(lost["output_tokens"], 50 * number, "{usage}");
    assert_eq!(lost["cost_nano_usd"], (input + 2 * 50 * number) * 100_000_000, "{usage}");
    assert_eq!(lost["estimated_requests"], number, "{usage}");
}

/// Answers `number` requests, kills the gateway at once, and checks what it has booked.
async fn check_answered(mut gateway: Gateway, number: u64) {
    let mut asked = Vec::new();
    for _ in 0..number {
        asked.push(chat(&gateway, json!({})).await);
    }
    for raw in &mut asked {
        assert_eq!(raw.reply().await.status(), 200);
    }
    gateway.kill();
    gateway.revive().await;
    let usage = usage(&gateway).await;
    let ok = of_outcome(&usage, "ok");
    assert_eq!(usage["total"]["requests"], number, "{usage}");
    assert_eq!(
        (&ok["input_tokens"], &ok["output_tokens"]),
        (&json!(7 * number), &json!(3 * number))
    );
}

#[tokio::test]
async fn answered_requests_are_booked_after_a_kill() {
    let upstream = Upstream::start().await;
    check_answered(embedded(&upstream).start().await, 120).await;
    let redis = Redis::start().await;
    check_answered(setup(&upstream).sharing(&redis).start().await, 120).await;
}

/// Kills the gateway while `number` requests wait for their upstream, and checks what is booked.
async fn check_waiting(setup: Setup, upstream: &Upstream, number: u64) {
    let mut gateway = setup.start().await;
    let before = upstream.exchanges().len();
    let mut asked = Vec::new();
    for at in 0..number {
        upstream.next(Script::new().stall());
        let besides = json!({ "stream": at % 2 == 0, "user": long(1000), "max_tokens": 50 });
        asked.push(chat(&gateway, besides).await);
    }
    upstream.arrived(before + usize::try_from(number).unwrap()).await;
    gateway.kill();
    gateway.revive().await;
    check_reserved(&usage(&gateway).await, number);
    // Once.
    gateway.kill();
    gateway.revive().await;
    check_reserved(&usage(&gateway).await, number);
}

#[tokio::test]
async fn requests_in_progress_are_booked_at_their_reservations_after_a_kill() {
    let upstream = Upstream::start().await;
    check_waiting(embedded(&upstream), &upstream, 6).await;
    let redis = Redis::start().await;
    check_waiting(setup(&upstream).sharing(&redis), &upstream, 6).await;
}

#[tokio::test]
async fn request_that_is_old_when_its_gateway_is_killed_is_booked() {
    let upstream = Upstream::start().await;
    let mut gateway = embedded(&upstream).start().await;
    upstream.next(Script::new().stall());
    let _asked = chat(&gateway, json!({ "user": long(1000), "max_tokens": 50 })).await;
    upstream.arrived(1).await;
    // By now its row stands in the store, as open.
    time::sleep(Duration::from_millis(1_500)).await;
    gateway.kill();
    // Without the journal, the reservation in the store counts.
    fs::remove_dir_all(gateway.home().join("data/usage-journal")).unwrap();
    gateway.revive().await;
    check_reserved(&usage(&gateway).await, 1);
}

#[tokio::test]
async fn killed_tool_loop_is_booked_with_all_rounds() {
    let (upstream, platform) = (Upstream::start().await, PlatformStub::start().await);
    let mut gateway = embedded(&upstream).with_platform(&platform).start().await;
    upstream.numbered(|number, _| openai::three_tool_rounds(number));
    let besides = json!({ "tools": [openai::search_tool()], "user": long(1000), "max_tokens": 60 });
    let _asked = chat(&gateway, besides).await;
    upstream.arrived(4).await;
    gateway.kill();
    gateway.revive().await;
    let usage = usage(&gateway).await;
    let lost = of_outcome(&usage, "lost_in_crash");
    // Three rounds as reported, and the reservation of the fourth.
    assert_eq!(
        (&lost["requests"], &lost["output_tokens"]),
        (&json!(1), &json!(150 + 60)),
        "{usage}"
    );
    let input = lost["input_tokens"].as_u64().unwrap();
    assert!((300 + 1000..300 + 1500).contains(&input), "{usage}");
}

#[tokio::test]
async fn killed_request_that_was_written_twice_is_booked_twice() {
    let upstream = Upstream::start().await;
    let mut gateway = embedded(&upstream).start().await;
    assert_eq!(chat(&gateway, json!({})).await.reply().await.status(), 200);
    // The idle connection breaks when it is used, and a fresh one takes the request.
    upstream.next(Script::new().reset());
    upstream.next(Script::new().stall());
    let _asked = chat(&gateway, json!({ "user": long(1000), "max_tokens": 50 })).await;
    upstream.arrived(3).await;
    gateway.kill();
    gateway.revive().await;
    let usage = usage(&gateway).await;
    let lost = of_outcome(&usage, "lost_in_crash");
    assert_eq!((&lost["requests"], &lost["output_tokens"]), (&json!(1), &json!(50)), "{usage}");
    let input = lost["input_tokens"].as_u64().unwrap();
    assert!((2000..2160).contains(&input), "{usage}");
}

#[tokio::test]
async fn gateway_without_a_journal_serves_with_a_warning() {
    let (upstream, redis) = (Upstream::start().await, Redis::start().await);
    let gateway = setup(&upstream)
        .sharing(&redis)
        .env("LLM_GATEWAY_DATA_DIR", "/dev/null/data")
        .start()
        .await;
    assert_eq!(chat(&gateway, json!({})).await.reply().await.status(), 200);
    assert_eq!(usage(&gateway).await["total"]["requests"], 1);
    assert!(gateway.stdout().contains("usage journal unavailable"), "{}", gateway.stdout());
}

#[tokio::test]
async fn requests_of_a_killed_replica_are_booked_by_another() {
    let (upstream, redis) = (Upstream::start().await, Redis::start().await);
    let mut killed = setup(&upstream).sharing(&redis).start().await;
    let other = setup(&upstream).sharing(&redis).start().await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        upstream.next(Script::new().stall());
        asked.push(chat(&killed, json!({ "user": long(1000), "max_tokens": 50 })).await);
    }
    upstream.next(Script::new().stall());
    let _running = chat(&other, json!({})).await;
    upstream.arrived(4).await;
    time::sleep(Duration::from_millis(300)).await;
    killed.kill();
    let began = Instant::now();
    while of_outcome(&usage(&other).await, "lost_in_crash").is_null() {
        assert!(began.elapsed() < Duration::from_secs(30), "not booked within 30 s");
        time::sleep(Duration::from_millis(200)).await;
    }
    let all = usage(&other).await;
    check_reserved(&all, 3);
    assert_eq!(all["total"]["requests"], 3, "the request of the other replica is open: {all}");
    // What the journal of the killed one says besides is booked already.
    killed.revive().await;
    time::sleep(Duration::from_millis(500)).await;
    check_reserved(&usage(&other).await, 3);
}
