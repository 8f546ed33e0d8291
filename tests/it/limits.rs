//! Rate limits, concurrency limits and budgets, and their headers and errors.

use gateway_tests::{Gateway, RawConnection, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

const KEY: &str = "sk-limited";

/// A gateway with one client, of which these settings are true, before a model at $1 a token.
async fn start(settings: &[(&str, &str)]) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream, settings).start().await;
    (upstream, gateway)
}

fn setup(upstream: &Upstream, settings: &[(&str, &str)]) -> Setup {
    let setup = Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 1000000, output = 1000000 }")
        .client("app", KEY);
    settings.iter().fold(setup, |setup, (name, value)| setup.write("[clients]", name, value))
}

fn asking(path: &str, besides: Value) -> Vec<u8> {
    let headers = [("Authorization", &*format!("Bearer {KEY}"))];
    request("POST", path, &headers, openai::ask("m", besides).as_bytes())
}

async fn ask(gateway: &Gateway, besides: Value) -> Reply {
    gateway.send(asking("/v1/chat/completions", besides)).await
}

/// Begins a streamed answer that does not end by itself.
async fn hold(upstream: &Upstream, gateway: &Gateway) -> RawConnection {
    let script = Script::streaming().event(&openai::opening()).event(&openai::says("a")).stall();
    upstream.next(script);
    let mut raw = gateway.connect().await;
    raw.send(asking("/v1/chat/completions", json!({ "stream": true }))).await;
    assert_eq!(raw.begin().await.head.word(1), "200");
    raw
}

#[tokio::test]
async fn request_rate_limit_is_enforced() {
    let (upstream, gateway) =
        start(&[("requests_per_minute", "30"), ("burst", "2"), ("models", "[\"m\"]")]).await;
    for left in ["1", "0"] {
        let reply = ask(&gateway, json!({})).await;
        assert_eq!(reply.status_and_code(), "200");
        assert_eq!(reply.header("x-ratelimit-limit-requests"), "30");
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), left);
        assert_eq!(reply.header("x-ratelimit-limit"), "30");
        assert_eq!(reply.header("x-ratelimit-remaining"), left);
        assert!(reply.header("x-ratelimit-reset-requests").ends_with('s'));
        assert!(reply.header("x-ratelimit-reset").parse::<u64>().unwrap() > 1_700_000_000);
    }
    let refused = ask(&gateway, json!({})).await;
    assert_eq!(refused.status_and_code(), "429 rate_limit_exceeded");
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), "0");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    let refused = gateway.send(asking("/v1/messages", json!({ "max_tokens": 5 }))).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    let bearer = format!("Bearer {KEY}");
    let listing = request("GET", "/v1/models", &[("Authorization", &bearer)], b"");
    assert_eq!(gateway.send(listing).await.status_and_code(), "429 rate_limit_exceeded");
    assert_eq!(upstream.exchanges().len(), 2, "what is refused goes nowhere");
    assert_eq!(gateway.get("/health").await.status(), 200, "probes are not limited");
}

#[tokio::test]
async fn token_limit_reserves_then_settles() {
    let (upstream, gateway) = start(&[("tokens_per_minute", "1000")]).await;
    let left = async |besides: Value| {
        let reply = ask(&gateway, besides).await;
        assert_eq!(reply.status_and_code(), "200");
        reply.header("x-ratelimit-remaining-tokens").parse::<u64>().unwrap()
    };
    let first = left(json!({ "max_tokens": 900 })).await;
    assert!(first < 100, "{first} are left beside what is reserved");
    gateway.outcomes(1).await;
    // Ten were used: the rest of the reservation is back.
    let second = left(json!({ "max_tokens": 10 })).await;
    assert!((920..=990).contains(&second), "{second}");
    let huge = json!({ "max_tokens": 1, "user": "x".repeat(9_000) });
    let refused = ask(&gateway, huge).await;
    assert_eq!(refused.status_and_code(), "429 request_exceeds_limit");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert_eq!(upstream.exchanges().len(), 2);
}

#[tokio::test]
async fn failed_request_refunds_tokens() {
    let (upstream, gateway) = start(&[("tokens_per_minute", "1000")]).await;
    for n in 1..=5 {
        upstream.next(Script::json(500, "{}"));
        let reply = ask(&gateway, json!({ "max_tokens": 900 })).await;
        assert_eq!(reply.status_and_code(), "502 upstream_error", "{n}: {:?}", reply.head);
        gateway.outcomes(n).await;
    }
    assert_eq!(ask(&gateway, json!({ "max_tokens": 900 })).await.status_and_code(), "200");
}

/// However often its provider is asked, and whether it is asked at all.
#[tokio::test]
async fn retried_request_counts_once() {
    let upstream = Upstream::start().await;
    let limits = [("requests_per_minute", "60"), ("burst", "10"), ("tokens_per_minute", "1000")];
    let setup = setup(&upstream, &limits).write("resilience", "retry_max_attempts", "3");
    let gateway = setup.write("cache", "enabled", "true").start().await;
    for _ in 0..2 {
        upstream.next(Script::json(500, "{}"));
    }
    let asking = json!({ "temperature": 0, "max_tokens": 10 });
    let first = ask(&gateway, asking.clone()).await;
    assert_eq!(
        (first.status_and_code().as_str(), first.header("x-gateway-attempts")),
        ("200", "3")
    );
    assert_eq!(first.header("x-ratelimit-remaining-requests"), "9");
    gateway.outcomes(1).await;
    let second = ask(&gateway, asking.clone()).await;
    assert_eq!((second.header("x-cache"), second.header("x-gateway-cost-usd")), ("hit", "0"));
    assert!(["8", "9"].contains(&second.header("x-ratelimit-remaining-requests")));
    gateway.outcomes(2).await;
    upstream.next(Script::json(400, "{}"));
    assert_eq!(ask(&gateway, json!({ "max_tokens": 10 })).await.status(), 400);
    gateway.outcomes(3).await;
    // Of all tokens, ten were paid for.
    let last = ask(&gateway, json!({ "max_tokens": 1 })).await;
    let left: u64 = last.header("x-ratelimit-remaining-tokens").parse().unwrap();
    assert!((930..=990).contains(&left), "{left}");
    assert_eq!(upstream.exchanges().len(), 3 + 1 + 1);
}

#[tokio::test]
async fn concurrency_slot_is_held_until_stream_ends() {
    let (upstream, gateway) = start(&[("max_concurrent", "2")]).await;
    let first = hold(&upstream, &gateway).await;
    let second = hold(&upstream, &gateway).await;
    let refused = ask(&gateway, json!({})).await;
    assert_eq!(refused.status_and_code(), "429 too_many_requests_at_once");
    assert_eq!(refused.header("retry-after"), "1");
    drop(first);
    gateway.outcomes(1).await;
    assert_eq!(ask(&gateway, json!({})).await.status_and_code(), "200");
    drop(second);
}

#[tokio::test]
async fn budget_is_not_exceeded() {
    // Each answer costs $10; $7 and more are reserved for what is read and one token written.
    let (_upstream, gateway) = start(&[("daily_budget_usd", "45")]).await;
    let mut told = Vec::new();
    for n in 1..=5 {
        told.push(ask(&gateway, json!({ "max_tokens": 1 })).await);
        let paid = told.iter().filter(|reply| reply.status() == 200).count();
        gateway.outcomes(paid.min(n)).await;
    }
    let refused = told.last().unwrap();
    assert_eq!(refused.status_and_code(), "429 budget_exceeded");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 86_400);
    assert!(told.iter().filter(|reply| reply.status() == 200).count() <= 4);
}

#[tokio::test]
async fn model_limits_are_separate() {
    let limits = "[{ model = \"fake/*\", requests_per_minute = 1 }]";
    let (_upstream, gateway) = start(&[("model_limits", limits)]).await;
    let ask = async |model: &str| {
        let headers = [("x-api-key", KEY)];
        let body = openai::ask(model, json!({}));
        gateway
            .send(request("POST", "/v1/chat/completions", &headers, body.as_bytes()))
            .await
            .status_and_code()
    };
    assert_eq!(ask("fake/echo").await, "200");
    assert_eq!(ask("fake/echo").await, "429 rate_limit_exceeded");
    for _ in 0..3 {
        assert_eq!(ask("m").await, "200");
    }
}

/// Asks three times from this machine, each time said to come from elsewhere.
async fn spoofed(setup: Setup) -> Vec<u16> {
    let setup = setup.env("LLM_GATEWAY_RATE_LIMIT_ENABLED", "true");
    let gateway = setup.env("LLM_GATEWAY_RATE_LIMIT_BURST", "2").start().await;
    let mut told = Vec::new();
    for n in 1..=3 {
        let hop = format!("198.51.100.{n}");
        let headers = [("X-Forwarded-For", &*hop), ("X-Real-IP", &hop), ("CF-Connecting-IP", &hop)];
        let body = openai::ask("fake/echo", json!({}));
        let bytes = request("POST", "/v1/chat/completions", &headers, body.as_bytes());
        told.push(gateway.send(bytes).await.status());
    }
    told
}

#[tokio::test]
async fn anonymous_clients_are_limited_by_peer_address() {
    assert_eq!(spoofed(Setup::new()).await, [200, 200, 429]);
}

#[tokio::test]
async fn forwarded_address_of_trusted_proxy_is_used() {
    let trusting = Setup::new().write("server", "trusted_proxies", "[\"127.0.0.0/8\"]");
    assert_eq!(spoofed(trusting).await, [200, 200, 200]);
}

#[tokio::test]
async fn default_anonymous_limit_is_sixty_per_minute() {
    let gateway = Setup::new().env("LLM_GATEWAY_RATE_LIMIT_ENABLED", "true").start().await;
    let reply = gateway.ask("fake/echo", json!({})).await;
    assert_eq!(reply.header("x-ratelimit-limit"), "60");
    assert_eq!(reply.header("x-ratelimit-remaining"), "9");
    let off = Setup::new().start().await.ask("fake/echo", json!({})).await;
    assert_eq!(off.header("x-ratelimit-limit"), "");
}

/// A trusted proxy that writes only `Forwarded` passes on an `X-Forwarded-For` of the caller's.
async fn spoofed_behind_proxy(header: &str) -> Vec<u16> {
    let mut setup = Setup::new().write("server", "trusted_proxies", "[\"127.0.0.0/8\"]");
    if !header.is_empty() {
        setup = setup.set("server", "proxy_header", header);
    }
    let setup = setup.env("LLM_GATEWAY_RATE_LIMIT_ENABLED", "true");
    let gateway = setup.env("LLM_GATEWAY_RATE_LIMIT_BURST", "2").start().await;
    let mut told = Vec::new();
    for n in 1..=3 {
        let chosen = format!("198.51.100.{n}");
        let headers = [("X-Forwarded-For", &*chosen), ("Forwarded", "for=203.0.113.7")];
        let body = openai::ask("fake/echo", json!({}));
        let bytes = request("POST", "/v1/chat/completions", &headers, body.as_bytes());
        told.push(gateway.send(bytes).await.status());
    }
    told
}

#[tokio::test]
async fn caller_cannot_choose_its_address_behind_a_trusted_proxy() {
    assert_eq!(spoofed_behind_proxy("").await, [200, 200, 429]);
    assert_eq!(spoofed_behind_proxy("forwarded").await, [200, 200, 429]);
    assert_eq!(spoofed_behind_proxy("x-forwarded-for").await, [200, 200, 200]);
}
