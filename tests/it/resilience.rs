//! Failures that callers do not see, and providers that are given a pause.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::tenacious().provider("lab", &upstream.url());
    (upstream, setup.start().await)
}

/// Checks the caller's view of these scripts, each once, and the number of upstream calls.
async fn check(scripts: &[Script], stream: bool, told: &str, calls: usize) -> Reply {
    let (upstream, gateway) = start().await;
    for script in scripts {
        upstream.next(script.clone());
    }
    let reply = gateway.ask("lab/m", json!({ "stream": stream })).await;
    let seen =
        if reply.status() == 200 && stream { reply.event_text() } else { reply.status_and_code() };
    assert_eq!((seen.as_str(), upstream.exchanges().len()), (told, calls), "{scripts:?}");
    assert_eq!(gateway.outcomes(1).await.len(), 1);
    reply
}

fn refusal(status: u16) -> Script {
    Script::json(status, openai::error("x", "x", "x"))
}

fn begun() -> Script {
    Script::streaming().event(&openai::opening())
}

#[tokio::test]
async fn transient_upstream_failure_is_retried() {
    for status in [408, 429, 500, 502, 503, 504, 529] {
        let reply = check(&[refusal(status)], false, "200", 2).await;
        assert_eq!(reply.header("x-gateway-attempts"), "2");
        check(&[refusal(status)], true, "Hello.[stop][DONE]", 2).await;
    }
    let error = openai::error("overloaded_error", "", "busy");
    check(&[begun().event(&error).end()], true, "Hello.[stop][DONE]", 2).await;
}

#[tokio::test]
async fn permanent_upstream_failure_is_not_retried() {
    for (status, told) in [
        (400, "400 x"),
        (401, "502 upstream_auth"),
        (402, "429 insufficient_quota"),
        (403, "403 x"),
        (404, "404 x"),
        (422, "422 x"),
    ] {
        check(&[refusal(status)], false, told, 1).await;
    }
}

/// Groq's refusal of a call of a tool that its model wrote badly.
fn slip() -> String {
    let message = "Failed to call a function. Please adjust your prompt.";
    let written = "<function=find{\"book\":";
    json!({ "error": {
        "message": message, "type": "invalid_request_error", "code": "tool_use_failed",
        "failed_generation": written,
    } })
    .to_string()
}

#[tokio::test]
async fn malformed_tool_call_of_model_is_retried_once() {
    let refused = || Script::json(400, slip());
    let reply = check(&[refused()], false, "200", 2).await;
    assert_eq!(reply.header("x-gateway-attempts"), "2");
    check(&[refused()], true, "Hello.[stop][DONE]", 2).await;
    check(&[begun().event(&slip()).end()], true, "Hello.[stop][DONE]", 2).await;
    let reply = check(&[refused(), refused()], false, "400 tool_use_failed", 2).await;
    let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.starts_with("Failed to call a function."), "{message}");
}

#[tokio::test]
async fn ambiguous_failure_is_not_retried() {
    check(&[Script::new().close()], false, "502 upstream_reset", 1).await;
    check(&[Script::new().reset()], true, "502 upstream_reset", 1).await;
    let answer = begun().event(&openai::says("a"));
    check(&[answer.close()], true, "a<upstream_cut>", 1).await;
}

/// With `retry_ambiguous`, a request that may have been processed is retried; embeddings always
/// are.
#[tokio::test]
async fn ambiguous_failure_is_retried_when_enabled() {
    for broken in [Script::new().close(), Script::new().reset()] {
        let upstream = Upstream::start().await;
        let setup = Setup::tenacious().provider("lab", &upstream.url());
        let gateway = setup.write("resilience", "retry_ambiguous", "true").start().await;
        upstream.next(broken.clone());
        let reply = gateway.ask("lab/m", json!({})).await;
        assert_eq!(
            (reply.status_and_code().as_str(), reply.header("x-gateway-attempts")),
            ("200", "2")
        );
        // The connection of the first request is used again: when it breaks, the request is sent once
        // more on a fresh one, as part of the same attempt.
        for _ in 0..4 {
            upstream.next(broken.clone());
        }
        assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "502 upstream_reset");
        assert_eq!(upstream.exchanges().len(), 2 + 4, "no more often than anything else");
        let (upstream, gateway) = start().await;
        let vectors = r#"{"data":[{"index":0,"embedding":[1.0]}],"usage":{"prompt_tokens":1}}"#;
        upstream.next(broken);
        upstream.next(Script::json(200, vectors));
        let body = br#"{"model":"lab/m","input":"Hello"}"#;
        let reply = gateway.send(request("POST", "/v1/embeddings", &[], body)).await;
        assert_eq!((reply.status_and_code().as_str(), upstream.exchanges().len()), ("200", 2));
    }
}

#[tokio::test]
async fn failure_after_output_is_not_retried() {
    let error = openai::error("overloaded_error", "", "busy");
    let script = begun().event(&openai::says("a")).event(&error).end();
    check(&[script], true, "a<upstream_overloaded>", 1).await;
}

#[tokio::test]
async fn long_upstream_retry_after_is_not_waited_for() {
    let headers = [("content-type", "application/json"), ("retry-after", "60")];
    let script = Script::whole(429, &headers, openai::error("x", "x", "x"));
    let reply = check(&[script], false, "429 x", 1).await;
    assert_eq!(reply.header("retry-after"), "60");
}

#[tokio::test]
async fn short_upstream_retry_after_is_waited_for() {
    let headers = [("content-type", "application/json"), ("retry-after", "1")];
    let script = Script::whole(429, &headers, openai::error("x", "x", "x"));
    let began = Instant::now();
    check(&[script], false, "200", 2).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "it is asked too soon");
}

/// An invalid response is a failure of the provider, and five of them open the circuit breaker.
#[tokio::test]
async fn empty_upstream_response_is_a_failure() {
    for script in
        [Script::json(200, "{}"), Script::whole(200, &[], "<html>"), Script::new().reset()]
    {
        let (upstream, gateway) = start().await;
        upstream.always(script);
        let mut told = Vec::new();
        for _ in 0..6 {
            told.push(gateway.ask("lab/m", Value::Null).await.status_and_code());
        }
        assert!(told[..5].iter().all(|it| it.starts_with("502 ")), "{told:?}");
        assert_eq!((told[5].as_str(), upstream.exchanges().len()), ("503 circuit_open", 5));
    }
}

#[tokio::test]
async fn failing_provider_opens_circuit_breaker() {
    let (upstream, gateway) = start().await;
    upstream.always(refusal(500));
    let mut told = Vec::new();
    for _ in 0..8 {
        told.push(gateway.ask("lab/m", Value::Null).await.status_and_code());
    }
    assert!(told.last().is_some_and(|it| it == "503 circuit_open"), "{told:?}");
    let calls = upstream.exchanges().len();
    assert!((5..=6).contains(&calls), "{calls} calls");
    let began = Instant::now();
    let reply = gateway.ask("lab/m", Value::Null).await;
    assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|it| it > 0));
    assert!(began.elapsed().as_millis() < 1500);
    assert_eq!(upstream.exchanges().len(), calls);
    // The other models of the provider are none the worse.
    upstream.always(Script::json(200, openai::whole("Hi")));
    assert_eq!(gateway.ask("lab/other", Value::Null).await.status_and_code(), "200");
}

/// A single refusal of the only credential may be a fault of the provider's: the model stays. Only
/// refusals in a row keep requests away, for a time that doubles from a second on.
#[tokio::test]
async fn single_refusal_of_only_credential_keeps_model_available() {
    let upstream = Upstream::start().await;
    let setup = Setup::tenacious().provider("lab", &upstream.url());
    let gateway = setup.write("resilience", "retry_max_attempts", "1").start().await;
    let refused = || Script::json(401, openai::error("x", "invalid_api_key", "no"));
    upstream.next(refused());
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "502 upstream_auth");
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "200");
    for _ in 0..2 {
        upstream.next(refused());
        assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "502 upstream_auth");
    }
    let before = upstream.exchanges().len();
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "502 upstream_auth");
    assert_eq!(upstream.exchanges().len(), before, "it is cooling down");
    tokio::time::sleep(std::time::Duration::from_millis(1300)).await;
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "200");
}

/// `retryable` in the body and `x-should-retry` say the same, whatever the status means to an SDK.
#[tokio::test]
async fn retry_header_agrees_with_body() {
    let upstream = Upstream::start().await;
    let setup = Setup::tenacious().provider("lab", &upstream.url());
    let gateway = setup.start().await;
    for status in [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529] {
        upstream.always(Script::json(status, openai::error("x", "", "no")));
        let reply = gateway.ask("lab/m", json!({})).await;
        let repeats = matches!(reply.status(), 408 | 409 | 429 | 500..);
        let told = match reply.header("x-should-retry") {
            "true" => true,
            "false" => false,
            _ => repeats,
        };
        assert_eq!(reply.json()["error"]["retryable"], told, "{status}: {}", reply.text());
    }
}

#[tokio::test]
async fn missing_head_of_whole_response_times_out_when_limited() {
    let upstream = Upstream::start().await;
    upstream.always(Script::new().stall());
    let setup = Setup::before(&upstream).timeout("first_byte_whole", "300ms");
    let gateway = setup.start().await;
    let began = tokio::time::Instant::now();
    assert_eq!(gateway.ask("lab/m", json!({})).await.status_and_code(), "504 upstream_timeout");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}
