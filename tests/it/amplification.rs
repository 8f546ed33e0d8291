//! The number of upstream calls during an outage, with callers that retry too.

use gateway_tests::{Gateway, RawConnection, Reply, Script, Setup, Upstream, openai, request};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

/// The number of retries of SDKs.
const TRIES_OF_CLIENTS: u32 = 2;

/// Whether a client such as OpenAI's tries again after `reply`.
fn would_try_again(reply: &Reply) -> bool {
    match reply.header("x-should-retry") {
        "true" => true,
        "false" => false,
        _ => matches!(reply.status(), 408 | 409 | 429 | 500..),
    }
}

/// Returns the wait of such an SDK before a retry, shortened to a tenth for the test.
fn patience(reply: &Reply, tried: u32) -> Duration {
    let said: Option<u64> = reply.header("retry-after").parse().ok();
    let said = said.filter(|seconds| (1..=60).contains(seconds)).map(Duration::from_secs);
    said.unwrap_or_else(|| Duration::from_millis(500) * 2_u32.pow(tried)) / 10
}

/// Asks once, and again up to `more` times; how often in all.
async fn ask(raw: &mut RawConnection, model: &str, more: u32) -> u64 {
    let body = openai::ask(model, json!({}));
    let asking = request("POST", "/v1/chat/completions", &[], body.as_bytes());
    for tried in 0..=more {
        raw.send(&asking).await;
        let reply = raw.reply().await;
        assert_ne!(reply.status(), 200);
        if tried == more || !would_try_again(&reply) {
            return u64::from(tried) + 1;
        }
        time::sleep(patience(&reply, tried)).await;
    }
    unreachable!("the last try returns")
}

struct RetryCounts {
    requests: u64,
    tries: u64,
    calls: u64,
    took: Duration,
}

const CALLERS: u64 = 20;

/// Callers who ask `each` time one after the other, before an upstream that always fails.
async fn count(setup: Setup, failure: Script, each: u64, more: u32) -> RetryCounts {
    let upstream = Upstream::start().await;
    upstream.always(failure);
    let gateway: Arc<Gateway> = Arc::new(setup.provider("lab", &upstream.url()).start().await);
    let (began, mut callers) = (Instant::now(), JoinSet::new());
    for _ in 0..CALLERS {
        let gateway = Arc::clone(&gateway);
        callers.spawn(async move {
            let (mut raw, mut tries) = (gateway.connect().await, 0);
            for _ in 0..each {
                tries += ask(&mut raw, "lab/m", more).await;
            }
            tries
        });
    }
    let tries = callers.join_all().await.into_iter().sum();
    let calls = u64::try_from(upstream.exchanges().len()).unwrap();
    let counted = RetryCounts { requests: CALLERS * each, tries, calls, took: began.elapsed() };
    let RetryCounts { requests, took, .. } = counted;
    gateway_tests::print_measurement(&format!(
        "{requests} requests, {tries} tries, {calls} calls in {took:?}"
    ));
    counted
}

fn refusal(status: u16) -> Script {
    Script::json(status, openai::error("x", "x", "x"))
}

/// Returns a setup without circuit breakers: only the retry budget limits the calls.
fn without_breakers() -> Setup {
    Setup::tenacious().write("resilience", "circuit_breaker_enabled", "false")
}

/// Returns the calls that the budget allows: a tenth or five per second, whichever is more, and the
/// initial credit.
fn allowed(counted: &RetryCounts, asked: u64) -> u64 {
    asked + (asked / 10).max(counted.took.as_secs() * 5) + 10 + 1
}

#[tokio::test]
async fn outage_does_not_amplify_upstream_calls() {
    for status in [500, 429] {
        let counted = count(Setup::tenacious(), refusal(status), 20, 0).await;
        assert!(counted.calls * 10 <= counted.requests * 11, "{} calls", counted.calls);
    }
    let counted = count(without_breakers(), refusal(500), 50, 0).await;
    assert!(counted.calls >= counted.requests, "each asks");
    let most = allowed(&counted, counted.requests);
    assert!(counted.calls <= most, "{} calls, of {most}", counted.calls);
}

#[tokio::test]
async fn retrying_callers_do_not_amplify_load() {
    for status in [500, 429] {
        let counted = count(Setup::tenacious(), refusal(status), 1, TRIES_OF_CLIENTS).await;
        assert!(counted.calls * 10 <= counted.requests * 33, "{} calls", counted.calls);
    }
    // A rate limit passes, so callers retry. Any other error here is final: the gateway has used up
    // the attempts of the request, or the budget of the provider.
    let limited = count(without_breakers(), refusal(429), 10, TRIES_OF_CLIENTS).await;
    assert!(limited.tries > limited.requests, "nobody tried again");
    let failed = count(without_breakers(), refusal(500), 10, TRIES_OF_CLIENTS).await;
    assert_eq!(failed.tries, failed.requests);
    for counted in [limited, failed] {
        let most = allowed(&counted, counted.tries);
        assert!(counted.calls <= most, "{} calls, of {most}", counted.calls);
    }
}

/// Up to five retries per second never use up the budget: each request has all its attempts.
#[tokio::test]
async fn quiet_gateway_retries_every_request() {
    let upstream = Upstream::start().await;
    let gateway = without_breakers().provider("lab", &upstream.url()).start().await;
    for number in 1..=12 {
        upstream.next(refusal(503));
        upstream.next(refusal(503));
        upstream.next(Script::json(200, openai::whole("Hello.")));
        assert_eq!(
            gateway.ask("lab/m", json!({})).await.status_and_code(),
            "200",
            "request {number}"
        );
        assert_eq!(upstream.exchanges().len(), 3 * number);
        time::sleep(Duration::from_millis(250)).await;
    }
}

/// Permanent errors carry `x-should-retry: false`.
#[tokio::test]
async fn permanent_errors_are_not_retried_by_callers() {
    for (failure, told) in [
        (refusal(401), "502 upstream_auth"),
        (refusal(402), "429 insufficient_quota"),
        (Script::json(200, "{}"), "502 upstream_invalid_response"),
        (Script::whole(307, &[("location", "http://127.0.0.1:9/")], ""), "502 upstream_redirect"),
    ] {
        let upstream = Upstream::start().await;
        upstream.always(failure.clone());
        let gateway = without_breakers().provider("lab", &upstream.url()).start().await;
        let reply = gateway.ask("lab/m", json!({})).await;
        assert_eq!((reply.status_and_code().as_str(), would_try_again(&reply)), (told, false));
        let counted = count(without_breakers(), failure, 1, TRIES_OF_CLIENTS).await;
        assert_eq!(counted.tries, counted.requests, "{told}");
        assert_eq!(counted.calls, counted.requests, "{told}");
    }
}
