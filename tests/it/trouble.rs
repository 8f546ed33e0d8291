//! Providers and stores in trouble for a while, under load.
//!
//! For how long can be said in seconds, in `GATEWAY_TEST_SECONDS`.

use gateway_tests::{Gateway, Redis, Script, Setup, Upstream, number, openai, request};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

fn refusal(status: u16) -> Script {
    Script::json(status, openai::error("x", "x", "x"))
}

fn fine() -> Script {
    Script::json(200, openai::whole("Hello."))
}

fn length() -> Duration {
    Duration::from_secs(number("GATEWAY_TEST_SECONDS").unwrap_or(2))
}

/// Twenty callers at once, each asking `requests` times, and again up to `again` times as SDKs do:
/// how many requests had an answer.
async fn load(gateway: &Arc<Gateway>, model: &'static str, requests: usize, again: usize) -> usize {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(caller(Arc::clone(gateway), model, requests, again));
    }
    callers.join_all().await.into_iter().sum()
}

async fn caller(gateway: Arc<Gateway>, model: &str, requests: usize, again: usize) -> usize {
    let mut fine = 0;
    for _ in 0..requests {
        for _ in 0..=again {
            let reply = gateway.ask(model, Value::Null).await;
            fine += usize::from(reply.status() == 200);
            if reply.status() == 200 || reply.header("x-should-retry") == "false" {
                break;
            }
        }
    }
    fine
}

const CALLERS: usize = 20;

/// The longest pause, and what a machine needs that has other things to do.
const RECOVERY: Duration = Duration::from_secs(12);

#[tokio::test]
async fn failing_upstream_gets_no_extra_load() {
    for breaker in ["true", "false"] {
        let upstream = Upstream::start().await;
        let setup = Setup::tenacious().provider("lab", &upstream.url());
        let setup = setup.env("LLM_GATEWAY_LOG_LEVEL", "info");
        let setup = setup.write("resilience", "circuit_breaker_enabled", breaker);
        let gateway = Arc::new(setup.start().await);
        upstream.always(refusal(500));
        let fine = load(&gateway, "lab/m", 30, 0).await;
        let (requests, calls) = (CALLERS * 30, upstream.exchanges().len());
        // The budget begins full: ten retries are free.
        assert!(calls <= requests * 11 / 10 + 15, "{calls} calls for {requests} requests");
        load(&gateway, "lab/m", 30, 2).await;
        let more = upstream.exchanges().len() - calls;
        assert!(more * 10 <= requests * 33, "{more} calls for {requests} requests of SDKs");
        assert_eq!(fine, 0);
    }
}

#[tokio::test]
async fn flapping_upstream_is_hidden_by_fallback() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let setup = Setup::tenacious().provider("one", &one.url()).provider("two", &two.url());
    let setup = setup.env("LLM_GATEWAY_LOG_LEVEL", "info").set("[routes]", "model", "best");
    let setup = setup.write("[routes]", "targets", r#"["one/m", "two/m"]"#);
    let gateway = Arc::new(setup.start().await);
    // Half of the calls fail, without a pattern.
    let mut state = 7_u32;
    for _ in 0..2000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let fine = Script::json(200, openai::whole("Hello."));
        one.next(if state >> 31 == 0 { fine } else { refusal(503) });
    }
    let fine = load(&gateway, "best", 50, 0).await;
    let (requests, calls) = (CALLERS * 50, one.exchanges().len() + two.exchanges().len());
    assert!(fine * 100 >= requests * 99, "{fine} of {requests}");
    assert!(calls * 10 <= requests * 12, "{calls} calls for {requests} requests");
    assert!(gateway.metric("llm_gateway_provider_retries_total", "one").await >= 1.0);
}

/// Pauses that begin with a second.
fn before(upstream: &Upstream) -> Setup {
    Setup::tenacious().provider("lab", &upstream.url()).set("log", "level", "info").set(
        "resilience",
        "circuit_breaker_recovery_timeout",
        "1s",
    )
}

/// Checks that callers recover: within ten seconds after the end of the failure, of any length, the
/// provider is called again, and soon all requests succeed.
async fn check_over(gateway: &Arc<Gateway>) {
    let began = Instant::now();
    loop {
        let fine = load(gateway, "lab/m", 5, 2).await;
        if fine * 100 >= CALLERS * 5 * 99 {
            break;
        }
        assert!(began.elapsed() < RECOVERY, "{fine}");
    }
    gateway_tests::print_measurement(&format!("all is well after {:?}", began.elapsed()));
}

/// Load for as long as trouble lasts.
async fn meanwhile(gateway: &Arc<Gateway>) {
    let end = Instant::now() + length();
    while Instant::now() < end {
        load(gateway, "lab/m", 2, 2).await;
    }
}

#[tokio::test]
async fn recovered_failures_do_not_linger() {
    let upstream = Upstream::start().await;
    let gateway = Arc::new(before(&upstream).start().await);
    upstream.always(refusal(503));
    meanwhile(&gateway).await;
    upstream.always(fine());
    check_over(&gateway).await;
}

/// However long the pause of the only one it knows still is.
#[tokio::test]
async fn route_recovers_within_seconds() {
    let upstream = Upstream::start().await;
    let setup = before(&upstream).set("resilience", "circuit_breaker_recovery_timeout", "5m");
    let setup = setup.set("[routes]", "model", "best");
    let gateway = setup.write("[routes]", "targets", r#"["lab/m"]"#).start().await;
    upstream.always(refusal(503));
    let mut told = String::new();
    for _ in 0..10 {
        told = gateway.ask("best", Value::Null).await.status_and_code();
    }
    assert_eq!(told, "503 no_healthy_upstream");
    upstream.always(fine());
    let began = Instant::now();
    while gateway.metric("llm_gateway_circuit_breaker_state", "lab/").await > 0.0 {
        assert!(began.elapsed() < Duration::from_secs(10), "it stays open");
        gateway.ask("best", Value::Null).await;
        time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gateway.ask("lab/m", Value::Null).await.status_and_code(), "200");
}

#[tokio::test]
async fn recovered_slowness_does_not_linger() {
    let upstream = Upstream::start().await;
    let setup = before(&upstream).hurried("500ms").write("admission", "max_per_provider", "8");
    let gateway = Arc::new(setup.start().await);
    upstream.always(Script::new().stall());
    meanwhile(&gateway).await;
    upstream.always(fine());
    check_over(&gateway).await;
}

#[tokio::test]
async fn recovered_store_causes_no_errors() {
    let (upstream, redis) = (Upstream::start().await, Redis::start().await);
    let setup = before(&upstream).sharing(&redis).write("cache", "enabled", "true");
    let setup = setup.env("LLM_GATEWAY_RATE_LIMIT_ENABLED", "true");
    let setup = setup.env("LLM_GATEWAY_RATE_LIMIT_REQUESTS_PER_MINUTE", "6000000");
    let setup = setup.env("LLM_GATEWAY_RATE_LIMIT_BURST", "100000");
    let gateway = Arc::new(setup.start().await);
    redis.signal("STOP");
    meanwhile(&gateway).await;
    redis.signal("CONT");
    check_over(&gateway).await;
}

/// Returns the results of sequential requests, and the longest duration.
async fn replies(gateway: &Gateway, bytes: &[u8], count: usize) -> (Vec<String>, Duration) {
    let (mut raw, mut told, mut took) = (gateway.connect().await, Vec::new(), Vec::new());
    for _ in 0..count {
        let began = Instant::now();
        raw.send(bytes).await;
        told.push(raw.reply().await.status_and_code());
        took.push(began.elapsed());
    }
    took.sort_unstable();
    (told, took[count / 2])
}

/// The lines of the log about a breaker, and the changes that were counted.
async fn changes(gateway: &Gateway) -> (usize, String) {
    let lines = gateway.log().iter().filter(|it| it["target"] == "gateway::breaker").count();
    let counted = gateway.metric("llm_gateway_circuit_breaker_state_transitions_total", "lab/");
    (lines, counted.await.to_string())
}

/// Requests in flight meet the crash, and five more; then only occasional probes.
#[tokio::test]
async fn provider_crash_fails_few_requests() {
    let upstream = Upstream::start().await;
    let setup = before(&upstream).set("[models]", "id", "m").set("[models]", "provider", "lab");
    let gateway = Arc::new(setup.start().await);
    let state = async || gateway.metric("llm_gateway_circuit_breaker_state", "lab/m").await;
    assert_eq!(load(&gateway, "lab/m", 5, 0).await, CALLERS * 5);
    let (served, began) = (upstream.exchanges().len(), Instant::now());
    upstream.always(refusal(500));
    while began.elapsed() < length() {
        assert_eq!(load(&gateway, "lab/m", 5, 0).await, 0);
    }
    let body = openai::ask("lab/m", Value::Null);
    let asking = request("POST", "/v1/chat/completions", &[], body.as_bytes());
    let (_, probe) = replies(&gateway, &request("GET", "/health", &[], b""), 100).await;
    let (refused, refusal) = replies(&gateway, &asking, 100).await;
    let calls = upstream.exchanges().len() - served;
    // At most one trial for each second.
    let trials = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!(calls <= CALLERS + 5 + trials, "{calls} calls");
    let open = refused.iter().filter(|it| *it == "503 circuit_open").count();
    assert!(open >= 98, "{refused:?}");
    let about = format!("a probe takes {probe:?}, a refusal {refusal:?}");
    gateway_tests::print_measurement(&about);
    assert!(refusal < 5 * probe + Duration::from_millis(5), "{about}");
    assert_eq!(state().await.to_string(), "2");
    upstream.always(fine());
    let repaired = Instant::now();
    while state().await > 0.0 {
        assert!(repaired.elapsed() < RECOVERY, "it stays open");
        gateway.ask("lab/m", Value::Null).await;
        time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(load(&gateway, "lab/m", 5, 0).await, CALLERS * 5);
    let (lines, counted) = changes(&gateway).await;
    assert_eq!(lines.to_string(), counted, "a line for each change");
}
