//! Callers' own keys for a provider, `x-gateway-provider-key`: only for clients that may, for one request,
//! and of no effect on what others get.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

const OWN: &str = "sk-own-canary-4711";
const OTHER: &str = "sk-other-canary-4712";

/// A gateway with a client that may send keys of its own, and one that may not.
fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("providers.lab", "api_key", "sk-upstream")
        .client("app", "sk-app")
        .write("[clients]", "provider_keys", "true")
        .second_client("plain", "sk-plain", &[])
}

/// Asks `model`, with these headers besides.
async fn ask(gateway: &Gateway, client: &str, model: &str, headers: &[(&str, &str)]) -> Reply {
    let headers = [&[("x-api-key", client)], headers].concat();
    let body = openai::ask(model, json!({ "temperature": 0 }));
    gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await
}

/// Asks the model of `lab` with the caller's own key, or with the gateway's credential.
async fn ask_lab(gateway: &Gateway, own: Option<&str>) -> Reply {
    let header = own.map(|key| ("x-gateway-provider-key", key));
    ask(gateway, "sk-app", "lab/m", header.as_slice()).await
}

/// The credentials that the upstream was sent.
fn credentials(upstream: &Upstream) -> Vec<String> {
    let of = |it: gateway_tests::Exchange| it.head.header("authorization").unwrap_or("").to_owned();
    upstream.exchanges().into_iter().map(of).collect()
}

#[tokio::test]
async fn callers_key_replaces_the_credential_of_one_request() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    assert_eq!(ask_lab(&gateway, Some(OWN)).await.status_and_code(), "200");
    assert_eq!(upstream.last().head.header("x-gateway-provider-key"), None);
    assert_eq!(ask_lab(&gateway, None).await.status_and_code(), "200");
    let own = format!("Bearer {OWN}");
    assert_eq!(credentials(&upstream), [&*own, "Bearer sk-upstream"]);
    for (path, body) in [
        ("/v1/embeddings", json!({ "model": "lab/e", "input": "a" })),
        ("/v1/images/generations", json!({ "model": "lab/i", "prompt": "p" })),
        ("/v1/responses", json!({ "model": "lab/m", "input": "a" })),
    ] {
        let headers = [("x-api-key", "sk-app"), ("x-gateway-provider-key", OWN)];
        gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await;
        assert_eq!(upstream.last().head.header("authorization"), Some(&*own), "{path}");
    }
}

#[tokio::test]
async fn callers_key_is_sent_in_the_header_of_the_provider() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).set("providers.lab", "auth", "api-key").start().await;
    ask_lab(&gateway, Some(OWN)).await;
    let head = upstream.last().head;
    assert_eq!((head.header("api-key"), head.header("authorization")), (Some(OWN), None));
}

#[tokio::test]
async fn client_without_permission_is_refused() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let reply = ask(&gateway, "sk-plain", "lab/m", &[("x-gateway-provider-key", OWN)]).await;
    assert_eq!(reply.status_and_code(), "403 provider_key_not_allowed");
    assert!(!reply.text().contains(OWN));
    assert!(upstream.exchanges().is_empty());
}

#[tokio::test]
async fn malformed_key_is_refused() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    for malformed in ["", "two words", &"x".repeat(4097)] {
        let reply = ask_lab(&gateway, Some(malformed)).await;
        assert_eq!(reply.status_and_code(), "400 invalid_provider_key", "{malformed}");
    }
    let twice = [("x-gateway-provider-key", OWN), ("x-gateway-provider-key", OTHER)];
    let reply = ask(&gateway, "sk-app", "lab/m", &twice).await;
    assert_eq!(reply.status_and_code(), "400 invalid_provider_key");
    assert!(upstream.exchanges().is_empty());
}

/// Two failures in a row, of a request with this key, and the reply to the gateway's own afterwards.
async fn after_failures(setup: Setup, upstream: &Upstream, failure: &Script, own: bool) -> String {
    let gateway = setup.start().await;
    for _ in 0..4 {
        upstream.next(failure.clone());
        ask_lab(&gateway, own.then_some(OWN)).await;
    }
    assert_eq!(upstream.exchanges().len() == 4, own, "every request with a key of its own is sent");
    ask_lab(&gateway, own.then_some(OWN)).await;
    ask_lab(&gateway, None).await.status_and_code()
}

#[tokio::test]
async fn failures_of_callers_key_do_not_affect_the_gateways_credential() {
    let refusal = Script::json(401, openai::error("x", "invalid_api_key", "no"));
    let limit = Script::json(429, openai::error("x", "rate_limit_exceeded", "no"));
    let failure = Script::json(500, openai::error("x", "x", "no"));
    for (failure, opened) in [
        (refusal, "502 upstream_auth"),
        (limit, "429 rate_limit_exceeded"),
        (failure, "503 circuit_open"),
    ] {
        for (own, expected) in [(true, "200"), (false, opened)] {
            let upstream = Upstream::start().await;
            let setup = setup(&upstream)
                .write("resilience", "circuit_breaker_enabled", "true")
                .write("resilience", "circuit_breaker_failure_threshold", "2");
            let status = after_failures(setup, &upstream, &failure, own).await;
            assert_eq!(status, expected, "{own}");
        }
    }
}

#[tokio::test]
async fn refusal_of_callers_key_is_the_callers_error() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let message = format!("Incorrect API key provided: {OWN}");
    upstream.next(Script::json(401, openai::error("x", "invalid_api_key", &message)));
    let reply = ask_lab(&gateway, Some(OWN)).await;
    assert_eq!(reply.status_and_code(), "401 provider_key_refused");
    upstream.next(Script::json(400, openai::error("x", "x", &message)));
    let other = ask_lab(&gateway, Some(OWN)).await;
    assert_eq!(other.status(), 400);
    gateway.outcomes(2).await;
    for text in [reply.text(), other.text(), &gateway.stdout(), &gateway.stderr()] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn callers_key_is_tried_once_whatever_the_number_of_credentials() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream).write("providers.lab", "api_keys", "[\"sk-2\", \"sk-3\"]");
    let gateway = setup.start().await;
    upstream.next(Script::json(429, openai::error("x", "rate_limit_exceeded", "no")));
    assert_eq!(ask_lab(&gateway, Some(OWN)).await.status(), 429);
    assert_eq!(credentials(&upstream), [format!("Bearer {OWN}")]);
    assert_eq!(ask_lab(&gateway, None).await.status_and_code(), "200");
}

#[tokio::test]
async fn route_to_several_targets_refuses_a_callers_key() {
    let (upstream, other) = (Upstream::start().await, Upstream::start().await);
    let gateway = setup(&upstream)
        .provider("second", &other.url())
        .route("both", "[\"lab/m\", \"second/m\"]")
        .start()
        .await;
    let reply = ask(&gateway, "sk-app", "both", &[("x-gateway-provider-key", OWN)]).await;
    assert_eq!(reply.status_and_code(), "400 provider_key_needs_provider");
    assert!(upstream.exchanges().is_empty() && other.exchanges().is_empty());
}

#[tokio::test]
async fn responses_do_not_pass_from_key_to_key() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).write("cache", "enabled", "true").start().await;
    let mut seen = Vec::new();
    for own in [None, Some(OWN), Some(OTHER), Some(OWN), None] {
        seen.push(ask_lab(&gateway, own).await.header("x-cache").to_owned());
    }
    assert_eq!(seen, ["miss", "bypass", "bypass", "bypass", "hit"]);
    assert_eq!(upstream.exchanges().len(), 4);
    upstream.always(Script::new().wait(300).then_all(Script::json(200, openai::whole("Hi"))));
    tokio::join!(ask_lab(&gateway, Some(OWN)), ask_lab(&gateway, Some(OTHER)));
    assert_eq!(upstream.exchanges().len(), 6);
}

#[tokio::test]
async fn reasoning_is_sealed_for_the_account_of_the_key() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).set("providers.lab", "kind", "anthropic").start().await;
    let thinking = json!({ "type": "thinking", "thinking": "t", "signature": "c2VhbA==" });
    let response = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [thinking, { "type": "text", "text": "Hi" }],
        "stop_reason": "end_turn", "usage": { "input_tokens": 1, "output_tokens": 1 },
    });
    upstream.always(Script::json(200, response.to_string()));
    let first = json!([{ "role": "user", "content": "a" }]);
    let content = message(&gateway, &first, OWN).await["content"].clone();
    let next = json!([
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": content },
        { "role": "user", "content": "b" },
    ]);
    for (key, is_owner) in [(OWN, true), (OTHER, false)] {
        message(&gateway, &next, key).await;
        let sent = String::from_utf8(upstream.last().body).unwrap();
        assert_eq!(sent.contains("c2VhbA=="), is_owner, "{sent}");
    }
}

/// Sends a request of Messages with the caller's own key.
async fn message(gateway: &Gateway, messages: &Value, own: &str) -> Value {
    let body = json!({ "model": "lab/m", "max_tokens": 9, "messages": messages }).to_string();
    let headers = [("x-api-key", "sk-app"), ("x-gateway-provider-key", own)];
    gateway.send(request("POST", "/v1/messages", &headers, body.as_bytes())).await.json()
}
