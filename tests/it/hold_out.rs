//! Models that the catalogue has no row for, before an upstream that enforces their documented rules.
//!
//! The catalogue of these tests ends with GPT-5.2 and Claude 4.6; requests name models that are newer.

use gateway_tests::{Gateway, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};
use std::{env, fs, path::PathBuf, process};

const CATALOGUE: &str = include_str!("../../crates/gateway-catalogue/data/catalogue.txt");

/// What the names of deleted rows begin with.
const NEWER: [&str; 10] = [
    "openai/gpt-5.3",
    "openai/gpt-5.4",
    "openai/gpt-5.5",
    "openai/gpt-5.6",
    "openai/gpt-6",
    "anthropic/claude-opus-4-7",
    "anthropic/claude-opus-4-8",
    "anthropic/claude-fable",
    "anthropic/claude-mythos",
    "anthropic/claude-opus-latest",
];

const MODELS: [&str; 15] = [
    "gpt-5.4",
    "gpt-5.5",
    "gpt-5.6-sol",
    "gpt-6-astra",
    "gpt-6-luna",
    "gpt-6.1-terra",
    "gpt-6.2-sol",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5-1",
];

/// The catalogue without the rows of newer models.
fn older() -> PathBuf {
    let is_newer = |line: &str| {
        let name = line.split(' ').next().unwrap_or_default();
        let is_claude_5 = name.starts_with("anthropic/claude-")
            && name.contains("-5")
            && !name.contains("-3-5")
            && !name.contains("-4-5");
        is_claude_5 || NEWER.iter().any(|start| name.starts_with(start))
    };
    let mut text = String::new();
    let mut is_kept = true;
    for line in CATALOGUE.lines() {
        if !line.starts_with('\t') {
            is_kept = !is_newer(line) && !line.contains(" =claude-") && !line.contains(" =gpt-");
        }
        if is_kept {
            text += line;
            text.push('\n');
        }
    }
    let file = env::temp_dir().join(format!("older-catalogue-{}.txt", process::id()));
    fs::write(&file, text).expect("a temporary file");
    file
}

/// Why the documented rules of its model refuse a request; nothing if they do not.
fn refusal(body: &Value) -> Option<&'static str> {
    let model = body["model"].as_str().unwrap_or_default();
    if model.starts_with("claude") { claude_refusal(model, body) } else { gpt_refusal(model, body) }
}

fn claude_refusal(model: &str, body: &Value) -> Option<&'static str> {
    let is_set = |name: &str| !body[name].is_null();
    let differs = |name: &str| is_set(name) && body[name].as_f64() != Some(1.0);
    let is_always_on = ["opus-5-5", "sonnet-5-5", "fable-5-1"].iter().any(|it| model.ends_with(it));
    let thinking = body["thinking"]["type"].as_str();
    let is_forced = matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool"));
    let last = body["messages"].as_array().and_then(|it| it.last());
    if differs("temperature") || differs("top_p") || is_set("top_k") {
        return Some("temperature, top_p and top_k are not supported");
    }
    if thinking == Some("enabled") || is_always_on && thinking == Some("disabled") {
        return Some("the type of thinking is not supported");
    }
    if is_forced && is_always_on
        || is_forced && model.ends_with("4-7") && thinking == Some("adaptive")
    {
        return Some("tool_choice forces tool use");
    }
    (last.is_some_and(|it| it["role"] == "assistant")).then_some("prefill is not supported")
}

fn gpt_refusal(model: &str, body: &Value) -> Option<&'static str> {
    let is_chat = body.get("messages").is_some();
    let is_set = |name: &str| !body[name].is_null();
    let effort = if is_chat { &body["reasoning_effort"] } else { &body["reasoning"]["effort"] };
    let always = ["gpt-6-astra", "gpt-6.2-sol"].contains(&model);
    if effort == "minimal" || always && effort == "none" {
        return Some("unsupported_value: reasoning.effort");
    }
    let default_is_none = model == "gpt-5.4";
    let reasons = match effort.as_str() {
        None => !default_is_none,
        Some(effort) => effort != "none",
    };
    if reasons && (is_set("temperature") || is_set("top_p")) {
        return Some("temperature is not supported while reasoning");
    }
    if is_set("presence_penalty") || is_chat && (is_set("max_tokens") || is_set("stop")) {
        return Some("unsupported parameter");
    }
    let has_tools = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    (is_chat && has_tools && effort != "none").then_some("use /v1/responses")
}

/// Refuses what is documented to be refused, and answers everything else.
fn strict(_: usize, body: &[u8]) -> Script {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(message) = refusal(&body) {
        let error = json!({ "message": message, "type": "invalid_request_error" });
        return Script::json(400, json!({ "type": "error", "error": error }).to_string());
    }
    let model = body["model"].as_str().unwrap_or_default();
    Script::json(
        200,
        if model.starts_with("claude") {
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":3}}"#.to_owned()
        } else if body.get("input").is_some() {
            r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"g","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi.","annotations":[]}]}],"usage":{"input_tokens":7,"output_tokens":3,"total_tokens":10}}"#.to_owned()
        } else {
            openai::whole("Hi.")
        },
    )
}

/// Requests for `model` in each dialect, each with another wish.
fn requests(model: &str) -> Vec<(&'static str, Value)> {
    let is_claude = model.starts_with("claude");
    let function = json!({ "name": "f", "parameters": { "type": "object" } });
    let tools = json!([{ "type": "function", "function": function }]);
    let own_tools =
        json!([{ "type": "function", "name": "f", "parameters": { "type": "object" } }]);
    let their_tools = json!([{ "name": "f", "input_schema": { "type": "object" } }]);
    let mut requests = Vec::new();
    let chat =
        |besides: Value| -> Value { serde_json::from_str(&openai::ask(model, besides)).unwrap() };
    for effort in ["none", "minimal", "low", "high", "xhigh", "max"] {
        // In the provider's own dialect, an effort is passed on as it is.
        if is_claude {
            requests.push((
                "/v1/chat/completions",
                chat(json!({ "reasoning_effort": effort, "max_tokens": 900 })),
            ));
            requests.push((
                "/v1/responses",
                json!({ "model": model, "input": "Hi", "reasoning": { "effort": effort } }),
            ));
        }
    }
    if is_claude {
        let forced = json!({ "tools": tools, "tool_choice": "required", "temperature": 0.2, "reasoning_effort": "high" });
        requests.push(("/v1/chat/completions", chat(forced)));
        let prefill = json!({ "messages": [{ "role": "user", "content": "Hi" }, { "role": "assistant", "content": "{" }] });
        requests.push(("/v1/chat/completions", chat(prefill)));
        requests.push((
            "/v1/responses",
            json!({ "model": model, "input": "Hi", "temperature": 0.2, "top_p": 0.5 }),
        ));
    } else {
        for budget in [1024, 9000] {
            let thinking = json!({ "type": "enabled", "budget_tokens": budget });
            let body = json!({ "model": model, "max_tokens": 10_000, "thinking": thinking,
                "messages": [{ "role": "user", "content": "Hi" }] });
            requests.push(("/v1/messages", body));
        }
        let hot = json!({ "model": model, "max_tokens": 50, "temperature": 0.3, "tools": their_tools,
            "messages": [{ "role": "user", "content": "Hi" }] });
        requests.push(("/v1/messages", hot));
        requests
            .push(("/v1/responses", json!({ "model": model, "input": "Hi", "tools": own_tools })));
        requests.push(("/v1/chat/completions", chat(json!({ "tools": tools }))));
        requests.push((
            "/v1/chat/completions",
            chat(json!({ "tools": tools, "reasoning_effort": "high" })),
        ));
    }
    requests.push((
        "/v1/responses",
        json!({ "model": model, "input": "Hi", "max_output_tokens": 900, "reasoning": { "effort": "medium" } }),
    ));
    let own = json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "Hi" }] });
    requests.push(("/v1/messages", own.clone()));
    let mut warm = own;
    warm["temperature"] = json!(0.7);
    requests.push(("/v1/messages", warm));
    requests
}

async fn start(upstream: &Upstream, file: &str) -> Gateway {
    let setup = ["openai", "anthropic"].into_iter().fold(Setup::new(), |setup, name| {
        let section = format!("providers.{name}");
        setup.provider(name, &upstream.url()).set(&section, "api_key", "sk-upstream")
    });
    setup.set("catalogue", "file", file).start().await
}

#[tokio::test]
async fn models_without_a_row_are_asked_by_the_rules_of_their_family() {
    let upstream = Upstream::start().await;
    upstream.numbered(strict);
    let file = older();
    let gateway = start(&upstream, &file.to_string_lossy()).await;
    let (mut asked, mut refused) = (0, Vec::new());
    for model in MODELS {
        for (path, body) in requests(model) {
            let headers = [("anthropic-version", "2023-06-01")];
            let body = body.to_string();
            let reply = gateway.send(request("POST", path, &headers, body.as_bytes())).await;
            asked += 1;
            if reply.status() != 200 {
                refused.push(format!("{model} {path} {body}: {}", reply.text()));
            }
            assert!(
                !reply.header("x-gateway-assumed").is_empty() || reply.status() != 200,
                "{model}"
            );
        }
    }
    fs::remove_file(file).unwrap();
    assert!(refused.is_empty(), "{} of {asked}:\n{}", refused.len(), refused.join("\n"));
    assert!(asked >= 200, "{asked}");
    let wasted = upstream.exchanges().len() - asked;
    assert_eq!(wasted, 0, "calls were repeated");
}
