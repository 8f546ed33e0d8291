//! Service information, and the handling of paths, methods, names and assets.

use gateway_tests::{Gateway, Reply, Setup, request};
use serde_json::{Value, json};

/// `METHOD path`, with these headers: status, code and `Allow`.
async fn check(gateway: &Gateway, line: &str, headers: &[(&str, &str)], expected: &str) {
    let reply = ask(gateway, line, headers).await;
    let told = format!("{} {}", reply.status_and_code(), reply.header("allow"));
    assert_eq!(told.trim_end(), expected, "{line}");
    assert!(!reply.header("x-request-id").is_empty(), "{line}");
}

async fn ask(gateway: &Gateway, line: &str, headers: &[(&str, &str)]) -> Reply {
    let (method, path) = line.split_once(' ').unwrap();
    gateway.send(request(method, path, headers, b"")).await
}

#[tokio::test]
async fn root_returns_service_information() {
    let gateway = Setup::new().start().await;
    let root = gateway.get("/").await;
    assert_eq!(root.json()["service"], "LLM Gateway");
    assert!(root.json()["version"].as_str().unwrap().split('.').count() >= 2);
    let health = gateway.get("/health").await;
    assert_eq!(health.json()["status"], "healthy");
    assert_eq!(health.header("content-type"), "application/json");
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let gateway = Setup::new().start().await;
    gateway.ask("fake/echo", Value::Null).await;
    let metrics = gateway.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(metrics.text().contains("llm_gateway_"), "{}", metrics.text());
    for line in metrics.text().lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test]
async fn listed_models_can_be_retrieved() {
    let gateway = Setup::new().env("OPENAI_API_KEY", "sk-test").start().await;
    let models = gateway.get("/v1/models").await.json();
    assert_eq!(models["object"], "list");
    let models = models["data"].as_array().unwrap();
    assert!(!models.is_empty());
    for model in models {
        let id = model["id"].as_str().unwrap();
        let found = gateway.get(&format!("/v1/models/{id}")).await;
        assert_eq!(&found.json(), model, "{id}");
        assert!(model["owned_by"].is_string() && model["created"].is_u64());
    }
}

#[tokio::test]
async fn provider_list_contains_configured_providers() {
    let gateway = Setup::new().provider("lab", "http://127.0.0.1:1/v1").start().await;
    let providers = gateway.get("/v1/providers").await.json();
    let names = providers["provider_names"].as_array().unwrap();
    assert!(names.contains(&"fake".into()) && names.contains(&"lab".into()), "{names:?}");
    assert!(!names.contains(&"anthropic".into()), "{names:?}");
    for name in names {
        assert!(providers["providers"][name.as_str().unwrap()].is_array(), "{name}");
    }
}

#[tokio::test]
async fn model_lookup_accepts_all_request_names() {
    let gateway = Setup::new().set("aliases", "best", "fake/echo").start().await;
    check(&gateway, "GET /v1/models/fake/echo", &[], "200").await;
    check(&gateway, "GET /v1/models/fake%2Fecho", &[], "200").await;
    check(&gateway, "GET /v1/models/best", &[], "200").await;
    check(&gateway, "GET /v1/models/no-such-model", &[], "404 model_not_found").await;
    check(&gateway, "GET /v1/models/claude-sonnet-4", &[], "404 model_not_found").await;
}

#[tokio::test]
async fn model_name_with_slash_is_not_a_path() {
    let gateway = Setup::new().start().await;
    for name in [
        "../../health",
        "%2e%2e%2fhealth",
        "%252e%252e",
        "%00",
        "x;y=z",
        "a\\b",
        "%0d%0aX:%20y",
        "..",
        "%c3%28",
        "http://169.254.169.254/",
        &"x".repeat(4096),
    ] {
        let line = format!("GET /v1/models/{name}");
        check(&gateway, &line, &[], "404 model_not_found").await;
    }
}

#[tokio::test]
async fn unknown_path_is_not_found() {
    let gateway = Setup::new().start().await;
    for path in ["/nope", "/v1", "/v1/", "//", "/health//", "/V1/models"] {
        check(&gateway, &format!("GET {path}"), &[], "404 not_found").await;
        check(&gateway, &format!("POST {path}"), &[], "404 not_found").await;
    }
    let reply = gateway.get("/nope").await.json();
    assert_eq!(reply["detail"], reply["error"]["message"]);
    assert_eq!(reply["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn wrong_method_returns_allow_header() {
    let gateway = Setup::new().start().await;
    check(&gateway, "GET /v1/chat/completions", &[], "405 method_not_allowed POST").await;
    for path in ["/", "/health", "/metrics", "/v1/models", "/v1/models/x", "/v1/providers"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
            let line = format!("{method} {path}");
            check(&gateway, &line, &[], "405 method_not_allowed GET").await;
        }
    }
    for method in ["PUT", "DELETE", "PATCH", "HEAD"] {
        let head = head(&gateway, &format!("{method} /v1/chat/completions")).await;
        assert!(head.contains(" 405 ") && head.contains("POST"), "{head}");
    }
}

/// The reply to a `HEAD`: nothing may follow its head.
async fn head(gateway: &Gateway, line: &str) -> String {
    let (method, path) = line.split_once(' ').unwrap();
    let mut raw = gateway.connect().await;
    raw.send(request(method, path, &[("Connection", "close")], b"")).await;
    String::from_utf8(raw.closed().await).unwrap()
}

#[tokio::test]
async fn head_request_returns_headers_of_get() {
    let gateway = Setup::new().start().await;
    for path in ["/", "/health", "/v1/models", "/v1/providers"] {
        let reply = head(&gateway, &format!("HEAD {path}")).await;
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert!(reply.ends_with("\r\n\r\n"), "{reply}");
    }
    assert!(head(&gateway, "HEAD /nope").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn options_request_lists_methods() {
    let gateway = Setup::new().start().await;
    check(&gateway, "OPTIONS /v1/chat/completions", &[], "204 POST").await;
    check(&gateway, "OPTIONS /v1/models", &[], "204 GET").await;
    check(&gateway, "OPTIONS /nope", &[], "404 not_found").await;
}

#[tokio::test]
async fn request_id_is_echoed() {
    let gateway = Setup::new().start().await;
    for path in ["/health", "/nope", "/v1/chat/completions"] {
        let named = ask(&gateway, &format!("GET {path}"), &[("X-Request-Id", "my-name-1")]).await;
        assert_eq!(named.header("x-request-id"), "my-name-1");
        for id in ["", "short", "with space in it", "x=\"1234567\"", &"x".repeat(65)] {
            let named = ask(&gateway, &format!("GET {path}"), &[("X-Request-Id", id)]).await;
            assert_eq!(named.header("x-request-id").len(), 32, "{id}");
        }
    }
    let error = ask(&gateway, "GET /v1/chat/completions", &[("X-Request-Id", "my-name-1")]).await;
    assert_eq!(error.json()["error"]["request_id"], "my-name-1");
}

const ORIGIN: (&str, &str) = ("Origin", "https://app.example");

#[tokio::test]
async fn preflight_of_configured_origin_is_answered() {
    let setup = Setup::new().write("server", "cors_origins", "[\"https://app.example\"]");
    let gateway = setup.start().await;
    let asked = [
        ORIGIN,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, content-type"),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    let reply = ask(&gateway, "OPTIONS /v1/chat/completions", &asked).await;
    assert_eq!(reply.header("access-control-allow-origin"), ORIGIN.1);
    assert_eq!(reply.header("access-control-allow-methods"), "POST");
    assert_eq!(reply.header("access-control-allow-headers"), "authorization, content-type");
    assert_eq!(reply.header("access-control-max-age"), "600");
    assert_eq!(reply.header("access-control-allow-private-network"), "true");
    for path in ["/health", "/nope"] {
        let reply = ask(&gateway, &format!("GET {path}"), &[ORIGIN]).await;
        assert_eq!(reply.header("access-control-allow-origin"), ORIGIN.1, "{path}");
        assert!(reply.header("vary").eq_ignore_ascii_case("origin"), "{path}");
    }
    assert!(gateway.get("/health").await.head.header("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn every_header_of_a_reply_is_exposed_to_pages() {
    let setup = Setup::new().write("server", "cors_origins", "[\"https://app.example\"]");
    let gateway = setup.start().await;
    let body = json!({ "model": "fake/echo", "messages": [{ "role": "user", "content": "a" }] });
    let headers = [ORIGIN, ("x-gateway-explain", "true")];
    let path = "/v1/chat/completions";
    let ask = request("POST", path, &headers, body.to_string().as_bytes());
    let reply = gateway.send(ask).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let exposed = reply.header("access-control-expose-headers");
    let exposed: Vec<_> = exposed.split(", ").collect();
    let ours = reply.head.headers.iter().filter(|(name, _)| name.starts_with("x-"));
    let ours: Vec<_> = ours.map(|(name, _)| name.as_str()).collect();
    assert!(ours.len() > 3, "{ours:?}");
    for name in ours {
        assert!(exposed.contains(&name), "{name} is not among {exposed:?}");
    }
}

#[tokio::test]
async fn cors_allows_only_configured_origins_in_production() {
    let setup = Setup::new().set("server", "environment", "production");
    let setup = setup.write("server", "cors_origins", "[\"https://app.example\"]");
    let gateway = setup.start().await;
    let admitted = ask(&gateway, "GET /health", &[ORIGIN]).await;
    assert_eq!(admitted.header("access-control-allow-origin"), ORIGIN.1);
    for other in ["https://app.example.evil", "http://app.example", "null"] {
        let reply = ask(&gateway, "GET /health", &[("Origin", other)]).await;
        assert_eq!(reply.status_and_code(), "403 origin_not_allowed");
        assert!(reply.head.header("access-control-allow-origin").is_none(), "{other}");
    }
}

#[tokio::test]
async fn fake_provider_is_disabled_in_production() {
    let gateway = Setup::new().set("server", "environment", "production").start().await;
    let reply = gateway.ask("fake/echo", Value::Null).await;
    assert!(
        ["404 model_not_found", "503 provider_not_configured"].contains(&&*reply.status_and_code())
    );
}

#[tokio::test]
async fn openapi_document_is_sent_once() {
    let gateway = Setup::new().start().await;
    let first = gateway.get("/openapi.json").await;
    let tag = first.header("etag").to_owned();
    assert!(first.status() == 200 && tag.len() > 10);
    assert!(!first.header("cache-control").is_empty());
    let document = first.json();
    let rotate = &document["paths"]["/admin/keys/{id}/rotate"]["post"];
    assert!(rotate["servers"].is_array() && rotate["security"] == json!([{ "operator": [] }]));
    let known = [("If-None-Match", &*tag)];
    let again = gateway.send(request("GET", "/openapi.json", &known, b"")).await;
    assert_eq!((again.status(), again.body.len(), again.header("etag")), (304, 0, &*tag));
}
