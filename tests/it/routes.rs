//! Names that several models answer for, and providers with several keys.

use gateway_tests::{ExchangeEnd, Gateway, Reply, Script, Setup, Upstream, openai};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};

/// Two upstreams, `one` and `two`, and a gateway whose model `best` is at either, in this order.
struct Bench {
    one: Upstream,
    two: Upstream,
    gateway: Gateway,
}

fn route(setup: Setup, targets: &str) -> Setup {
    let section = "[routes]";
    setup.set(section, "model", "best").write(section, "targets", targets)
}

impl Bench {
    async fn start(adapt: impl FnOnce(Setup) -> Setup) -> Self {
        let (one, two) = (Upstream::start().await, Upstream::start().await);
        let setup = Setup::tenacious().provider("one", &one.url()).provider("two", &two.url());
        let gateway = adapt(route(setup, r#"["one/m", "two/m"]"#)).start().await;
        Self { one, two, gateway }
    }

    async fn ask(&self, besides: Value) -> Reply {
        self.gateway.ask("best", besides).await
    }

    /// Returns the number of calls of each upstream.
    fn calls(&self) -> (usize, usize) {
        (self.one.exchanges().len(), self.two.exchanges().len())
    }
}

fn refusal(status: u16) -> Script {
    Script::json(status, openai::error("x", "x", "x"))
}

fn revoked() -> Script {
    Script::json(403, openai::error("x", "x", "this API key was revoked"))
}

fn limited(seconds: &str) -> Script {
    let headers = [("content-type", "application/json"), ("retry-after", seconds)];
    Script::whole(429, &headers, openai::error("x", "x", "x"))
}

fn begun() -> Script {
    Script::streaming().event(&openai::opening())
}

fn reply_text(reply: &Reply, stream: bool) -> String {
    if reply.status() == 200 && stream { reply.event_text() } else { reply.status_and_code() }
}

/// Checks the caller's view while the first target always follows `script`, and the calls of each.
async fn check(script: Script, told: [&str; 2], calls: (usize, usize)) {
    for (stream, told) in [(false, told[0]), (true, told[1])] {
        let bench = Bench::start(|setup| setup).await;
        bench.one.always(script.clone());
        let reply = bench.ask(json!({ "stream": stream })).await;
        assert_eq!(
            (reply_text(&reply, stream).as_str(), bench.calls()),
            (told, calls),
            "{script:?}"
        );
        let outcomes = bench.gateway.outcomes(1).await;
        let attempts = calls.0 + calls.1;
        assert_eq!(outcomes[0]["attempts"], json!(attempts), "{script:?}");
        let last = if calls.1 > 0 { "two" } else { "one" };
        assert_eq!(
            (&outcomes[0]["provider"], reply.header("x-gateway-provider")),
            (&json!(last), last)
        );
        if attempts > 1 {
            assert_eq!(reply.header("x-gateway-attempts"), attempts.to_string());
        }
    }
}

const FINE: [&str; 2] = ["200", "Hello.[stop][DONE]"];

#[tokio::test]
async fn healthy_target_answers_route() {
    let bench = Bench::start(|setup| setup).await;
    for stream in [false, true] {
        let reply = bench.ask(json!({ "stream": stream })).await;
        assert_eq!((reply.status(), reply.header("x-gateway-attempts")), (200, ""));
        assert_eq!(reply.header("x-gateway-provider"), "one");
    }
    assert_eq!(bench.calls(), (2, 0));
}

#[tokio::test]
async fn each_listed_failure_falls_back() {
    for status in [500, 502, 503, 504, 529] {
        check(refusal(status), FINE, (3, 1)).await;
    }
    check(refusal(401), FINE, (1, 1)).await;
    check(revoked(), FINE, (1, 1)).await;
    check(Script::whole(403, &[], ""), FINE, (1, 1)).await;
    check(limited("60"), FINE, (1, 1)).await;
    check(Script::new().reset(), FINE, (1, 1)).await;
    let long = openai::error("invalid_request_error", "context_length_exceeded", "too long");
    check(Script::json(400, long), FINE, (1, 1)).await;
    check(Script::json(200, "{"), FINE, (1, 1)).await;
}

#[tokio::test]
async fn timeout_falls_back() {
    for stream in [false, true] {
        let bench = Bench::start(|setup| setup.hurried("500ms")).await;
        bench.one.always(Script::new().stall());
        let reply = bench.ask(json!({ "stream": stream })).await;
        assert_eq!(
            (reply_text(&reply, stream).as_str(), bench.calls()),
            (FINE[usize::from(stream)], (1, 1))
        );
        assert!(matches!(bench.one.ended().await, ExchangeEnd::Left(_)), "it is hung up on");
    }
}

#[tokio::test]
async fn stream_broken_before_output_falls_back() {
    let error = openai::error("overloaded_error", "", "busy");
    let script = begun().event(&error).end();
    for (scripts, attempts) in [(1, "2"), (3, "4")] {
        let bench = Bench::start(|setup| setup).await;
        for _ in 0..scripts {
            bench.one.next(script.clone());
        }
        let reply = bench.ask(json!({ "stream": true })).await;
        assert_eq!(reply.event_text(), "Hello.[stop][DONE]");
        assert_eq!(reply.header("x-gateway-attempts"), attempts, "the head tells the truth");
    }
}

#[tokio::test]
async fn stream_broken_after_output_does_not_fall_back() {
    let script = begun().event(&openai::says("a")).close();
    let bench = Bench::start(|setup| setup).await;
    bench.one.next(script);
    let reply = bench.ask(json!({ "stream": true })).await;
    assert_eq!((reply.event_text().as_str(), bench.calls()), ("a<upstream_cut>", (1, 0)));
}

#[tokio::test]
async fn unlisted_failure_does_not_fall_back() {
    check(refusal(422), ["422 x", "422 x"], (1, 0)).await;
    let bench = Bench::start(|setup| setup.write("[routes]", "on", r#"["429"]"#)).await;
    bench.one.always(refusal(503));
    let reply = bench.ask(Value::Null).await;
    assert_eq!((reply.status_and_code().as_str(), bench.calls().1), ("503 upstream_overloaded", 0));
    assert_eq!(reply.header("x-upstream-status"), "503");
}

#[tokio::test]
async fn exhausted_fallback_reports_all_attempts() {
    let bench = Bench::start(|setup| setup).await;
    bench.one.always(refusal(500));
    bench.two.always(refusal(502));
    let reply = bench.ask(Value::Null).await;
    assert_eq!((reply.status_and_code().as_str(), bench.calls()), ("502 upstream_error", (3, 1)));
    assert_eq!(reply.header("x-should-retry"), "false");
    assert_eq!(reply.header("x-gateway-fallback-from"), "one/m");
    assert_eq!(reply.header("x-upstream-status"), "502");
}

#[tokio::test]
async fn exhausted_fallback_returns_shortest_retry_after() {
    let bench = Bench::start(|setup| setup).await;
    bench.one.always(limited("300"));
    bench.two.always(limited("60"));
    for calls in [(1, 1); 2] {
        let reply = bench.ask(Value::Null).await;
        assert_eq!((reply.status(), bench.calls()), (429, calls));
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((30..=60).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn route_can_disable_retries_and_breakers() {
    let off = |setup: Setup| {
        setup.write("[routes]", "retry", "false").write("[routes]", "breaker", "false")
    };
    let bench = Bench::start(off).await;
    bench.one.always(refusal(500));
    for number in 1..=8 {
        assert_eq!(bench.ask(Value::Null).await.status_and_code(), "200");
        assert_eq!(bench.calls(), (number, number));
    }
}

#[tokio::test]
async fn route_without_healthy_target_fails_immediately() {
    let bench = Bench::start(|setup| setup).await;
    bench.one.always(refusal(500));
    bench.two.always(refusal(500));
    let mut told = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let reply = bench.ask(Value::Null).await;
        let took = began.elapsed();
        told.push((reply.status_and_code(), took));
        if reply.status_and_code() == "503 no_healthy_upstream" {
            assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|wait| wait <= 6));
            assert_eq!(reply.header("x-should-retry"), "false");
        }
    }
    let quick = told.iter().filter(|(told, _)| told == "503 no_healthy_upstream");
    let mut times: Vec<_> = quick.map(|(_, took)| *took).collect();
    assert!(times.len() > 5, "{told:?}");
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_millis(10), "{times:?}");
}

#[tokio::test]
async fn fallback_respects_allowed_models() {
    let keys = |models: &'static str| {
        move |setup: Setup| setup.client("app", "sk-app").write("[clients]", "models", models)
    };
    let ask = async |bench: &Bench| {
        let body = openai::ask("best", Value::Null);
        let headers = [("Authorization", "Bearer sk-app")];
        let request =
            gateway_tests::request("POST", "/v1/chat/completions", &headers, body.as_bytes());
        bench.gateway.send(request).await
    };
    let bench = Bench::start(keys(r#"["one/*"]"#)).await;
    bench.one.always(refusal(500));
    assert_eq!(ask(&bench).await.status_and_code(), "500 upstream_error".replace("500", "502"));
    assert_eq!(bench.calls().1, 0, "what the caller may not use is not asked for it");
    let bench = Bench::start(keys(r#"["two/m"]"#)).await;
    assert_eq!((ask(&bench).await.status_and_code().as_str(), bench.calls()), ("200", (0, 1)));
    let bench = Bench::start(keys(r#"["best"]"#)).await;
    let refused = ask(&bench).await;
    assert_eq!(
        (refused.status_and_code().as_str(), bench.calls()),
        ("403 model_not_allowed", (0, 0))
    );
}

#[tokio::test]
async fn incompatible_route_target_is_skipped() {
    let models = |setup: Setup| {
        let setup = setup.set("[models]", "id", "m1").set("[models]", "provider", "one");
        setup.set("[models]", "upstream", "m").write("[models]", "tools", "false").write(
            "[models]",
            "context_window",
            "1000",
        )
    };
    let bench = Bench::start(models).await;
    let tools = json!([{ "type": "function", "function": { "name": "t", "parameters": {} } }]);
    assert_eq!(bench.ask(json!({ "tools": tools })).await.status_and_code(), "200");
    assert_eq!(bench.calls(), (0, 1));
    let long = json!([{ "role": "user", "content": "long ".repeat(2000) }]);
    assert_eq!(bench.ask(json!({ "messages": long })).await.status_and_code(), "200");
    assert_eq!(bench.calls(), (0, 2));
    let outcomes = bench.gateway.outcomes(2).await;
    let passed: Vec<_> = outcomes.iter().map(|it| it["passed_by"].as_str()).collect();
    assert_eq!(passed, [Some("one/m:no_tools"), Some("one/m:context_window")]);
    bench.ask(Value::Null).await;
    assert_eq!(bench.calls(), (1, 2));
}

#[tokio::test]
async fn image_request_skips_text_only_model() {
    let models = |setup: Setup| {
        let setup = setup.set("[models]", "id", "m1").set("[models]", "provider", "one");
        setup.set("[models]", "upstream", "m").write("[models]", "vision", "false")
    };
    let bench = Bench::start(models).await;
    let picture =
        json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0K" } });
    let messages = json!([{ "role": "user", "content": [picture] }]);
    assert_eq!(bench.ask(json!({ "messages": messages })).await.status_and_code(), "200");
    assert_eq!(bench.calls(), (0, 1));
    assert_eq!(bench.gateway.outcomes(1).await[0]["passed_by"], "one/m:no_vision");
}

#[tokio::test]
async fn weighted_route_distributes_requests() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let setup = Setup::tenacious().provider("one", &one.url()).provider("two", &two.url());
    let targets = r#"[{ model = "one/m", weight = 3 }, { model = "two/m", weight = 1 }]"#;
    let gateway = route(setup, targets).start().await;
    for _ in 0..100 {
        assert_eq!(gateway.ask("best", Value::Null).await.status_and_code(), "200");
    }
    let first = one.exchanges().len();
    assert_eq!(first + two.exchanges().len(), 100);
    assert!((55..95).contains(&first), "{first}");
}

#[tokio::test]
async fn model_fallbacks_start_with_the_model() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let setup = Setup::tenacious().provider("one", &one.url()).provider("two", &two.url());
    let gateway = setup.write("fallbacks", "\"one/m\"", r#"["two/m"]"#).start().await;
    one.always(refusal(401));
    assert_eq!(gateway.ask("one/m", Value::Null).await.status_and_code(), "200");
    assert_eq!((one.exchanges().len(), two.exchanges().len()), (1, 1));
    let listed = gateway.get("/v1/models").await;
    assert!(listed.text().contains("\"one/m\""), "{}", listed.text());
}

/// A provider with three keys, and the keys with which it was asked.
async fn with_keys(scripts: &[Script], requests: usize) -> (Vec<String>, Vec<String>) {
    let upstream = Upstream::start().await;
    let setup = Setup::tenacious().provider("lab", &upstream.url());
    let setup = setup.set("providers.lab", "api_key", "sk-1");
    let gateway = setup.write("providers.lab", "api_keys", r#"["sk-2", "sk-3"]"#).start().await;
    for script in scripts {
        upstream.next(script.clone());
    }
    let mut told = Vec::new();
    for _ in 0..requests {
        told.push(gateway.ask("lab/m", Value::Null).await.status_and_code());
    }
    let key = |it: &gateway_tests::Exchange| {
        it.head.header("authorization").unwrap_or_default().replace("Bearer sk-", "")
    };
    (told, upstream.exchanges().iter().map(key).collect())
}

#[tokio::test]
async fn provider_keys_rotate_and_cool_down() {
    let (told, keys) = with_keys(&[], 4).await;
    assert_eq!((told, keys.join("")), (vec!["200".to_owned(); 4], "1231".to_owned()));
    let (told, keys) = with_keys(&[limited("60")], 4).await;
    assert_eq!((told, keys.join("")), (vec!["200".to_owned(); 4], "12232".to_owned()));
    for refused in [refusal(401), revoked()] {
        let (told, keys) = with_keys(&[refused], 4).await;
        assert_eq!((told, keys.join("")), (vec!["200".to_owned(); 4], "12232".to_owned()));
    }
}

#[tokio::test]
async fn rate_limited_key_cools_down_and_reports_retry_after() {
    let upstream = Upstream::start().await;
    let setup = Setup::tenacious().provider("lab", &upstream.url());
    let gateway = Arc::new(setup.start().await);
    upstream.always(limited("60"));
    assert_eq!(gateway.ask("lab/m", Value::Null).await.status(), 429);
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let gateway = Arc::clone(&gateway);
        callers.spawn(async move { gateway.ask("lab/m", Value::Null).await });
    }
    let replies = callers.join_all().await;
    assert!(replies.iter().all(|reply| reply.status() == 429));
    let waits = replies.iter().map(|reply| reply.header("retry-after").parse::<u64>().unwrap());
    let waits: Vec<_> = waits.collect();
    assert_eq!(upstream.exchanges().len(), 1, "one asks, the others wait");
    assert!(waits.iter().all(|wait| (30..=60).contains(wait)), "{waits:?}");
}

#[tokio::test]
async fn refused_credential_is_an_upstream_error() {
    for status in [401, 403] {
        let upstream = Upstream::start().await;
        let gateway = Setup::tenacious().provider("lab", &upstream.url()).start().await;
        upstream.always(Script::json(status, openai::error("x", "x", "bad key sk-secret")));
        for _ in 0..5 {
            let reply = gateway.ask("lab/m", Value::Null).await;
            assert_eq!(reply.status_and_code(), "502 upstream_auth");
            assert!(!reply.text().contains("secret"));
        }
        // One refusal may be an accident; two in a row of the only credential are not.
        assert_eq!(upstream.exchanges().len(), 2);
        let alarming = gateway.metric("llm_gateway_provider_errors_total", "upstream_auth").await;
        assert!(alarming >= 1.0, "nobody is told");
    }
}

#[tokio::test]
async fn caller_errors_do_not_disable_credentials() {
    let upstream = Upstream::start().await;
    let gateway = Setup::tenacious().provider("lab", &upstream.url()).start().await;
    let flagged = openai::error("x", "", "your input was flagged");
    let page = Script::whole(403, &[("content-type", "text/html")], "<html>blocked</html>");
    for (script, told) in
        [(Script::json(403, flagged), "400 content_filter"), (page, "502 upstream_auth")]
    {
        upstream.next(script);
        assert_eq!(gateway.ask("lab/m", Value::Null).await.status_and_code(), told);
        assert_eq!(gateway.ask("lab/m", Value::Null).await.status_and_code(), "200");
    }
}

#[tokio::test]
async fn unreachable_host_is_probed_rarely() {
    let port = { Upstream::start().await.port() };
    let setup = Setup::tenacious().provider("lab", &format!("http://127.0.0.1:{port}/v1"));
    let gateway = setup.write("resilience", "retry_max_attempts", "1").start().await;
    let mut told = Vec::new();
    for number in 0..12 {
        // Each another model: it is their host that is away.
        told.push(gateway.ask(&format!("lab/m{number}"), Value::Null).await.status_and_code());
    }
    let opened = told.iter().filter(|it| *it == "503 circuit_open").count();
    assert_eq!(opened, 7, "{told:?}");
}
