//! What is sent for a model follows the rules of its family, and what it costs follows its price.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

/// What Anthropic would answer.
const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":3}}"#;

/// What OpenAI's Responses API would answer.
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello.","annotations":[]}]}],"usage":{"input_tokens":7,"output_tokens":3,"total_tokens":10}}"#;

/// A gateway whose OpenAI and Anthropic are `upstream`.
fn setup(upstream: &Upstream) -> Setup {
    ["openai", "anthropic"].into_iter().fold(Setup::new(), |setup, name| {
        let section = format!("providers.{name}");
        setup.provider(name, &upstream.url()).set(&section, "api_key", "sk-upstream")
    })
}

/// Answers in the dialect of the request.
fn polite(_: usize, body: &[u8]) -> Script {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_claude = body["model"].as_str().is_some_and(|model| model.contains("claude"));
    Script::json(
        200,
        match (body.get("input").is_some(), is_claude) {
            (true, _) => RESPONSE.to_owned(),
            (false, true) => CLAUDE.to_owned(),
            (false, false) => openai::whole("Hello."),
        },
    )
}

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.numbered(polite);
    let gateway = setup(&upstream).start().await;
    (upstream, gateway)
}

fn tool() -> Value {
    json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }])
}

#[tokio::test]
async fn newest_claude_is_asked_to_reason_by_effort() {
    let (upstream, gateway) = start().await;
    let besides = json!({ "reasoning_effort": "high", "temperature": 0.5 });
    let reply = gateway.ask("claude-opus-5-5", besides).await;
    assert_eq!((reply.status(), reply.header("x-gateway-dropped")), (200, "temperature"));
    let sent = upstream.last().json();
    assert_eq!(sent["thinking"]["type"], "adaptive");
    assert_eq!(sent["output_config"]["effort"], "high");
    assert_eq!((sent.get("temperature"), sent.get("top_p")), (None, None));
}

#[tokio::test]
async fn model_that_always_reasons_is_not_asked_to_stop() {
    let (upstream, gateway) = start().await;
    let besides = json!({ "reasoning_effort": "none", "tools": tool(), "tool_choice": "required" });
    let reply = gateway.ask("claude-sonnet-5-5", besides).await;
    let dropped = reply.header("x-gateway-dropped");
    assert_eq!((reply.status(), dropped), (200, "tool_choice,reasoning_effort"));
    let sent = upstream.last().json();
    assert_eq!(sent["thinking"]["type"], "adaptive");
    assert_eq!(sent["tool_choice"]["type"], "auto");
}

#[tokio::test]
async fn function_tools_go_to_responses_without_effort_none() {
    let (upstream, gateway) = start().await;
    for (model, effort, path) in [
        ("gpt-6-luna", None, "/responses"),
        ("gpt-6-luna", Some("none"), "/chat/completions"),
        ("gpt-5.4", Some("high"), "/responses"),
        ("gpt-5.2", Some("high"), "/chat/completions"),
        ("gpt-7-sol", None, "/responses"),
    ] {
        let mut besides = json!({ "tools": tool() });
        if let Some(effort) = effort {
            besides["reasoning_effort"] = effort.into();
        }
        let reply = gateway.ask(model, besides).await;
        assert_eq!(reply.status(), 200, "{model}");
        let target = upstream.last().head.word(1).to_owned();
        assert!(target.ends_with(path), "{model} {effort:?} went to {target}");
    }
}

#[tokio::test]
async fn model_newer_than_all_known_is_marked_as_assumed() {
    let (_upstream, gateway) = start().await;
    let reply = gateway.ask("gpt-6.9-sol", json!({})).await;
    assert_eq!((reply.status(), reply.header("x-gateway-assumed")), (200, "gpt-6.2-sol"));
    assert_eq!(reply.header("x-gateway-cost-usd"), "0.000044", "at the price of gpt-6.2-sol");
    let known = gateway.ask("gpt-6.2-sol", json!({})).await;
    assert_eq!(known.head.header("x-gateway-assumed"), None);
    let outcomes = gateway.outcomes(2).await;
    assert_eq!(outcomes[0]["assumed"], "gpt-6.2-sol");
    let body = openai::ask("gpt-6.9-sol", json!({}));
    let told = gateway.send(request("POST", "/v1/explain", &[], body.as_bytes())).await.json();
    assert_eq!(told["targets"][0]["assumed"], "gpt-6.2-sol");
}

const KEY: &str = "sk-budget";

/// Asks for up to 100,000 tokens, with a budget of $0.05 a day.
async fn ask_with_budget(gateway: &Gateway, model: &str) -> Reply {
    let headers = [("Authorization", &*format!("Bearer {KEY}"))];
    let body = openai::ask(model, json!({ "max_tokens": 100_000 }));
    gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await
}

fn with_budget(setup: Setup) -> Setup {
    setup.client("app", KEY).write("[clients]", "daily_budget_usd", "0.05")
}

#[tokio::test]
async fn every_spelling_of_a_model_meets_its_budget() {
    let upstream = Upstream::start().await;
    upstream.numbered(polite);
    let gateway = with_budget(setup(&upstream)).start().await;
    for model in [
        "gpt-5.2",
        "GPT-5.2",
        "gpt-5.2-2025-12-11",
        "gpt-5.2-latest",
        "openai/gpt-5.2-2027-01-01",
        "gpt-7",
        "claude-sonnet-4-5",
        "claude-sonnet-4-5-latest",
        "claude-sonnet-4-5-20250929",
        "claude-opus-5-5",
        "claude-opus-9",
        "gpt-6.2-astra",
    ] {
        let reply = ask_with_budget(&gateway, model).await;
        assert_eq!(reply.told(), "429 budget_exceeded", "{model}");
        let error = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("the request could cost up to $"), "{error}");
        assert!(error.contains("$0.05 of the $0.05 budget"), "{error}");
    }
    assert!(upstream.exchanges().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn budget_remainder_is_reported() {
    let upstream = Upstream::start().await;
    upstream.numbered(polite);
    let gateway = with_budget(setup(&upstream)).start().await;
    let headers = [("Authorization", &*format!("Bearer {KEY}"))];
    let body = openai::ask("gpt-5-nano", json!({ "max_tokens": 100 }));
    let reply =
        gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
    let left: f64 = reply.header("x-gateway-budget-remaining-usd").parse().unwrap();
    assert_eq!(reply.status(), 200);
    assert!((0.049..0.05).contains(&left), "{left}");
}

#[tokio::test]
async fn unpriced_model_is_refused_to_clients_with_a_budget() {
    let upstream = Upstream::start().await;
    let lab = || with_budget(Setup::before(&upstream));
    let gateway = lab().start().await;
    assert_eq!(ask_with_budget(&gateway, "lab/own").await.told(), "429 unpriced_model");
    let metric = gateway.metric("llm_gateway_unpriced_requests_total", "provider=\"lab\"").await;
    assert!((metric - 1.0).abs() < f64::EPSILON);
    let gateway = lab().set("budgets", "unpriced", "allow").start().await;
    assert_eq!(ask_with_budget(&gateway, "lab/own").await.told(), "200");
    let gateway = lab().set("budgets", "unpriced", "assume:openai/gpt-5.2").start().await;
    assert_eq!(ask_with_budget(&gateway, "lab/own").await.told(), "429 budget_exceeded");
}

#[tokio::test]
async fn client_without_a_budget_may_use_unpriced_models() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).start().await;
    assert_eq!(gateway.ask("lab/own", json!({})).await.status(), 200);
}

/// Refuses `seed` as OpenAI words it.
fn refuses_seed(_: usize, body: &[u8]) -> Script {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    if request.get("seed").is_none() {
        return Script::json(200, openai::whole("Hello."));
    }
    let error = json!({ "message": "Unsupported parameter: 'seed'", "type": "invalid_request_error",
        "param": "seed", "code": "unsupported_parameter" });
    Script::json(400, json!({ "error": error }).to_string())
}

#[tokio::test]
async fn refused_parameter_is_learned() {
    let upstream = Upstream::start().await;
    upstream.numbered(refuses_seed);
    let gateway = Setup::before(&upstream).start().await;
    for calls in [2, 3] {
        let reply = gateway.ask("lab/own", json!({ "seed": 7 })).await;
        assert_eq!((reply.status(), reply.header("x-gateway-dropped")), (200, "seed"));
        assert_eq!(upstream.exchanges().len(), calls);
    }
    let metric = gateway.metric("llm_gateway_learned_refusals_total", "param=\"seed\"").await;
    assert!((metric - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn strict_request_sees_the_refusal() {
    let upstream = Upstream::start().await;
    upstream.numbered(refuses_seed);
    let gateway = Setup::before(&upstream).start().await;
    let body = openai::ask("lab/own", json!({ "seed": 7 }));
    let strict = [("x-gateway-strict", "true")];
    let reply =
        gateway.send(request("POST", "/v1/chat/completions", &strict, body.as_bytes())).await;
    assert_eq!((reply.status(), upstream.exchanges().len()), (400, 1));
}

#[tokio::test]
async fn learning_can_be_switched_off() {
    let upstream = Upstream::start().await;
    upstream.numbered(refuses_seed);
    let gateway =
        Setup::before(&upstream).write("resilience", "learn_refusals", "false").start().await;
    assert_eq!(gateway.ask("lab/own", json!({ "seed": 7 })).await.status(), 400);
    assert_eq!(upstream.exchanges().len(), 1);
}

#[tokio::test]
async fn catalogue_file_replaces_prices() {
    let upstream = Upstream::start().await;
    upstream.numbered(polite);
    let file = std::env::temp_dir().join(format!("catalogue-{}.json", std::process::id()));
    let text = r#"{"gpt-5.2":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":1e-3,"output_cost_per_token":1e-3}}"#;
    std::fs::write(&file, text).unwrap();
    let name = file.to_string_lossy().into_owned();
    let gateway = setup(&upstream).set("catalogue", "file", &name).start().await;
    let reply = gateway.ask("gpt-5.2", json!({})).await;
    assert_eq!(reply.header("x-gateway-cost-usd"), "0.01", "7 and 3 tokens at $0.001");
    std::fs::remove_file(&file).unwrap();
}
