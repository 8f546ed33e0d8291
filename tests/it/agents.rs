//! The contracts of coding agents with a gateway, line by line.

use gateway_tests::{Dialect, Gateway, Reply, Script, Setup, Speech, Upstream, openai, request};
use serde_json::{Value, json};

/// A gateway before an upstream that speaks `dialect`.
async fn start(dialect: Dialect) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let kind = if dialect == Dialect::Messages { "anthropic" } else { "openai_compatible" };
    let setup = Setup::before(&upstream).set("providers.lab", "kind", kind);
    (upstream, setup.start().await)
}

/// What Claude Code 2.1 sends.
fn claude_code() -> Value {
    json!({
        "model": "lab/claude-opus-5-5", "max_tokens": 32000, "stream": false,
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332" },
            { "type": "text", "text": "You are Claude Code.", "cache_control": { "type": "ephemeral", "ttl": "1h" } },
        ],
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "hi", "cache_control": { "type": "ephemeral" } }] },
            { "role": "system", "content": "later instructions" },
            { "role": "user", "content": "go" },
        ],
        "tools": [{ "name": "Bash", "input_schema": { "type": "object" }, "strict": true, "defer_loading": true }],
        "thinking": { "type": "adaptive" }, "output_config": { "effort": "high" },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015" }] },
        "metadata": { "user_id": "u" }, "invented_2027": { "a": [1.0, 1e2] },
    })
}

async fn ask(gateway: &Gateway, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut all = vec![("Content-Type", "application/json"), ("Authorization", "Bearer any")];
    all.extend(headers);
    let ask = request("POST", "/v1/messages?beta=true", &all, body.to_string().as_bytes());
    gateway.send(ask).await
}

#[tokio::test]
async fn claude_code_request_reaches_anthropic_to_the_byte() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    upstream.next(Dialect::Messages.says(&Speech::text(&["ok"]), false));
    let headers = [
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "claude-code-20250219,invented-2027-01-01"),
        ("anthropic-beta", "mid-conversation-system-2026-04-07"),
        ("x-claude-code-session-id", "s-1"),
        ("X-Session-Id", "ses_4c0f1f0eaffeOPkDZ3hJb1mJ8D"),
    ];
    let reply = ask(&gateway, &headers, &claude_code()).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let sent = upstream.last();
    let expected = claude_code().to_string().replace("lab/claude-opus-5-5", "claude-opus-5-5");
    assert_eq!(sent.text(), expected, "the body is the client's own");
    assert_eq!(sent.head.header("anthropic-version"), Some("2026-10-21"));
    let betas = "claude-code-20250219,invented-2027-01-01,mid-conversation-system-2026-04-07";
    assert_eq!(sent.head.header("anthropic-beta"), Some(betas));
}

#[tokio::test]
async fn claude_code_reads_the_provider_s_own_words_in_a_refusal() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    for (status, message) in [
        (400, "messages.1.content.0: Invalid `signature` in `thinking` block"),
        (400, "role 'system' is not supported on this model"),
        (
            400,
            "tools.0: Input tag 'advisor_20260301' found using 'type' does not match any of the expected tags",
        ),
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),
        (413, "Request exceeds the maximum size"),
    ] {
        let error = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } });
        upstream.next(Script::json(status, error.to_string()));
        let reply = ask(&gateway, &[], &claude_code()).await;
        assert_eq!((reply.status(), &reply.json()["error"]["message"]), (status, &json!(message)));
        assert_eq!(reply.json()["type"], "error");
    }
}

#[tokio::test]
async fn claude_code_probes_and_discovers() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    let head = gateway.send(request("GET", "/", &[], b"")).await;
    assert_eq!(head.status(), 200);
    let headers = [
        ("anthropic-version", "2023-06-01"),
        ("x-api-key", "any"),
        ("Authorization", "Bearer any"),
    ];
    let list = gateway.send(request("GET", "/v1/models?limit=1000", &headers, b"")).await;
    assert_eq!(list.status(), 200, "{}", list.text());
    let models = list.json()["data"].clone();
    assert!(
        models
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["id"].is_string() && it["display_name"].is_string())
    );
    upstream.next(Script::json(200, r#"{"input_tokens":5}"#));
    let count = json!({ "model": "lab/claude-opus-5-5", "messages": [{ "role": "user", "content": "hi" }] });
    let headers = [("Content-Type", "application/json")];
    let counted = gateway
        .send(request(
            "POST",
            "/v1/messages/count_tokens?beta=true",
            &headers,
            count.to_string().as_bytes(),
        ))
        .await;
    assert_eq!(counted.status(), 200, "{}", counted.text());
}

#[tokio::test]
async fn claude_code_is_served_by_another_provider_with_its_instructions_in_order() {
    let (upstream, gateway) = start(Dialect::Chat).await;
    let reply = ask(&gateway, &[], &claude_code()).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let sent = upstream.last().json();
    let roles: Vec<_> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "system", "user"]);
    let dropped = reply.header("x-gateway-dropped");
    for name in ["context_management", "invented_2027", "tools.defer_loading", "cache_control"] {
        assert!(dropped.contains(name), "{name}: {dropped}");
    }
}

#[tokio::test]
async fn first_message_comes_first_where_it_is_asked_for() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).set("providers.lab", "kind", "anthropic").start().await;
    for stream in [false, true] {
        for (compat, expected) in [("first-message", "message"), ("other", "reasoning")] {
            let speech = Speech { thought: "Hm.", ..Speech::text(&["Hi."]) };
            upstream.next(Dialect::Messages.says(&speech, stream));
            let body = json!({ "model": "lab/m", "input": "x", "stream": stream });
            let headers = [("Content-Type", "application/json"), ("x-gateway-compat", compat)];
            let reply = gateway
                .send(request("POST", "/v1/responses/", &headers, body.to_string().as_bytes()))
                .await;
            assert_eq!(reply.status(), 200, "{}", reply.text());
            let response = if stream {
                let last: Value = reply
                    .events()
                    .iter()
                    .rev()
                    .find_map(|it| serde_json::from_str(it).ok())
                    .unwrap();
                last["response"].clone()
            } else {
                reply.json()
            };
            assert_eq!(response["output"][0]["type"], expected, "{response}");
            assert_eq!(response["output"].as_array().unwrap().len(), 2);
        }
    }
}

#[tokio::test]
async fn first_message_comes_first_for_a_client_that_is_configured_so() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream)
        .set("providers.lab", "kind", "anthropic")
        .client("reader", "gw-key-of-reader-000000000000000")
        .write("[clients]", "compat", "[\"first-message\"]")
        .client("other", "gw-key-of-other-0000000000000000")
        .start()
        .await;
    for (key, expected) in [
        ("gw-key-of-reader-000000000000000", "message"),
        ("gw-key-of-other-0000000000000000", "reasoning"),
    ] {
        let speech = Speech { thought: "Hm.", ..Speech::text(&["Hi."]) };
        upstream.next(Dialect::Messages.says(&speech, false));
        let body = json!({ "model": "lab/m", "input": "x" }).to_string();
        let headers = [("Content-Type", "application/json"), ("x-api-key", key)];
        let reply = gateway.send(request("POST", "/v1/responses", &headers, body.as_bytes())).await;
        assert_eq!(reply.json()["output"][0]["type"], expected, "{}", reply.text());
    }
}

#[tokio::test]
async fn replies_at_messages_have_the_request_id_of_its_api() {
    let (_upstream, gateway) = start(Dialect::Messages).await;
    let headers = [("Content-Type", "application/json"), ("x-request-id", "request-0123")];
    for (path, expected) in [
        ("/v1/messages", "request-0123"),
        ("/v1/messages/count_tokens", "request-0123"),
        ("/v1/chat/completions", ""),
    ] {
        // An error has the id too.
        let reply = gateway.send(request("POST", path, &headers, b"{}")).await;
        assert_eq!(reply.header("request-id"), expected, "{path}: {}", reply.text());
        assert_eq!(reply.header("x-request-id"), "request-0123");
    }
}

#[tokio::test]
async fn foreign_session_names_pass_and_paths_may_end_with_a_slash() {
    let (upstream, gateway) = start(Dialect::Chat).await;
    let headers =
        [("Content-Type", "application/json"), ("x-session-id", "ses_4c0f1f0eaffeOPkDZ3hJb1mJ8D")];
    let ask = openai::ask("lab/m", json!({}));
    let reply =
        gateway.send(request("POST", "/v1/chat/completions/", &headers, ask.as_bytes())).await;
    assert_eq!((reply.status(), upstream.exchanges().len()), (200, 1), "{}", reply.text());
    let session = gateway.send(request("POST", "/v1/sessions", &headers[..1], b"{}")).await.json();
    let id = session["session_id"].as_str().unwrap();
    let body = br#"{"name":"echo","arguments":{"message":"hi"}}"#;
    let headers = [("Content-Type", "application/json"), ("x-session-id", id)];
    assert_eq!(
        gateway.send(request("POST", "/v1/tools/execute/", &headers, body)).await.status(),
        200
    );
    let headers = [("Content-Type", "application/json"), ("x-gateway-session", "unknown")];
    assert_eq!(
        gateway.send(request("POST", "/v1/tools/execute", &headers, body)).await.status(),
        404
    );
}
