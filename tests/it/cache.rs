//! Answers that are remembered, and answers that are shared.

use gateway_tests::{
    Gateway, PATIENCE, RawConnection, Redis, Reply, Script, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};

async fn start(upstream: &Upstream) -> Gateway {
    setup(upstream).start().await
}

fn setup(upstream: &Upstream) -> Setup {
    let setup = Setup::before(upstream).write("cache", "enabled", "true");
    setup.set("[models]", "id", "priced").set("[models]", "provider", "lab").write(
        "[models]",
        "price",
        "{ input = 1, output = 2 }",
    )
}

/// A request for one sentence, the same every time, with these members and headers.
fn asking(besides: &Value, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut body = json!({ "temperature": 0 });
    if let (Some(body), Some(besides)) = (body.as_object_mut(), besides.as_object()) {
        body.extend(besides.clone());
    }
    let model = besides["model"].as_str().unwrap_or("lab/m");
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    request("POST", "/v1/chat/completions", &headers, openai::ask(model, body).as_bytes())
}

async fn ask(gateway: &Gateway, besides: Value, headers: &[(&str, &str)]) -> Reply {
    gateway.send(asking(&besides, headers)).await
}

/// Checks `x-cache` of a repeated request, and the number of upstream calls.
async fn check(besides: Value, headers: &[(&str, &str)], told: [&str; 2], calls: usize) {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let first = ask(&gateway, besides.clone(), headers).await;
    let second = ask(&gateway, besides.clone(), headers).await;
    let seen = [first.header("x-cache"), second.header("x-cache")];
    assert_eq!((seen, upstream.exchanges().len()), (told, calls), "{besides} {headers:?}");
    assert_eq!(first.text(), second.text(), "an answer that comes again is the same");
}

const TWICE: [&str; 2] = ["miss", "hit"];
const NEVER: [&str; 2] = ["bypass", "bypass"];

#[tokio::test]
async fn repeated_request_is_answered_from_cache() {
    check(json!({}), &[], TWICE, 1).await;
    check(json!({ "stream": true }), &[], TWICE, 1).await;
    check(json!({ "temperature": 0.7 }), &[("x-gateway-cache", "true")], TWICE, 1).await;
}

#[tokio::test]
async fn non_repeatable_request_is_not_cached() {
    check(json!({ "temperature": 0.7 }), &[], NEVER, 2).await;
    check(json!({ "temperature": null }), &[], NEVER, 2).await;
    check(json!({}), &[("cache-control", "no-store")], NEVER, 2).await;
    check(json!({}), &[("x-gateway-cache", "false")], NEVER, 2).await;
    check(json!({}), &[("cache-control", "no-cache")], ["miss", "miss"], 2).await;
    let tools = json!([{ "type": "function", "function": { "name": "t", "parameters": {} } }]);
    check(json!({ "tools": tools }), &[], NEVER, 2).await;
}

/// The session's history is part of the request.
#[tokio::test]
async fn session_request_is_not_cached() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    for calls in [1, 2] {
        let session = gateway.send(request("POST", "/v1/sessions", &[], b"{}")).await.json();
        let reply = ask(&gateway, json!({ "session_id": session["id"] }), &[]).await;
        assert_eq!((reply.header("x-cache"), reply.status()), ("bypass", 200), "{}", reply.text());
        assert_eq!(upstream.exchanges().len(), calls);
    }
}

/// A provider of the same name elsewhere may respond differently.
#[tokio::test]
async fn stored_conversation_request_is_not_cached() {
    let (one, other) = (Upstream::start().await, Upstream::start().await);
    let gateway = start(&one).await;
    for told in TWICE {
        assert_eq!(ask(&gateway, json!({}), &[]).await.header("x-cache"), told);
    }
    setup(&other).overwrite(&gateway);
    gateway.signal("HUP");
    until_told(&gateway, "llm_gateway_config_reloads_total{result=\"applied\"} 1").await;
    for told in TWICE {
        assert_eq!(ask(&gateway, json!({}), &[]).await.header("x-cache"), told);
    }
    assert_eq!((one.exchanges().len(), other.exchanges().len()), (1, 1));
}

/// Cacheable requests wait briefly for a failing store, and soon not at all.
#[tokio::test]
async fn failing_cache_store_is_bypassed() {
    let (upstream, redis) = (Upstream::start().await, Redis::start().await);
    let gateway = setup(&upstream).sharing(&redis).start().await;
    let twice = json!({ "seed": -1 });
    for told in TWICE {
        assert_eq!(ask(&gateway, twice.clone(), &[]).await.header("x-cache"), told);
    }
    redis.signal("STOP");
    let mut took = Vec::new();
    for number in 0..30 {
        let began = Instant::now();
        let reply = ask(&gateway, json!({ "seed": number }), &[]).await;
        took.push(began.elapsed());
        assert_eq!((reply.status(), reply.header("x-cache")), (200, "miss"));
    }
    took.sort_unstable();
    // To ask for it and to remember it would be 50 ms each.
    assert!(took[15] < Duration::from_millis(50), "{took:?}");
    redis.signal("CONT");
    let back = Instant::now();
    while ask(&gateway, twice.clone(), &[]).await.header("x-cache") != "hit" {
        assert!(back.elapsed() < PATIENCE, "it is passed by for ever");
    }
}

#[tokio::test]
async fn cache_is_disabled_by_default() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    for _ in 0..2 {
        assert_eq!(ask(&gateway, json!({}), &[]).await.header("x-cache"), "");
    }
    assert_eq!(upstream.exchanges().len(), 2);
}

#[tokio::test]
async fn cache_hit_costs_nothing() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    for _ in 0..2 {
        ask(&gateway, json!({ "model": "priced" }), &[]).await;
    }
    let outcomes = gateway.outcomes(2).await;
    let costs = outcomes.iter().map(|it| it["cost_nano_dollars"].as_u64());
    assert_eq!(costs.collect::<Vec<_>>(), [Some(13_000), Some(0)]);
    let told = outcomes.iter().map(|it| it["cache"].as_str());
    assert_eq!(told.collect::<Vec<_>>(), [Some("miss"), Some("hit")]);
    assert_eq!((&outcomes[1]["attempts"], &outcomes[1]["prompt_tokens"]), (&json!(0), &json!(7)));
}

#[tokio::test]
async fn incomplete_response_is_not_cached() {
    let begun = || Script::streaming().event(&openai::opening()).event(&openai::says("a"));
    let ends = |finish: &str| {
        let end = [openai::opening(), openai::says("a"), openai::chunk("{}", Some(finish))];
        Script::events(end.iter().map(String::as_str).chain(["[DONE]"]))
    };
    let call = openai::chunk(
        r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"t","arguments":"{}"}}]}"#,
        None,
    );
    for script in [
        begun().close(),
        begun().end(),
        begun().event("{").end(),
        ends("length"),
        ends("content_filter"),
        Script::events([openai::opening(), call, openai::chunk("{}", Some("tool_calls"))]),
        Script::json(429, openai::error("x", "x", "x")),
        Script::json(500, openai::error("x", "x", "x")),
        Script::json(200, "{}"),
    ] {
        let upstream = Upstream::start().await;
        let gateway = start(&upstream).await;
        upstream.next(script.clone());
        ask(&gateway, json!({ "stream": true }), &[]).await;
        let again = ask(&gateway, json!({ "stream": true }), &[]).await;
        assert_eq!(
            (again.header("x-cache"), upstream.exchanges().len()),
            ("miss", 2),
            "{script:?}"
        );
    }
}

#[tokio::test]
async fn abandoned_response_is_not_cached() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let begun = Script::streaming().event(&openai::opening()).event(&openai::says("a"));
    upstream.next(begun.stall());
    drop(begin(&gateway).await);
    assert!(matches!(upstream.ended().await, gateway_tests::ExchangeEnd::Left(_)));
    let again = ask(&gateway, json!({ "stream": true }), &[]).await;
    assert_eq!((again.header("x-cache"), upstream.exchanges().len()), ("miss", 2));
}

/// Asks, and waits until the answer has begun.
async fn begin(gateway: &Gateway) -> RawConnection {
    let mut raw = gateway.connect().await;
    raw.send(asking(&json!({ "stream": true }), &[])).await;
    raw.try_head().await.expect("the head of a reply");
    raw
}

/// A whole answer that takes so many milliseconds to begin.
fn after(millis: u64, status: u16, body: &str) -> Script {
    let length = body.len().to_string();
    let headers = [("content-type", "application/json"), ("content-length", length.as_str())];
    Script::new().wait(millis).head(status, &headers).bytes(body)
}

/// Waits until the metrics say so.
async fn until_told(gateway: &Gateway, line: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !gateway.get("/metrics").await.text().contains(line) {
        assert!(Instant::now() < deadline, "in vain: {line}");
    }
}

/// Clients `a` and `b` of tenants of their own, and `c` of the tenant of `a`.
async fn tenants(upstream: &Upstream) -> Gateway {
    let setup = setup(upstream).client("a", "sk-a").client("b", "sk-b").client("c", "sk-c");
    // The first of them; the others are tenants by their own names.
    setup.write("[clients]", "tenant", "\"c\"").start().await
}

#[tokio::test]
async fn cache_is_not_shared_between_tenants() {
    let upstream = Upstream::start().await;
    let gateway = tenants(&upstream).await;
    let ask = async |who: &str, say: &str| {
        let key = format!("Bearer sk-{who}");
        let messages = json!([{ "role": "user", "content": say }]);
        let reply =
            ask(&gateway, json!({ "messages": messages }), &[("Authorization", &key)]).await;
        (
            reply.header("x-cache").to_owned(),
            reply.json()["choices"][0]["message"]["content"].clone(),
        )
    };
    for round in 0..50 {
        let say = format!("question {round}");
        upstream.next(Script::json(200, openai::whole("secret of one")));
        assert_eq!(ask("a", &say).await, ("miss".to_owned(), json!("secret of one")));
        upstream.next(Script::json(200, openai::whole("secret of two")));
        assert_eq!(ask("b", &say).await, ("miss".to_owned(), json!("secret of two")));
        assert_eq!(ask("c", &say).await, ("hit".to_owned(), json!("secret of one")));
        assert_eq!(ask("b", &say).await, ("hit".to_owned(), json!("secret of two")));
    }
    assert_eq!(upstream.exchanges().len(), 100);
}

#[tokio::test]
async fn concurrent_identical_requests_share_one_response() {
    const CALLERS: usize = 200;
    for stream in [false, true] {
        let upstream = Upstream::start().await;
        let gateway = Arc::new(start(&upstream).await);
        let script = if stream {
            Script::streaming()
                .wait(300)
                .event(&openai::opening())
                .event(&openai::says("a"))
                .wait(300)
                .event(&openai::stops())
                .event("[DONE]")
                .end()
        } else {
            after(500, 200, &openai::whole("a"))
        };
        upstream.always(script);
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let gateway = Arc::clone(&gateway);
            callers.spawn(async move { ask(&gateway, json!({ "stream": stream }), &[]).await });
        }
        let replies = callers.join_all().await;
        assert!(
            replies.iter().all(|reply| reply.status() == 200 && reply.text() == replies[0].text())
        );
        let misses = replies.iter().filter(|reply| reply.header("x-cache") == "miss").count();
        assert_eq!((misses, upstream.exchanges().len()), (1, 1), "stream: {stream}");
    }
}

#[tokio::test]
async fn shared_response_continues_when_leader_leaves() {
    let upstream = Upstream::start().await;
    let gateway = Arc::new(start(&upstream).await);
    let begun = Script::streaming().event(&openai::opening()).event(&openai::says("a")).wait(800);
    upstream.next(begun.event(&openai::stops()).event(&openai::usage()).event("[DONE]").end());
    let first = begin(&gateway).await;
    let second = ask(&gateway, json!({ "stream": true, "model": "lab/m" }), &[]);
    let leaving = async {
        until_told(&gateway, "llm_gateway_cache_operations_total{result=\"hit\"} 1").await;
        drop(first);
    };
    let (second, ()) = tokio::join!(second, leaving);
    assert_eq!((second.event_text().as_str(), second.header("x-cache")), ("a[stop][DONE]", "hit"));
    assert_eq!(upstream.exchanges().len(), 1);
    let outcomes = gateway.outcomes(2).await;
    let paid = outcomes.iter().filter(|it| it["cache"] == "miss" && it["outcome"] == "ok").count();
    assert_eq!(paid, 1, "somebody pays: {outcomes:#?}");
}

#[tokio::test]
async fn failed_request_is_not_shared() {
    let upstream = Upstream::start().await;
    let gateway = Arc::new(start(&upstream).await);
    upstream.next(after(1500, 500, "{}"));
    // Whoever learns late that the first has failed still meets the second.
    upstream.next(after(2000, 200, &openai::whole("Hello.")));
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let gateway = Arc::clone(&gateway);
        callers.spawn(async move { ask(&gateway, json!({}), &[]).await.status() });
    }
    let mut told = callers.join_all().await;
    told.sort_unstable();
    assert_eq!((told[18], told[19], upstream.exchanges().len()), (200, 502, 2), "{told:?}");
}
