//! Requests to any path of a provider, `/v1/passthrough/{provider}/{path}`: only for clients that may send
//! them, without their credential, and counted like any other.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::json;

const KEY: &str = "sk-paths";

/// A client that may send anything to the provider `lab`, whose model `m` costs $1 a token.
fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("providers.lab", "api_key", "sk-upstream")
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 1000000, output = 1000000 }")
        .client("app", KEY)
        .write("[clients]", "passthrough", "[\"lab\"]")
}

async fn send(gateway: &Gateway, method: &str, path: &str, body: &str) -> Reply {
    let headers = [
        ("Authorization", &*format!("Bearer {KEY}")),
        ("x-api-key", KEY),
        ("openai-beta", "assistants=v2"),
        ("cookie", "canary=1"),
        ("x-gateway-strict", "true"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    gateway.send(request(method, path, &headers, body.as_bytes())).await
}

#[tokio::test]
async fn request_reaches_the_path_with_the_providers_credential() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    for (method, body) in
        [("GET", ""), ("POST", "{}"), ("PUT", "{}"), ("PATCH", "{}"), ("DELETE", "")]
    {
        upstream.next(Script::json(200, r#"{"id":"file-1"}"#));
        let path = "/v1/passthrough/lab/files/file-1?limit=2&key=canary-4711";
        let reply = send(&gateway, method, path, body).await;
        assert_eq!(reply.status_and_code(), "200", "{method}");
        assert_eq!(reply.json()["id"], "file-1");
        assert_eq!(reply.header("x-gateway-provider"), "lab");
        let sent = upstream.last();
        assert_eq!((sent.head.word(0), sent.head.word(1)), (method, "/v1/files/file-1?limit=2"));
        assert_eq!(sent.text(), body);
        assert_eq!(sent.head.header("authorization"), Some("Bearer sk-upstream"));
        assert_eq!(sent.head.header("openai-beta"), Some("assistants=v2"));
        for name in ["x-api-key", "cookie", "x-gateway-strict", "x-forwarded-for"] {
            assert_eq!(sent.head.header(name), None, "{name}");
        }
    }
    assert!(!gateway.stdout().contains("canary-4711"), "a key in a query is not logged");
}

#[tokio::test]
async fn client_needs_permission_for_the_provider() {
    let upstream = Upstream::start().await;
    let others: [&[(&str, &str)]; 3] =
        [&[], &[("passthrough", "[\"other\"]")], &[("passthrough", "[]")]];
    for settings in others {
        let gateway = Setup::before(&upstream).second_client("app", KEY, settings).start().await;
        let reply = send(&gateway, "GET", "/v1/passthrough/lab/files", "").await;
        assert_eq!(reply.status_and_code(), "403 passthrough_not_allowed");
    }
    let keyless = Gateway::before(&upstream).await;
    let reply = keyless.send(request("GET", "/v1/passthrough/lab/files", &[], b"")).await;
    assert_eq!(reply.status_and_code(), "403 passthrough_not_allowed");
    assert!(upstream.exchanges().is_empty());
}

#[tokio::test]
async fn client_with_a_list_of_models_may_only_read() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).write("[clients]", "models", "[\"m\"]").start().await;
    upstream.always(Script::json(200, "{}"));
    let path = "/v1/passthrough/lab/chat/completions";
    let reply = send(&gateway, "POST", path, &openai::ask("m", json!({}))).await;
    assert_eq!(reply.status_and_code(), "403 model_not_allowed");
    assert_eq!(send(&gateway, "GET", path, "").await.status_and_code(), "200");
}

#[tokio::test]
async fn path_that_could_lead_elsewhere_is_refused() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    for path in [
        "lab/../admin",
        "lab/%2e%2e/admin",
        "lab/a/..%2fadmin",
        "lab/a%2Fb",
        "lab//a",
        "lab/a%5cb",
        "lab/%252e%252e/a",
        "lab/a%00",
        "lab@evil/a",
        "lab",
    ] {
        let reply = send(&gateway, "GET", &format!("/v1/passthrough/{path}"), "").await;
        assert_eq!(reply.status_and_code(), "400 invalid_path", "{path}");
    }
    let reply = send(&gateway, "GET", "/v1/passthrough/lab/a?%6bey=x", "").await;
    assert_eq!(reply.status_and_code(), "400 invalid_path");
    let reply = send(&gateway, "GET", "/v1/passthrough/lab2/files", "").await;
    assert_eq!(reply.status(), 403, "{}", reply.text());
    assert!(upstream.exchanges().is_empty());
}

#[tokio::test]
async fn usage_is_read_and_limits_hold() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).write("[clients]", "daily_budget_usd", "1000").start().await;
    let usage = r#"{"usage":{"prompt_tokens":999,"completion_tokens":1}}"#;
    upstream.always(Script::json(200, usage));
    let (path, body) = ("/v1/passthrough/lab/chat/completions", openai::ask("m", json!({})));
    assert_eq!(send(&gateway, "POST", path, &body).await.status_and_code(), "200");
    let outcomes = gateway.outcomes(1).await;
    assert_eq!(outcomes[0]["path"], "/v1/passthrough/{id}");
    let total = gateway.send(request("GET", "/v1/usage", &[("x-api-key", KEY)], b"")).await;
    assert_eq!(total.json()["total"]["cost_usd"], 1000.0);
    let refused = send(&gateway, "POST", path, &body).await;
    assert_eq!(refused.status_and_code(), "429 budget_exceeded");
    let unpriced = openai::ask("unpriced", json!({}));
    let refused = send(&gateway, "POST", path, &unpriced).await;
    assert_eq!(refused.status_and_code(), "429 unpriced_model");
}

#[tokio::test]
async fn refusals_of_the_provider_pass_as_they_are() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let body = r#"{"weird":["refusal"]}"#;
    for (status, expected) in [(404, "404"), (409, "409"), (422, "422")] {
        upstream.next(Script::json(status, body));
        let reply = send(&gateway, "GET", "/v1/passthrough/lab/files/x", "").await;
        assert_eq!((reply.status_and_code().as_str(), reply.text()), (expected, body));
    }
    // An answer to `if-none-match`, which is no refusal.
    upstream.next(Script::json(304, ""));
    let reply = send(&gateway, "GET", "/v1/passthrough/lab/files/x", "").await;
    assert_eq!((reply.status(), reply.text()), (304, ""));
    // What is about the credential of the gateway is not the caller's.
    upstream.next(Script::json(401, openai::error("x", "x", "bad key sk-upstream")));
    let reply = send(&gateway, "GET", "/v1/passthrough/lab/files/x", "").await;
    assert_eq!(reply.status(), 502, "{}", reply.text());
    assert!(!reply.text().contains("sk-upstream"));
}

#[tokio::test]
async fn body_of_any_type_passes_on() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    upstream.always(Script::json(200, "{}"));
    let headers = [("x-api-key", KEY), ("content-type", "application/octet-stream")];
    for length in [10, 3 << 20] {
        let body = vec![b'x'; length];
        let reply =
            gateway.send(request("PUT", "/v1/passthrough/lab/uploads/1", &headers, &body)).await;
        assert_eq!(reply.status_and_code(), "200");
        assert!(upstream.last().body == body, "{length}");
    }
}

#[tokio::test]
async fn parameters_and_host_of_the_provider_win_against_the_callers() {
    let upstream = Upstream::start().await;
    let own = "{ \"api-version\" = \"2\" }";
    let gateway = setup(&upstream).write("providers.lab", "query", own).start().await;
    upstream.always(Script::json(200, "{}"));
    let path = "/v1/passthrough/lab/files?api-version=1&limit=2";
    assert_eq!(send(&gateway, "GET", path, "").await.status_and_code(), "200");
    let sent = upstream.last();
    assert_eq!(sent.head.word(1), "/v1/files?limit=2&api-version=2");
    assert_eq!(sent.head.header("host"), Some(&*format!("127.0.0.1:{}", upstream.port())));
    let absolute = format!("http://other.example{path}");
    let refused = send(&gateway, "GET", &absolute, "").await;
    assert_eq!(refused.status_and_code(), "400 invalid_host");
    assert_eq!(upstream.exchanges().len(), 1);
}
