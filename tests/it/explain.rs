//! Dry runs compared with the real request.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use proptest::prelude::*;
use serde_json::{Value, json};

async fn post(gateway: &Gateway, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await
}

fn chat(model: &str, besides: Value) -> Value {
    serde_json::from_str(&openai::ask(model, besides)).unwrap()
}

/// Three providers, of which `claude` speaks another dialect, behind several routes.
async fn start(one: &Upstream, two: &Upstream) -> Gateway {
    let model = |setup: Setup, id: &str, provider: &str| {
        setup.set("[models]", "id", id).set("[models]", "provider", provider)
    };
    let route = |setup: Setup, name: &str, targets: &str| {
        setup.set("[routes]", "model", name).write("[routes]", "targets", targets)
    };
    let setup = Setup::tenacious().provider("one", &one.url()).provider("two", &two.url());
    let setup = setup.write("cache", "enabled", "true");
    let setup = setup.provider("claude", &two.url()).set("providers.claude", "kind", "anthropic");
    let setup = model(setup, "deaf", "one").write("[models]", "tools", "false");
    let setup = setup.write("[models]", "context_window", "500");
    let setup = setup.write("[models]", "price", "{ input = 1, output = 2 }");
    let setup = route(setup, "best", r#"["one/deaf", "two/m"]"#);
    setup.start().await
}

#[tokio::test]
async fn explain_lists_each_target_of_route() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let gateway = start(&one, &two).await;
    let told = post(&gateway, "/v1/explain", &chat("best", json!({ "max_tokens": 100 })), &[])
        .await
        .json();
    assert_eq!(told["route"], json!({ "rule": "chain", "name": "best" }));
    let verdicts: Vec<_> =
        told["targets"].as_array().unwrap().iter().map(|it| &it["verdict"]).collect();
    assert_eq!(verdicts, ["asked", "fallback"]);
    assert_eq!(told["answer"], json!({ "provider": "one", "model": "deaf" }));
    assert_eq!(told["targets"][0]["cost_nano_dollars"], json!({ "least": 5_000, "most": 205_000 }));
    assert_eq!(
        told["targets"][1]["cost_nano_dollars"],
        Value::Null,
        "what is not known is not guessed"
    );
    assert_eq!(told["cache"], json!({ "verdict": "bypass", "reason": "not_repeatable" }));
    let free = post(&gateway, "/v1/explain", &chat("fake/echo", json!({})), &[]).await.json();
    assert_eq!(free["targets"][0]["cost_nano_dollars"], json!({ "least": 0, "most": 0 }));
    let long = json!([{ "role": "user", "content": "long ".repeat(1000) }]);
    let told =
        post(&gateway, "/v1/explain", &chat("best", json!({ "messages": long })), &[]).await.json();
    let against = &told["targets"][0]["against"];
    assert_eq!((&against["reason"], &against["window"]), (&json!("context_window"), &json!(500)));
    assert!(one.exchanges().is_empty() && two.exchanges().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn explain_lists_dropped_parameters() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let gateway = start(&one, &two).await;
    let body = chat("claude/m", json!({ "seed": 1, "max_tokens": 5 }));
    let told = post(&gateway, "/v1/explain", &body, &[]).await.json();
    assert_eq!(told["targets"][0]["dropped"], json!(["seed"]));
    let body = json!({ "model": "one/m", "max_tokens": 5, "messages": [{ "role": "user", "content": "a" }] });
    let told = post(&gateway, "/v1/explain?path=/v1/messages", &body, &[]).await.json();
    assert_eq!(
        (&told["path"], &told["answer"]["provider"]),
        (&json!("/v1/messages"), &json!("one"))
    );
}

#[tokio::test]
async fn explain_rejects_invalid_request_like_chat() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let gateway = start(&one, &two).await;
    for body in [chat("nobody", Value::Null), json!({ "messages": [] }), json!([])] {
        let (explained, real) = (
            post(&gateway, "/v1/explain", &body, &[]).await,
            post(&gateway, "/v1/chat/completions", &body, &[]).await,
        );
        assert_eq!(explained.status_and_code(), real.status_and_code(), "{body}");
    }
    let nowhere =
        post(&gateway, "/v1/explain?path=/v1/models", &chat("best", Value::Null), &[]).await;
    assert_eq!(nowhere.status(), 400);
}

/// Something that a caller may ask.
fn questions() -> impl Strategy<Value = Value> {
    let model =
        prop::sample::select(vec!["best", "one/deaf", "two/m", "claude/m", "fake/echo", "deaf"]);
    let length = prop::sample::select(vec![1_usize, 3000]);
    let temperature = prop::sample::select(vec![json!(null), json!(0), json!(0.5)]);
    (model, length, temperature, any::<[bool; 4]>(), 0..3_u8).prop_map(
        |(model, length, temperature, [tools, stream, seed, logprobs], which)| {
            let content = format!("{which}{}", "a ".repeat(length));
            let messages = json!([{ "role": "user", "content": content }]);
            let mut body =
                chat(model, json!({ "messages": messages, "stream": stream, "max_tokens": 9 }));
            if tools {
                body["tools"] =
                    json!([{ "type": "function", "function": { "name": "t", "parameters": {} } }]);
            }
            if seed {
                body["seed"] = json!(1);
            }
            if logprobs {
                body["logprobs"] = json!(true);
            }
            if !temperature.is_null() {
                body["temperature"] = temperature;
            }
            body
        },
    )
}

/// An answer in the dialect of Anthropic.
fn answer() -> Script {
    let whole = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{ "type": "text", "text": "Hello." }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 7, "output_tokens": 3 } });
    Script::json(200, whole.to_string())
}

#[test]
fn explanation_matches_actual_request() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (one, two, gateway) = runtime.block_on(async {
        let (one, two) = (Upstream::start().await, Upstream::start().await);
        let gateway = start(&one, &two).await;
        (one, two, gateway)
    });
    let config = ProptestConfig { cases: 100, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let run = runner.run(&questions(), |body| {
        let (explained, real) = runtime.block_on(async {
            let explained = post(&gateway, "/v1/explain", &body, &[]).await.json();
            let is_asked = explained["cache"]["verdict"] != "hit";
            if explained["answer"]["provider"] == "claude" && is_asked {
                two.next(answer());
            }
            let headers = [("x-gateway-explain", "true")];
            (explained, post(&gateway, "/v1/chat/completions", &body, &headers).await)
        });
        let answer = &explained["answer"];
        if answer.is_null() {
            let expected = explained["targets"][0]["error"]["code"].as_str().unwrap_or("?");
            prop_assert!(
                real.status_and_code().ends_with(expected),
                "{} {}",
                real.status_and_code(),
                explained
            );
            return Ok(());
        }
        prop_assert_eq!(real.status(), 200, "{} {}", real.text(), explained);
        prop_assert_eq!(real.header("x-gateway-provider"), answer["provider"].as_str().unwrap());
        prop_assert_eq!(real.header("x-cache"), explained["cache"]["verdict"].as_str().unwrap());
        let decision: Value = serde_json::from_str(real.header("x-gateway-decision")).unwrap();
        prop_assert_eq!(&decision["model"], &answer["model"]);
        prop_assert_eq!(&decision["rule"], &explained["route"]["rule"]);
        let asked = explained["targets"].as_array().unwrap().iter();
        let asked = asked.clone().find(|it| it["verdict"] == "asked").unwrap();
        prop_assert_eq!(&decision["dropped"], &asked["dropped"]);
        let passed = explained["targets"].as_array().unwrap().iter();
        let passed: Vec<_> = passed.map_while(|it| it["against"]["reason"].as_str()).collect();
        let told = decision["passed_by"].as_array().unwrap().iter();
        let told: Vec<_> = told.filter_map(|it| it["reason"].as_str()).collect();
        prop_assert_eq!(told, passed);
        Ok(())
    });
    drop((one, two));
    run.unwrap();
}

/// A gateway with a client of these limits, before a model at $1 a token.
async fn limited(limits: &[(&str, &str)]) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).client("app", "sk-app");
    let setup = setup.set("[models]", "id", "m").set("[models]", "provider", "lab");
    let setup = setup.write("[models]", "price", "{ input = 1000000, output = 1000000 }");
    let write = |setup: Setup, (name, value): &(&str, &str)| setup.write("[clients]", name, value);
    (upstream, limits.iter().fold(setup, write).start().await)
}

const APP: [(&str, &str); 1] = [("x-api-key", "sk-app")];

/// Returns the limits in a dry run of a request of one token, and the result of the real request:
/// `200`, or the error code.
async fn both(gateway: &Gateway) -> (Value, Reply) {
    let body = chat("m", json!({ "max_tokens": 1 }));
    let told = post(gateway, "/v1/explain", &body, &APP).await;
    let limits = told.json()["limits"].clone();
    let real = post(gateway, "/v1/chat/completions", &body, &APP).await;
    let expected = match limits["error"]["code"].as_str() {
        Some(code) => format!("429 {code}"),
        None => "200".to_owned(),
    };
    assert_eq!(real.status_and_code(), expected, "{limits}");
    assert_eq!(limits["admitted"], json!(real.status() == 200));
    (limits, real)
}

/// A limit that is met, by what it limits.
fn met<'a>(limits: &'a Value, name: &str) -> &'a Value {
    let all = limits["met"].as_array().unwrap();
    all.iter().find(|it| it["limit"] == name).unwrap_or_else(|| panic!("no {name} in {limits}"))
}

#[tokio::test]
async fn explained_limits_match_enforced_limits() {
    let (_upstream, gateway) = limited(&[
        ("requests_per_minute", "60"),
        ("tokens_per_minute", "1000"),
        ("max_concurrent", "3"),
        ("monthly_budget_usd", "1000"),
        ("model_limits", "[{ model = \"m\", requests_per_minute = 3 }]"),
    ])
    .await;
    let (mut let_in, mut refused) = (0, 0);
    for _ in 0..4 {
        let (limits, real) = both(&gateway).await;
        if real.status() != 200 {
            refused += 1;
            assert_eq!(limits["error"]["code"], "rate_limit_exceeded");
            assert!(limits["error"]["retry_after_ms"].as_u64().unwrap() > 0);
            continue;
        }
        let_in += 1;
        gateway.outcomes(let_in).await;
        let of_all = met(&limits, "requests");
        assert_eq!((&of_all["model"], &of_all["most"]), (&Value::Null, &json!(60)), "{limits}");
        let tokens = met(&limits, "tokens");
        let left = tokens["left"].as_u64().unwrap() - tokens["takes"].as_u64().unwrap();
        let header: u64 = real.header("x-ratelimit-remaining-tokens").parse().unwrap();
        assert!((left..left + 200).contains(&header), "{header}, and {limits}");
        assert_eq!(met(&limits, "concurrent")["left"], json!(3));
        let money = met(&limits, "budget_nano_dollars");
        assert_eq!(money["period"].as_str().unwrap().len(), "2026-11".len());
        // Ten tokens at a dollar each were paid for by each request before.
        let spent = 10_000_000_000_u64 * (u64::try_from(let_in).unwrap() - 1);
        assert_eq!(money["left"], json!(1_000_000_000_000 - spent), "{limits}");
    }
    assert_eq!((let_in, refused), (3, 1));
}

#[tokio::test]
async fn explain_names_each_exceeded_limit() {
    for (limit, value, code) in [
        ("tokens_per_minute", "5", "request_exceeds_limit"),
        ("daily_budget_usd", "5", "budget_exceeded"),
    ] {
        let (upstream, gateway) = limited(&[(limit, value)]).await;
        let (limits, _) = both(&gateway).await;
        assert_eq!(limits["error"]["code"], code, "{limits}");
        assert_eq!(limits["met"].as_array().map(Vec::len), Some(1));
        assert!(upstream.exchanges().is_empty());
    }
    let (upstream, gateway) = limited(&[("max_concurrent", "1")]).await;
    upstream.next(Script::streaming().event(&openai::opening()).event(&openai::says("a")).stall());
    let mut held = gateway.connect().await;
    let headers = [APP[0], ("Content-Type", "application/json")];
    let body = openai::ask("m", json!({ "stream": true }));
    held.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
    assert_eq!(held.begin().await.head.word(1), "200");
    let (limits, _) = both(&gateway).await;
    assert_eq!(limits["error"]["code"], "too_many_requests_at_once");
    assert_eq!(met(&limits, "concurrent")["left"], json!(0));
}

#[tokio::test]
async fn explain_without_limits_reports_none() {
    let (_upstream, gateway) = limited(&[]).await;
    let (limits, _) = both(&gateway).await;
    assert_eq!(limits, json!({ "admitted": true, "error": null, "met": [] }));
}
