//! Health checks, under any load.

use gateway_tests::{Gateway, RawConnection, Redis, Script, Setup, Upstream, request};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The checks of a gateway without services: nothing listens at their default addresses.
fn checks_without_services(store: bool) -> Value {
    json!({
        "redis": store, "semantic_search": null, "ai_agents": null, "code_orchestrator": null,
        "cms": null, "inference": null, "cloud_providers": null,
    })
}

/// A store that is not there.
fn without_store() -> Setup {
    let setup = Setup::new().set("store", "backend", "redis");
    setup.set("store", "redis_url", "redis://127.0.0.1:1")
}

#[tokio::test]
async fn gateway_without_dependencies_is_ready() {
    let gateway = Setup::new().start().await;
    for path in ["/health/ready", "/ready"] {
        let reply = gateway.get(path).await;
        let body = reply.json();
        assert_eq!((reply.status(), &body["status"]), (200, &json!("ready")), "{body}");
        assert_eq!(body["checks"], checks_without_services(true));
        assert!(body["models_available"].is_u64());
    }
    for path in ["/health", "/live"] {
        let body = gateway.get(path).await.json();
        assert_eq!(
            (&body["status"], &body["inference_service"]),
            (&json!("healthy"), &json!("not_managed"))
        );
        assert!(body["version"].is_string() && body["models_available"].is_u64());
    }
}

#[tokio::test]
async fn gateway_without_store_is_live_but_not_ready() {
    let gateway = without_store().start().await;
    let reply = gateway.get("/health/ready").await;
    let body = reply.json();
    assert_eq!((reply.status(), &body["status"]), (503, &json!("not_ready")), "{body}");
    assert_eq!(body["checks"], checks_without_services(false));
    assert_eq!(gateway.get("/health").await.status(), 200);
    assert_eq!(gateway.ask("fake/echo", Value::Null).await.status(), 200);
}

/// A store and the services that search and infer, each up or down: status and word of readiness.
async fn check(store: Setup, search: bool, inference: bool, expected: (u16, &str)) {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, "{}"));
    let url = |up: bool| if up { upstream.url() } else { "http://127.0.0.1:1/v1".to_owned() };
    let setup = store.set("services", "semantic_search_url", url(search).trim_end_matches("/v1"));
    let gateway = setup.provider("inference", &url(inference)).start().await;
    let store = expected.0 == 200;
    for path in ["/health/ready", "/ready"] {
        let reply = gateway.get(path).await;
        let (status, mut body) = (reply.status(), reply.json());
        assert!(body["models_available"].take().is_u64());
        let mut checks = checks_without_services(store);
        (checks["semantic_search"], checks["inference"]) = (search.into(), inference.into());
        let whole = json!({ "status": expected.1, "checks": checks, "models_available": null });
        assert_eq!((status, body), (expected.0, whole));
    }
    // Providers are asked for their models besides, whenever that may be.
    let asked = upstream.exchanges();
    let probes = asked.iter().filter(|it| it.head.line == "GET /health HTTP/1.1").count();
    let up = usize::from(search) + usize::from(inference);
    assert!((up..=2 * up).contains(&probes), "{probes}: {asked:?}");
}

#[tokio::test]
async fn missing_service_degrades_and_missing_store_fails_readiness() {
    let redis = Redis::start().await;
    for search in [true, false] {
        for inference in [true, false] {
            let well = if search && inference { "ready" } else { "degraded" };
            check(Setup::new().sharing(&redis), search, inference, (200, well)).await;
            check(without_store(), search, inference, (503, "not_ready")).await;
        }
    }
}

#[tokio::test]
async fn health_details_are_limited_to_operators() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).set("providers.lab", "api_key", "sk-canary-e804");
    let gateway = setup.client("ops", "key-of-ops-1234567890").start().await;
    assert_eq!(gateway.get("/health/detailed").await.status_and_code(), "401 invalid_api_key");
    let key = [("Authorization", "Bearer key-of-ops-1234567890")];
    let reply = gateway.send(request("GET", "/health/detailed", &key, b"")).await;
    assert!(!reply.text().contains("canary"), "{}", reply.text());
    let body = reply.json();
    assert_eq!((reply.status(), &body["status"]), (200, &json!("healthy")), "{body}");
    assert_eq!(body["providers"]["lab"], true);
    assert!(body["memory"]["rss_mb"].as_f64().unwrap() > 1.0, "{body}");
    let store = &body["dependencies"]["redis"];
    assert_eq!((&store["status"], &store["backend"]), (&json!("up"), &json!("memory")));
    assert_eq!((&store["durability"], &store["critical"]), (&json!("volatile"), &json!(true)));
    assert!(store["latency_ms"].is_f64());
    assert_eq!(body["dependencies"]["cloud_providers"]["lab"], "ready");
}

/// Asks on a connection of its own.
async fn probe(address: SocketAddr, path: &str) -> u16 {
    let mut raw = RawConnection::connect(address).await;
    raw.send(request("GET", path, &[], b"")).await;
    raw.reply().await.status()
}

#[tokio::test]
async fn health_probes_are_answered_at_connection_limit() {
    let gateway = Setup::new().write("server", "max_connections", "2").start().await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut raw = gateway.asking("fake/chunks-600-100ms", json!({ "stream": true })).await;
        raw.begin().await.block().await.unwrap();
        busy.push(raw);
    }
    for _ in 0..20 {
        assert_eq!(probe(gateway.address(), "/v1/models").await, 503);
        for path in ["/health", "/health/ready", "/ready", "/live", "/metrics"] {
            assert_eq!(probe(gateway.address(), path).await, 200, "{path}");
        }
    }
    // A probe's connection is for one question.
    let mut raw = gateway.connect().await;
    raw.send(request("GET", "/health", &[], b"")).await;
    assert_eq!(raw.reply().await.header("connection"), "close");
}

#[tokio::test]
async fn health_probes_can_use_separate_port() {
    let port = gateway_tests::free_port();
    let setup = Setup::new().write("server", "health_port", &port.to_string());
    let gateway: Gateway = setup.client("app", "key-of-app-1234567890").start().await;
    let lane = SocketAddr::new(gateway.address().ip(), port);
    for path in ["/health", "/health/ready", "/health/detailed", "/ready", "/live", "/metrics"] {
        assert_eq!(probe(lane, path).await, 200, "{path}");
    }
    for path in ["/v1/models", "/", "/nope", "/v1/chat/completions"] {
        assert_eq!(probe(lane, path).await, 404, "{path}");
    }
}

#[tokio::test]
async fn health_probes_are_answered_under_load() {
    let port = gateway_tests::free_port();
    let setup = Setup::new().write("server", "health_port", &port.to_string());
    let gateway = setup.set("log", "level", "warn").start().await;
    let (address, lane) = (gateway.address(), SocketAddr::new(gateway.address().ip(), port));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        callers.spawn(async move {
            let mut raw = RawConnection::connect(address).await;
            let body = gateway_tests::openai::ask("fake/echo", Value::Null);
            let one = request("POST", "/v1/chat/completions", &[], body.as_bytes());
            loop {
                raw.send(one.repeat(5)).await;
                for _ in 0..5 {
                    raw.reply().await;
                }
            }
        });
    }
    let mut slowest = std::time::Duration::ZERO;
    for _ in 0..40 {
        for address in [lane, address] {
            let began = tokio::time::Instant::now();
            assert_eq!(probe(address, "/health").await, 200);
            slowest = slowest.max(began.elapsed());
        }
    }
    callers.abort_all();
    println!("the slowest probe took {slowest:?}");
    assert!(slowest < std::time::Duration::from_secs(2), "{slowest:?}");
}

/// What needs no store is served: the operator may keep the gateway in its balancer.
#[tokio::test]
async fn serving_gateway_stays_ready_without_store() {
    let gateway = without_store().set("server", "readiness", "serving").start().await;
    for path in ["/health/ready", "/ready"] {
        let reply = gateway.get(path).await;
        let body = reply.json();
        assert_eq!((reply.status(), &body["status"]), (200, &json!("degraded")), "{body}");
        assert_eq!(body["checks"], checks_without_services(false));
    }
    assert_eq!(gateway.ask("fake/echo", Value::Null).await.status(), 200);
}

/// Outside development, callers do not read metrics and details; operators do, with their token or
/// on listeners of their own.
#[tokio::test]
async fn metrics_and_details_are_for_operators_in_production() {
    const TOKEN: &str = "operators-canary-token-0123456789abcdef";
    let (port, admin) = (gateway_tests::free_port(), gateway_tests::free_port());
    let gateway = Setup::new()
        .set("server", "environment", "production")
        .set("admin", "token", TOKEN)
        .set("admin", "listen", &format!("127.0.0.1:{admin}"))
        .write("server", "health_port", &port.to_string())
        .client("app", "key-of-app-1234567890")
        .start()
        .await;
    let own = SocketAddr::new(gateway.address().ip(), port);
    let operators = SocketAddr::new(gateway.address().ip(), admin);
    let ask = async |address: SocketAddr, path: &str, key: &str| {
        let mut raw = RawConnection::connect(address).await;
        let bearer = format!("Bearer {key}");
        raw.send(request("GET", path, &[("Authorization", &bearer)], b"")).await;
        raw.reply().await.status()
    };
    for path in ["/metrics", "/health/detailed"] {
        assert_eq!(probe(gateway.address(), path).await, 401, "{path}");
        assert_eq!(ask(gateway.address(), path, "key-of-app-1234567890").await, 401, "{path}");
        assert_eq!(ask(gateway.address(), path, TOKEN).await, 200, "{path}");
        assert_eq!(probe(own, path).await, 200, "{path}");
        assert_eq!(ask(operators, path, TOKEN).await, 200, "{path}");
        assert_eq!(probe(operators, path).await, 401, "{path}");
    }
    assert_eq!(probe(gateway.address(), "/health/ready").await, 200);
}

/// A service that is switched off is not asked, wherever it is.
#[tokio::test]
async fn services_are_null_if_switched_off_and_false_if_absent_where_configured() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, "{}"));
    let setup = Setup::new()
        .set("cms", "url", upstream.url().trim_end_matches("/v1"))
        .write("cms", "enabled", "false")
        .provider("inference", &upstream.url())
        .write("providers.inference", "enabled", "false")
        .set("services", "ai_agents_url", "http://127.0.0.1:1")
        .provider("lab", &upstream.url())
        .set("providers.lab", "api_key", "sk-lab");
    let gateway = setup.start().await;
    let body = gateway.get("/health/ready").await.json();
    let mut checks = checks_without_services(true);
    (checks["ai_agents"], checks["cloud_providers"]) = (false.into(), true.into());
    assert_eq!((&body["status"], &body["checks"]), (&json!("degraded"), &checks));
    let asked = upstream.exchanges();
    assert!(asked.iter().all(|it| !it.head.line.contains("/health")), "{asked:?}");
}
