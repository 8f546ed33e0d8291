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
    let clouds = ["gemini", "bedrock", "vertex", "azure"];
    let setup = clouds.into_iter().fold(setup(&upstream), |setup, name| {
        let section = format!("providers.{name}");
        setup.provider(name, &upstream.url()).set(&section, "api_key", "sk-upstream")
    });
    let gateway = with_budget(setup).start().await;
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
        "Anthropic/Claude-Haiku-4-5@20251001",
        "anthropic/claude-opus-4-5-20251101-v1:0",
        "anthropic/us.anthropic.claude-opus-4-5-20251101-v1:0",
        "anthropic/global.anthropic.claude-haiku-5-5",
        "anthropic/claude-opus-5-5[1m]",
        "openai/openai.gpt-5.6-sol",
        "openai/gpt-35-turbo-16k",
        "gemini-2.5-flash-preview-05-20",
        "gemini/models/gemini-2.5-flash-preview-09-2025",
        "gemini/google/gemini-4-argon",
        "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "vertex/claude-opus-4-5@20251101",
        "azure/GPT-5.4-2026-03-05",
    ] {
        let reply = ask_with_budget(&gateway, model).await;
        assert_eq!(reply.status_and_code(), "429 budget_exceeded", "{model}");
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
    assert_eq!(ask_with_budget(&gateway, "lab/own").await.status_and_code(), "429 unpriced_model");
    let metric = gateway.metric("llm_gateway_unpriced_requests_total", "provider=\"lab\"").await;
    assert!((metric - 1.0).abs() < f64::EPSILON);
    let gateway = lab().set("budgets", "unpriced", "allow").start().await;
    assert_eq!(ask_with_budget(&gateway, "lab/own").await.status_and_code(), "200");
    let gateway = lab().set("budgets", "unpriced", "assume:openai/gpt-5.2").start().await;
    assert_eq!(ask_with_budget(&gateway, "lab/own").await.status_and_code(), "429 budget_exceeded");
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
async fn refusal_is_remembered_for_its_model_and_provider_alone() {
    let (upstream, other) = (Upstream::start().await, Upstream::start().await);
    upstream.numbered(refuses_seed);
    other.numbered(refuses_seed);
    let gateway = Setup::before(&upstream).provider("shop", &other.url()).start().await;
    for (model, calls) in
        [("lab/own", (2, 0)), ("lab/own", (3, 0)), ("lab/new", (5, 0)), ("shop/own", (5, 2))]
    {
        let reply = gateway.ask(model, json!({ "seed": 7, "temperature": 0.5 })).await;
        assert_eq!((reply.status(), reply.header("x-gateway-dropped")), (200, "seed"), "{model}");
        assert_eq!((upstream.exchanges().len(), other.exchanges().len()), calls, "{model}");
        let last = if model == "shop/own" { other.last() } else { upstream.last() };
        assert_eq!(last.json()["temperature"], 0.5, "{model}: only what was refused is left out");
    }
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

/// A price of $0.001 for a token, as each public data set writes it.
const DATA_SETS: [&str; 4] = [
    r#"{"gpt-5.2":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":1e-3,"output_cost_per_token":1e-3}}"#,
    r#"{"openai":{"id":"openai","models":{"gpt-5.2":{"id":"gpt-5.2","cost":{"input":1000,"output":1000}}}}}"#,
    r#"[{"id":"openai","models":[{"id":"gpt-5.2","prices":{"input_mtok":1000,"output_mtok":1000}}]}]"#,
    "from .types import ModelInfo\n\nproviders: list[Provider] = [Provider(id='openai', models=[\
     ModelInfo(id='gpt-5.2', prices=ModelPrice(input_mtok=Decimal('1000'), output_mtok=Decimal('1000')))])]\n",
];

#[tokio::test]
async fn catalogue_file_of_each_data_set_replaces_prices() {
    let upstream = Upstream::start().await;
    upstream.numbered(polite);
    for (number, text) in DATA_SETS.into_iter().enumerate() {
        let name = format!("data-set-{}-{number}", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).unwrap();
        let name = file.to_string_lossy().into_owned();
        let gateway = setup(&upstream).set("catalogue", "file", &name).start().await;
        let reply = gateway.ask("gpt-5.2", json!({})).await;
        assert_eq!(reply.header("x-gateway-cost-usd"), "0.01", "7 and 3 tokens by {text}");
        let other = gateway.ask("gpt-5.4", json!({})).await;
        assert_ne!(other.header("x-gateway-cost-usd"), "unknown", "the release's rows are there");
        std::fs::remove_file(&file).unwrap();
    }
}

/// What Perplexity answers: four signed bytes in base64.
const SIGNED_BYTES: &str = r#"{"object":"list","model":"pplx","data":[{"object":"embedding","index":0,"embedding":"Af9/gA=="}]}"#;

#[tokio::test]
async fn vectors_of_signed_bytes_have_the_requested_length() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, SIGNED_BYTES));
    let setup = Setup::new().provider("perplexity", &upstream.url());
    let gateway = setup.set("providers.perplexity", "api_key", "sk-upstream").start().await;
    let embed = async |dimensions: u64| {
        let body =
            json!({ "model": "perplexity/pplx-embed", "input": "a", "dimensions": dimensions });
        let body = body.to_string();
        gateway.send(request("POST", "/v1/embeddings", &[], body.as_bytes())).await
    };
    let reply = embed(4).await;
    assert_eq!(reply.json()["data"][0]["embedding"], json!([1, -1, 127, -128]));
    assert_eq!(reply.header("x-gateway-estimated"), "true", "no usage was reported");
    assert!(reply.json()["usage"]["prompt_tokens"].as_u64() > Some(0));
    assert_eq!(embed(256).await.status_and_code(), "502 upstream_invalid_response");
}

#[tokio::test]
async fn completion_model_is_asked_at_its_own_endpoint() {
    let upstream = Upstream::start().await;
    let answer = json!({ "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "davinci-002",
        "choices": [{ "text": " world", "index": 0, "logprobs": null, "finish_reason": "length" }],
        "usage": { "prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3 } });
    upstream.always(Script::json(200, answer.to_string()));
    let gateway = setup(&upstream).start().await;
    let complete = async |model: &str| {
        let body = json!({ "model": model, "prompt": "Hello", "suffix": "!", "max_tokens": 1 })
            .to_string();
        gateway.send(request("POST", "/v1/completions", &[], body.as_bytes())).await
    };
    let reply = complete("davinci-002").await;
    assert_eq!((reply.status(), &reply.json()["choices"][0]["text"]), (200, &json!(" world")));
    let sent = upstream.last();
    assert!(sent.head.word(1).ends_with("/completions") && !sent.head.word(1).contains("chat"));
    assert_eq!((&sent.json()["prompt"], &sent.json()["suffix"]), (&json!("Hello"), &json!("!")));
    assert_ne!(reply.header("x-gateway-cost-usd"), "unknown");
    let refused = complete("gpt-5.2").await;
    assert_eq!((refused.status(), &refused.json()["error"]["param"]), (400, &json!("suffix")));
    assert_eq!(upstream.exchanges().len(), 1);
}

#[tokio::test]
async fn version_of_october_2026_is_enforced_over_any_provider() {
    let (upstream, gateway) = start().await;
    let send = async |model: &str, version: &str| {
        let body = json!({ "model": model, "max_tokens": 50, "temperature": 0.5,
            "messages": [{ "role": "user", "content": "Hi" }] });
        let headers = [("anthropic-version", version)];
        gateway.send(request("POST", "/v1/messages", &headers, body.to_string().as_bytes())).await
    };
    for model in ["claude-haiku-4-5", "gpt-4o"] {
        assert_eq!(send(model, "2023-06-01").await.status(), 200, "{model}");
        let calls = upstream.exchanges().len();
        for version in ["2026-10-21", "2027-02-03"] {
            let refused = send(model, version).await;
            let error = refused.json();
            assert_eq!((refused.status(), &error["type"]), (400, &json!("error")), "{model}");
            assert!(error["error"]["message"].as_str().unwrap().contains("temperature"));
        }
        assert_eq!(upstream.exchanges().len(), calls, "{model}: nothing was sent");
    }
}

#[tokio::test]
async fn body_of_the_gateway_has_the_oldest_version_and_what_that_takes() {
    let (upstream, gateway) = start().await;
    for (version, model) in [("2023-06-01", "claude-haiku-4-5"), ("2026-10-21", "gpt-4o")] {
        let headers = [("anthropic-version", version)];
        let body = json!({ "model": model, "max_tokens": 50,
            "messages": [{ "role": "user", "content": "Hi" }] });
        let sent = request("POST", "/v1/messages", &headers, body.to_string().as_bytes());
        assert_eq!(gateway.send(sent).await.status(), 200);
        let head = upstream.last().head;
        let own = (model == "claude-haiku-4-5").then_some(version);
        assert_eq!(head.header("anthropic-version"), own, "{model}");
    }
    assert_eq!(gateway.ask("claude-haiku-4-5", json!({ "temperature": 0.5 })).await.status(), 200);
    let sent = upstream.last();
    assert_eq!(sent.head.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(sent.json()["temperature"], 0.5);
}

#[tokio::test]
async fn key_is_accepted_in_both_headers_on_every_dialect() {
    let upstream = Upstream::start().await;
    upstream.numbered(polite);
    let gateway = setup(&upstream).client("app", KEY).start().await;
    let bearer = format!("Bearer {KEY}");
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    let bodies = [
        ("/v1/chat/completions", json!({ "model": "gpt-4o", "messages": messages })),
        ("/v1/responses", json!({ "model": "gpt-4o", "input": "Hi" })),
        (
            "/v1/messages",
            json!({ "model": "claude-haiku-4-5", "max_tokens": 5, "messages": messages }),
        ),
        (
            "/v1/messages/count_tokens",
            json!({ "model": "gpt-4o", "max_tokens": 5, "messages": messages }),
        ),
        ("/v1/completions", json!({ "model": "gpt-4o", "prompt": "Hi" })),
    ];
    for (path, body) in bodies {
        let body = body.to_string();
        for (header, expected) in [
            (("Authorization", &*bearer), 200),
            (("x-api-key", KEY), 200),
            (("x-api-key", "sk-wrong"), 401),
            (("x-unrelated", KEY), 401),
        ] {
            let reply = gateway.send(request("POST", path, &[header], body.as_bytes())).await;
            assert_eq!(reply.status(), expected, "{path} {header:?}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn sampling_and_budgets_reach_only_models_that_take_them() {
    let (upstream, gateway) = start().await;
    for (model, both) in [("gpt-4o", true), ("claude-opus-4-6", true), ("claude-sonnet-4-5", false)]
    {
        let besides = json!({ "temperature": 0.5, "top_p": 0.5, "max_tokens": 100 });
        assert_eq!(gateway.ask(model, besides).await.status(), 200);
        let sent = upstream.last().json();
        assert_eq!(
            sent.get("temperature").is_some() && sent.get("top_p").is_some(),
            both,
            "{model}"
        );
    }
    for model in ["claude-opus-4-6", "claude-opus-5-5", "claude-sonnet-5"] {
        let besides = json!({ "reasoning_effort": "high", "max_tokens": 9000 });
        assert_eq!(gateway.ask(model, besides).await.status(), 200);
        let text = upstream.last().text().to_owned();
        assert!(!text.contains("budget_tokens"), "{model}: {text}");
    }
}

#[tokio::test]
async fn models_are_listed_as_a_key_may_use_them() {
    let (upstream, local) = (Upstream::start().await, Upstream::start().await);
    upstream.numbered(polite);
    local.always(Script::json(200, json!({ "models": [{ "name": "own-model:8b" }] }).to_string()));
    let setup = setup(&upstream)
        .provider("lab", &upstream.url())
        .provider("ollama", &local.url())
        .client("all", "sk-all")
        .second_client("some", "sk-some", &[("models", "[\"gpt-*\", \"ollama/*\"]")])
        .set("aliases", "best", "claude-opus-5-5");
    let gateway = setup.start().await;
    let list = async |key: &str, headers: &[(&str, &str)]| {
        let bearer = format!("Bearer {key}");
        let headers: Vec<_> =
            headers.iter().copied().chain([("Authorization", &*bearer)]).collect();
        gateway.send(request("GET", "/v1/models?limit=1000", &headers, b"")).await.json()
    };
    let deadline = tokio::time::Instant::now() + gateway_tests::PATIENCE;
    let all = loop {
        let all = list("sk-all", &[]).await["data"].as_array().cloned().unwrap();
        if all.iter().any(|it| it["id"] == "ollama/own-model:8b") {
            break all;
        }
        assert!(tokio::time::Instant::now() < deadline, "the local model is not listed");
    };
    let find = |id: &str| all.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("{id}"));
    let newest = find("gpt-5.4");
    assert_eq!(
        (&newest["owned_by"], &newest["created"]),
        (&json!("openai"), &json!(1_772_668_800))
    );
    assert_eq!(newest["context_window"], 1_050_000);
    assert_eq!(newest["supported_reasoning_levels"][0]["effort"], "none");
    assert_eq!(find("best")["owned_by"], "anthropic");
    let some = list("sk-some", &[]).await["data"].as_array().cloned().unwrap();
    assert!(some.iter().any(|it| it["id"] == "gpt-5.4"));
    assert!(some.iter().any(|it| it["id"] == "ollama/own-model:8b"));
    let others = some.iter().find(|it| it["owned_by"] != "openai" && it["owned_by"] != "ollama");
    assert!(others.is_none(), "{others:?}");
    let version = [("anthropic-version", "2026-10-21")];
    let theirs = list("sk-all", &version).await;
    let opus = theirs["data"].as_array().unwrap().iter().find(|it| it["id"] == "claude-opus-4-5");
    let opus = opus.unwrap();
    assert_eq!(opus["display_name"], "Claude Opus 4.5");
    assert_ne!(opus["created_at"], "1970-01-01T00:00:00Z");
    // A pattern of the models of one provider does not admit those of another.
    let ask = async |model: &str| {
        let headers = [("Authorization", "Bearer sk-some")];
        let body = openai::ask(model, json!({}));
        gateway
            .send(request("POST", "/v1/chat/completions", &headers, body.as_bytes()))
            .await
            .status_and_code()
    };
    assert_eq!(ask("gpt-5.4").await, "200");
    assert_eq!(ask("openai/gpt-5.4").await, "200");
    assert_eq!(ask("lab/gpt-x").await, "403 model_not_allowed");
}
