//! Authentication and API keys.

use gateway_tests::{Gateway, Setup, Upstream, openai, request};
use serde_json::json;
use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU32, Ordering},
};

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";

/// Callers set their address: failed attempts are counted by address.
async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).client("app", KEY);
    let gateway = setup.write("server", "trusted_proxies", "[\"127.0.0.1\"]").start().await;
    (upstream, gateway)
}

/// Returns an address that no other test uses.
fn somewhere() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    Ipv4Addr::from_bits(0xc633_6400 + NEXT.fetch_add(1, Ordering::Relaxed)).to_string()
}

/// Checks the result of a request with these headers.
async fn check(gateway: &Gateway, headers: &[(&str, &str)], told: &str) {
    let body = openai::ask("lab/m", json!({}));
    for (method, path, body) in
        [("POST", "/v1/chat/completions", body.as_bytes()), ("GET", "/v1/models", b"")]
    {
        let place = somewhere();
        let headers = [headers, &[("X-Forwarded-For", &*place)]].concat();
        let reply = gateway.send(request(method, path, &headers, body)).await;
        assert_eq!(reply.status_and_code(), told, "{headers:?}");
        if told.starts_with("401") {
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn valid_key_is_accepted() {
    let (_upstream, gateway) = start().await;
    let bearer = format!("Bearer {KEY}");
    check(&gateway, &[("Authorization", &bearer)], "200").await;
    check(&gateway, &[("authorization", &bearer.replace("Bearer", "bearer"))], "200").await;
    check(&gateway, &[("x-api-key", KEY)], "200").await;
    check(&gateway, &[("x-api-key", KEY), ("Authorization", &bearer)], "200").await;
}

#[tokio::test]
async fn missing_or_invalid_key_is_rejected() {
    let (upstream, gateway) = start().await;
    let nearly = format!("Bearer {}0", &KEY[..KEY.len() - 1]);
    let longer = format!("Bearer {KEY}x");
    let upper = format!("Bearer {}", KEY.to_uppercase());
    let huge = format!("Bearer {}", "x".repeat(8_000));
    check(&gateway, &[], "401 invalid_api_key").await;
    for value in [
        "",
        "Bearer",
        "Bearer ",
        KEY,
        "Basic c2s6",
        "Bearer ' OR '1'='1",
        "Bearer \u{e9}",
        "Bearer *",
        &nearly,
        &longer,
        &upper,
        &huge,
    ] {
        check(&gateway, &[("Authorization", value)], "401 invalid_api_key").await;
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn two_different_keys_are_rejected() {
    let (upstream, gateway) = start().await;
    let bearer = format!("Bearer {KEY}");
    let two = [("Authorization", bearer.as_str()), ("x-api-key", "sk-other")];
    check(&gateway, &two, "400 invalid_request").await;
    let two = [("Authorization", bearer.as_str()), ("Authorization", "Bearer sk-other")];
    check(&gateway, &two, "400 invalid_request").await;
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn key_in_query_is_not_accepted() {
    let (_upstream, gateway) = start().await;
    for name in ["key", "api_key", "access_token"] {
        let reply = gateway.get(&format!("/v1/models?{name}={KEY}")).await;
        assert_eq!(reply.status_and_code(), "401 invalid_api_key");
    }
    assert!(!gateway.stdout().contains(KEY));
}

#[tokio::test]
async fn authentication_errors_are_identical() {
    let (_upstream, gateway) = start().await;
    let mut bodies = Vec::new();
    for value in ["Bearer x", &format!("Bearer {}0", &KEY[..KEY.len() - 1])] {
        let headers = [("Authorization", value), ("X-Request-Id", "request-1")];
        bodies.push(gateway.send(request("GET", "/v1/models", &headers, b"")).await.body);
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn health_endpoints_need_no_key() {
    let (_upstream, gateway) = start().await;
    for path in ["/", "/health", "/metrics"] {
        assert_eq!(gateway.get(path).await.status(), 200, "{path}");
    }
    for path in ["/v1/models", "/v1/models/x", "/v1/providers"] {
        assert_eq!(gateway.get(path).await.status_and_code(), "401 invalid_api_key", "{path}");
    }
}

#[tokio::test]
async fn client_may_use_only_allowed_models() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).client("app", KEY);
    let setup = setup.write("[clients]", "models", "[\"lab/allowed\", \"lab/open-*\"]");
    let gateway = setup.start().await;
    let ask = async |model: &str| {
        let body = openai::ask(model, json!({}));
        let headers = [("x-api-key", KEY)];
        let path = "/v1/chat/completions";
        gateway.send(request("POST", path, &headers, body.as_bytes())).await.status_and_code()
    };
    assert_eq!(ask("lab/allowed").await, "200");
    assert_eq!(ask("LAB/Allowed").await, "200");
    assert_eq!(ask("lab/open-1").await, "200");
    for model in ["lab/secret", "lab/allowed2", "fake/echo"] {
        assert_eq!(ask(model).await, "403 model_not_allowed", "{model}");
    }
}
