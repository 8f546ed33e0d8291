//! Values of enumerations that the gateway does not know: one rule in every dialect.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

/// What Anthropic would answer.
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":3}}"#;

async fn start(upstream: &Upstream) -> Gateway {
    upstream.addressed(|path, _| {
        let is_message = path.ends_with("/messages");
        let answer = if is_message { MESSAGE.to_owned() } else { openai::whole("Hi.") };
        Script::json(200, answer)
    });
    let setup = Setup::before(upstream).provider("anthropic", &upstream.url());
    setup.set("providers.anthropic", "api_key", "sk-upstream").start().await
}

async fn ask(gateway: &Gateway, path: &str, mut body: Value, strict: bool) -> Reply {
    if path == "/v1/messages" {
        body["max_tokens"] = 50.into();
    }
    if path == "/v1/responses" {
        body["input"] = "Hi".into();
    } else {
        body["messages"] = json!([{ "role": "user", "content": "Hi" }]);
    }
    let headers = [("x-gateway-strict", if strict { "true" } else { "false" })];
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await
}

#[tokio::test]
async fn unknown_value_reaches_its_own_dialect_and_is_lost_or_refused_elsewhere() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let (chat, responses, messages) = ("/v1/chat/completions", "/v1/responses", "/v1/messages");
    let (lab, claude) = ("lab/own", "claude-opus-5-5");
    for (path, member, value, own, other, lost) in [
        (chat, "reasoning_effort", json!("ultra"), Some(lab), claude, "reasoning_effort"),
        (chat, "tool_choice", json!("sometimes"), Some(lab), claude, ""),
        (chat, "response_format", json!({ "type": "xml" }), Some(lab), claude, ""),
        (responses, "reasoning", json!({ "effort": "ultra" }), None, claude, "reasoning"),
        (responses, "tool_choice", json!("sometimes"), None, claude, ""),
        (responses, "text", json!({ "format": { "type": "xml" } }), None, claude, ""),
        (messages, "thinking", json!({ "type": "between" }), Some(claude), lab, "thinking"),
        (messages, "service_tier", json!("turbo"), Some(claude), lab, "service_tier"),
        (messages, "tool_choice", json!({ "type": "some" }), Some(claude), lab, ""),
    ] {
        if let Some(model) = own {
            let reply = ask(&gateway, path, json!({ "model": model, member: value }), true).await;
            assert_eq!(reply.status(), 200, "{path} {member}: {}", reply.text());
            assert_eq!(upstream.last().json()[member], value, "{path} {member}");
        }
        let calls = upstream.exchanges().len();
        let body = json!({ "model": other, member: value });
        let reply = ask(&gateway, path, body.clone(), false).await;
        if lost.is_empty() {
            assert_eq!(reply.status(), 400, "{path} {member}");
            let error = reply.json();
            let param = error["error"]["param"].as_str().unwrap_or(member);
            assert!(param.starts_with(member), "{path} {member}: {error}");
            assert!(reply.text().contains("only a provider of the same API"), "{}", reply.text());
            assert_eq!(upstream.exchanges().len(), calls, "nothing was sent");
            continue;
        }
        assert_eq!((reply.status(), reply.header("x-gateway-dropped")), (200, lost), "{path}");
        assert_eq!(ask(&gateway, path, body, true).await.status(), 400, "strict {path} {member}");
    }
}
