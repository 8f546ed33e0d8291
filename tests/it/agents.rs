//! The contracts of coding agents with a gateway, line by line.

use gateway_tests::{
    Dialect, Gateway, Reply, Script, ScriptedAnswer, Setup, Upstream, openai, request,
};
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
    upstream.next(Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), false));
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
async fn claude_code_reads_the_provider_s_own_code_of_a_refusal() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    let error = json!({ "type": "error", "error": {
        "type": "invalid_request_error", "message": "tool reference 'x' is not known",
        "details": { "error_code": "tool_reference_unresolved" },
    } });
    upstream.next(Script::json(400, error.to_string()));
    let reply = ask(&gateway, &[], &claude_code()).await;
    assert_eq!((reply.status(), &reply.json()["error"]), (400, &error["error"]));
}

#[tokio::test]
async fn claude_code_is_shown_what_is_left_of_its_plan() {
    let limits = [
        ("anthropic-ratelimit-unified-status", "allowed_warning"),
        ("anthropic-ratelimit-unified-reset", "1790000000"),
        ("Anthropic-Ratelimit-Unified-5h-Utilization", "0.91"),
    ];
    let others = [("anthropic-ratelimit-requests-limit", "50"), ("set-cookie", "a=b")];
    let body = |script: Script, status: u16| (script, status);
    for stream in [false, true] {
        let (upstream, gateway) = start(Dialect::Messages).await;
        let spoken = Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), stream);
        let refused =
            json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "wait" } });
        let answers = [
            body(with_headers(spoken, &[&limits[..], &others[..]].concat()), 200),
            body(
                Script::whole(
                    429,
                    &[
                        &limits[..],
                        &others[..],
                        &[
                            ("content-type", "application/json"),
                            ("retry-after", "7"),
                            ("x-should-retry", "false"),
                        ],
                    ]
                    .concat(),
                    refused.to_string(),
                ),
                429,
            ),
        ];
        for (script, status) in answers {
            upstream.next(script);
            let mut body = claude_code();
            body["stream"] = stream.into();
            let reply = ask(&gateway, &[], &body).await;
            assert_eq!(reply.status(), status, "{}", reply.text());
            for (name, value) in limits {
                assert_eq!(reply.header(&name.to_lowercase()), value, "{status} stream {stream}");
            }
            for (name, _) in others {
                assert_eq!(reply.header(name), "", "{name}");
            }
            if status == 429 {
                assert_eq!(
                    (reply.header("retry-after"), reply.header("x-should-retry")),
                    ("7", "false")
                );
            }
        }
    }
    // A caller of another dialect knows none of them.
    let (upstream, gateway) = start(Dialect::Messages).await;
    let spoken = Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), false);
    upstream.next(with_headers(spoken, &limits));
    let headers = [("Content-Type", "application/json")];
    let chat = openai::ask("lab/m", json!({}));
    let reply =
        gateway.send(request("POST", "/v1/chat/completions", &headers, chat.as_bytes())).await;
    assert_eq!((reply.status(), reply.header(limits[0].0)), (200, ""), "{}", reply.text());
}

/// The script with these fields in its head.
fn with_headers(script: Script, fields: &[(&str, &str)]) -> Script {
    let lines: Vec<_> =
        fields.iter().map(|(name, value)| [*name, ": ", *value, "\r\n"].concat()).collect();
    script.with_fields(&lines.concat())
}

#[tokio::test]
async fn claude_code_gets_pings_as_they_come() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    let begun = json!({ "type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 1 },
    } });
    let rest = [
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "ok" } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null }, "usage": { "output_tokens": 1 } }),
        json!({ "type": "message_stop" }),
    ];
    let named =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let mut sent = vec![named(&begun), "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned()];
    sent.extend(rest.iter().map(named));
    let script = sent.iter().fold(Script::streaming(), Script::chunk).end();
    upstream.next(script);
    let mut body = claude_code();
    body["stream"] = true.into();
    let reply = ask(&gateway, &[], &body).await;
    assert_eq!(reply.text(), sent.concat());
}

#[tokio::test]
async fn codex_reads_the_catalogue_in_its_form() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).model("small", "lab", "chat").start().await;
    let path = "/v1/models?client_version=0.171.0";
    let reply = gateway.get(path).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let models = reply.json()["models"].as_array().unwrap().clone();
    let small = models.iter().find(|it| it["slug"] == "small").expect("the configured model");
    // Codex takes nothing of the list if one of them is missing.
    for name in [
        "slug",
        "display_name",
        "description",
        "supported_reasoning_levels",
        "shell_type",
        "visibility",
        "supported_in_api",
        "priority",
        "upgrade",
        "base_instructions",
        "supports_reasoning_summaries",
        "support_verbosity",
        "default_verbosity",
        "apply_patch_tool_type",
        "truncation_policy",
        "supports_parallel_tool_calls",
        "context_window",
        "experimental_supported_tools",
        "input_modalities",
        "prefer_websockets",
    ] {
        assert!(small.get(name).is_some(), "{name} is missing in {small}");
    }
    assert!(models.iter().all(|it| !it["slug"].as_str().unwrap().starts_with("gpt-")));
    let tag = reply.header("etag").to_owned();
    let again = gateway.send(request("GET", path, &[("If-None-Match", &tag)], b"")).await;
    assert_eq!((again.status(), again.text()), (304, ""));
    let plain = gateway.get("/v1/models").await;
    assert_eq!(plain.json()["object"], "list");
}

#[tokio::test]
async fn codex_may_name_its_beta_and_compress_its_request() {
    let (upstream, gateway) = start(Dialect::Responses).await;
    let body = json!({ "model": "lab/m", "input": "hi", "store": false }).to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("OpenAI-Beta", "responses_websockets=2026-02-06"),
        ("session_id", "01a22e24-13da-78e1-a04a-b8a39453eb59"),
        ("originator", "codex_exec"),
    ];
    let reply = gateway.send(request("POST", "/v1/responses", &headers, body.as_bytes())).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(upstream.exchanges().len(), 1);
    // Bodies are not decompressed: Codex compresses them for its own service only.
    let compressed = [headers[0], ("Content-Encoding", "zstd")];
    let reply = gateway.send(request("POST", "/v1/responses", &compressed, b"(\xb5/\xfd")).await;
    assert_eq!(
        (reply.status(), &reply.json()["error"]["code"]),
        (415, &json!("unsupported_encoding")),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn claude_code_probes_and_discovers() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    for (path, status) in [("/", "200"), ("/api/hello", "404")] {
        let mut raw = gateway.connect().await;
        raw.send(request("HEAD", path, &[], b"")).await;
        assert_eq!(raw.try_head().await.expect("a head").word(1), status, "{path}");
    }
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
            let speech = ScriptedAnswer { thought: "Hm.", ..ScriptedAnswer::text(&["Hi."]) };
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
        let speech = ScriptedAnswer { thought: "Hm.", ..ScriptedAnswer::text(&["Hi."]) };
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
