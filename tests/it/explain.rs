//! What would become of a request, and what does.

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
async fn a_route_is_explained_target_by_target() {
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
    let long = json!([{ "role": "user", "content": "long ".repeat(1000) }]);
    let told =
        post(&gateway, "/v1/explain", &chat("best", json!({ "messages": long })), &[]).await.json();
    let against = &told["targets"][0]["against"];
    assert_eq!((&against["reason"], &against["window"]), (&json!("context_window"), &json!(500)));
    assert!(one.exchanges().is_empty() && two.exchanges().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn what_would_be_dropped_is_told() {
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
async fn what_cannot_be_asked_is_refused_as_it_would_be() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let gateway = start(&one, &two).await;
    for body in [chat("nobody", Value::Null), json!({ "messages": [] }), json!([])] {
        let (explained, real) = (
            post(&gateway, "/v1/explain", &body, &[]).await,
            post(&gateway, "/v1/chat/completions", &body, &[]).await,
        );
        assert_eq!(explained.told(), real.told(), "{body}");
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
fn what_is_explained_is_what_happens() {
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
            prop_assert!(real.told().ends_with(expected), "{} {}", real.told(), explained);
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
