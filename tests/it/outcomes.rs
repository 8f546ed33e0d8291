//! The access log, and requests that are not in it.

use gateway_tests::{Gateway, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).timeout("idle", "100ms").timeout("first_byte", "100ms");
    (upstream, setup.start().await)
}

/// The one outcome of a request after which the upstream does this.
async fn check(script: Script, stream: bool, expected: &str) -> Value {
    let (upstream, gateway) = start().await;
    upstream.next(script);
    let reply = gateway.ask("lab/m", json!({ "stream": stream })).await;
    let mut outcomes = gateway.outcomes(1).await;
    assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
    let outcome = outcomes.remove(0);
    assert_eq!(outcome["outcome"], expected, "{outcome}");
    assert_eq!(outcome["request_id"], reply.header("x-request-id"));
    assert_eq!((&outcome["provider"], &outcome["stream"]), (&json!("lab"), &json!(stream)));
    outcome
}

fn begun() -> Script {
    Script::streaming().event(&openai::opening()).event(&openai::says("a"))
}

#[tokio::test]
async fn each_request_has_exactly_one_outcome() {
    let whole = check(Script::json(200, openai::whole("Hi")), false, "ok").await;
    let streamed = check(Script::events(openai::streamed(&["Hi"])), true, "ok").await;
    for outcome in [whole, streamed] {
        assert_eq!(
            (&outcome["prompt_tokens"], &outcome["completion_tokens"]),
            (&json!(7), &json!(3))
        );
        assert_eq!((&outcome["usage_known"], &outcome["finish"]), (&json!(true), &json!("stop")));
    }
    let refused = check(Script::json(500, "{}"), true, "upstream_error").await;
    assert_eq!(refused["upstream_status"], 500);
    check(Script::new().stall(), true, "upstream_timeout").await;
    check(Script::new().close(), false, "upstream_cut").await;
    check(begun().close(), true, "upstream_cut").await;
    check(begun().end(), true, "upstream_truncated").await;
    check(begun().stall(), true, "upstream_stalled").await;
    check(begun().event("{"), true, "upstream_invalid_response").await;
}

#[tokio::test]
async fn outcome_count_equals_request_count() {
    let (upstream, gateway) = start().await;
    let scripts = [
        Script::events(openai::streamed(&["a"])),
        begun().close(),
        begun().end(),
        Script::json(503, "{}"),
        Script::json(200, openai::whole("a")),
    ];
    for script in scripts.iter().cycle().take(50) {
        upstream.next(script.clone());
        gateway.ask("lab/m", json!({ "stream": true })).await;
    }
    // What is refused at the door was never accepted.
    gateway.chat("{").await;
    gateway.ask("nope", Value::Null).await;
    gateway.ask("fake/echo", Value::Null).await;
    let outcomes = gateway.outcomes(51).await;
    assert_eq!(outcomes.len(), 51);
    let mut names: Vec<_> = outcomes.iter().map(|it| it["request_id"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 51);
}

const PROMPT: &str = "canary-of-the-prompt-7f3a";
const ANSWER: &str = "canary-of-the-answer-91bd";
const CALLERS_KEY: &str = "sk-canary-of-the-caller-5c21";
const UPSTREAMS_KEY: &str = "sk-canary-of-the-upstream-e804";

/// Everything that a canary may turn into is its beginning.
fn is_clean(what: &str, text: &str) {
    for canary in [PROMPT, ANSWER, CALLERS_KEY, UPSTREAMS_KEY, "canary-of-the", "Y2FuYXJ5LW9m"] {
        assert!(!text.contains(canary), "{what} tells {canary}: {text}");
    }
}

async fn ask(gateway: &Gateway, besides: Value) {
    let mut body: Value = serde_json::from_str(&openai::ask("lab/m", besides)).unwrap();
    body["messages"][0]["content"] = json!(PROMPT);
    let headers = [("Authorization", &*format!("Bearer {CALLERS_KEY}"))];
    let path = "/v1/chat/completions?key=canary-of-the-query";
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await;
}

#[tokio::test]
async fn keys_and_prompts_are_not_logged_at_any_level() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).set("providers.lab", "api_key", UPSTREAMS_KEY);
    let gateway =
        setup.client("app", CALLERS_KEY).timeout("idle", "100ms").hurried("200ms").start().await;
    let error = openai::error("x", "x", "bad key sk-canary-of-the-upstream-e804");
    for script in [
        Script::json(200, openai::whole(ANSWER)),
        Script::json(200, format!("{{\"{ANSWER}")),
        Script::events(openai::streamed(&[ANSWER])),
        begun().event(&openai::says(ANSWER)).close(),
        begun().event(&openai::says(ANSWER)).stall(),
        begun().event(&format!("{{\"{ANSWER}")),
        Script::json(401, &error),
        Script::json(400, &error),
    ] {
        for stream in [true, false] {
            upstream.next(script.clone());
            ask(&gateway, json!({ "stream": stream })).await;
        }
    }
    ask(&gateway, json!({ "stream": PROMPT })).await;
    ask(&gateway, json!({ "model": format!("lab/{PROMPT}"), "user": PROMPT })).await;
    gateway.chat(format!("{{\"{PROMPT}\": nope")).await;
    gateway.outcomes(17).await;
    is_clean("the log", &gateway.stdout());
    is_clean("the standard error", &gateway.stderr());
    let metrics = gateway.get("/metrics").await;
    is_clean("metrics", metrics.text());
    assert!(gateway.stdout().lines().count() > 17, "the log tells something");
}

#[tokio::test]
async fn log_lines_stay_valid_json_for_any_input() {
    let (_upstream, gateway) = start().await;
    for evil in ["\u{1b}[31mred", "\"}{\"level\":\"ERROR", "a\tb", &"x".repeat(5000)] {
        let headers = [("X-Request-Id", evil), ("User-Agent", evil)];
        gateway.send(request("GET", "/v1/models", &headers, b"")).await;
        gateway.ask(evil, Value::Null).await;
        gateway.ask(&format!("fake/{evil}"), json!({ "user": evil })).await;
    }
    let outcomes = gateway.outcomes(4).await;
    assert!(outcomes.iter().all(|it| it["outcome"] == "ok"));
    assert!(gateway.log().iter().all(Value::is_object));
}

#[tokio::test]
async fn unknown_model_names_create_no_metrics() {
    let (_upstream, gateway) = start().await;
    // Work on the store goes on in the background, under names of its own.
    let is_ours = |line: &&str| !line.starts_with("llm_gateway_store_");
    let series = async || gateway.get("/metrics").await.text().lines().filter(is_ours).count();
    gateway.ask("fake/first", Value::Null).await;
    gateway.ask("no-such-model", Value::Null).await;
    gateway.get("/no-such-path").await;
    gateway.get("/v1/models/no-such-model").await;
    // What asks for them is counted too, after it was answered.
    series().await;
    let before = series().await;
    for number in 0..50 {
        gateway.ask(&format!("fake/made-up-{number}"), Value::Null).await;
        gateway.ask(&format!("made-up-{number}"), Value::Null).await;
        gateway.get(&format!("/made-up-{number}")).await;
        gateway.get(&format!("/v1/models/made-up-{number}")).await;
    }
    assert_eq!(series().await, before);
    assert!(!gateway.get("/metrics").await.text().contains("made-up"));
}

/// Every failed request has a request id in the log.
#[tokio::test]
async fn rejected_request_is_logged() {
    let setup = Setup::new().client("app", "key-of-app-1234567890");
    let gateway = setup.start().await;
    let key = ("Authorization", "Bearer key-of-app-1234567890");
    let chat = "/v1/chat/completions";
    let asks = |model: &str| openai::ask(model, Value::Null);
    for (path, headers, body, code) in [
        (chat, vec![], asks("fake/echo"), "invalid_api_key"),
        (chat, vec![key], asks("canary-of-nobody"), "model_not_found"),
        (chat, vec![key], "{\"canary\":".to_owned(), "invalid_json"),
        ("/v1/messages", vec![key], asks("fake/echo"), "invalid_request"),
        ("/v1/sessions/canary/fork", vec![key], "{}".to_owned(), "session_not_found"),
        ("/v1/embeddings", vec![key], asks("fake/echo"), "invalid_request"),
        (chat, vec![key], asks("fake/error-503"), "upstream_overloaded"),
        (chat, vec![key], asks("fake/echo"), "ok"),
    ] {
        let reply = gateway.send(request("POST", path, &headers, body.as_bytes())).await;
        let name = reply.header("x-request-id").to_owned();
        let told = loop {
            let mut told = gateway.log();
            told.retain(|line| {
                let targets = ["gateway::outcome", "gateway::refused"];
                targets.iter().any(|it| line["target"] == *it) && line["request_id"] == *name
            });
            if !told.is_empty() {
                break told;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(told.len(), 1, "{told:#?}");
        let (word, status) = (told[0].get("code").or(told[0].get("outcome")), &told[0]["status"]);
        assert_eq!(word, Some(&json!(code)), "{told:#?}");
        if told[0]["target"] == "gateway::refused" {
            assert_eq!(status, &json!(reply.status()));
            // Operators see which model was refused; nothing else is the caller's text.
            let mut line = told[0].clone();
            line["model"].take();
            assert!(!line.to_string().contains("canary"), "{told:#?}");
        }
    }
}
