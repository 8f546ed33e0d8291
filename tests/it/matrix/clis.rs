//! Requests of current command-line clients, to every dialect of providers. They must not be
//! rejected: unsupported parameters are dropped and reported.

use super::{caller::CallerDialect, hearing, model, start};
use gateway_tests::{Dialect, Exchange, Reply, Script, ScriptedAnswer, request};
use serde_json::{Value, json};

/// A client: how it calls, and the first turn of a conversation.
struct CodingAgent {
    caller: CallerDialect,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
}

/// A coding agent that speaks Responses: instructions of two developers, tools of three types, and
/// nothing that is to be stored.
fn codex() -> CodingAgent {
    let text = |role: &str, text: &str| {
        let content = json!([{ "type": "input_text", "text": text }]);
        json!({ "type": "message", "role": role, "content": content })
    };
    let shell = json!({ "type": "array", "items": { "type": "string" } });
    let parameters = json!({
        "type": "object", "properties": { "command": shell }, "required": ["command"],
        "additionalProperties": false,
    });
    let function = |name: &str| {
        json!({
            "type": "function", "name": name, "description": "does it", "strict": false,
            "parameters": parameters,
        })
    };
    let body = json!({
        "stream": true,
        "store": false,
        "instructions": "You are a coding agent.",
        "input": [
            text("developer", "Sandbox: read only."), text("developer", "Be brief."),
            text("user", "# Files of the project"), text("user", "List the files."),
        ],
        "tools": [
            function("shell"),
            { "type": "namespace", "name": "notes", "description": "notes",
              "tools": [function("notes_read")] },
            { "type": "web_search", "external_web_access": false },
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": false,
        "reasoning": { "effort": "medium", "summary": "auto" },
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199a213-0000-7000-8000-000000000001",
        "client_metadata": { "session": "0199a213" },
        "text": { "verbosity": "low" },
    });
    let headers =
        &[("Authorization", "Bearer any"), ("Session_id", "0199a213"), ("Originator", "cli")];
    CodingAgent { caller: CallerDialect::Responses, path: "/v1/responses", headers, body }
}

/// A coding agent that speaks Messages: beta features, a system message in the middle of the
/// conversation, thinking as the model sees fit, and a context that is edited on the way.
fn claude_code() -> CodingAgent {
    let cached = json!({ "type": "ephemeral" });
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
        "properties": { "command": { "type": "string" }, "timeout": { "type": "number" } },
        "required": ["command"], "additionalProperties": false,
    });
    let tool = |name: &str| json!({ "name": name, "description": "runs", "input_schema": schema });
    let body = json!({
        "stream": true,
        "max_tokens": 32000,
        "system": [
            { "type": "text", "text": "You are a coding agent." },
            { "type": "text", "text": "Project: gateway.", "cache_control": cached },
        ],
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "Context first." }] },
            { "role": "system", "content": "Only reading is allowed from here on." },
            { "role": "user", "content": [
                { "type": "text", "text": "List the files.", "cache_control": cached },
            ] },
        ],
        "tools": [tool("shell"), tool("Read"), { "type": "web_search_20250305", "name": "web_search" }],
        "thinking": { "type": "adaptive" },
        "output_config": { "effort": "high" },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "metadata": { "user_id": "{\"device_id\":\"0\",\"session_id\":\"1\"}" },
    });
    let headers = &[
        ("Authorization", "Bearer any"),
        ("anthropic-version", "2023-06-01"),
        (
            "anthropic-beta",
            "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,mid-conversation-system-2026-04-07",
        ),
        ("x-app", "cli"),
    ];
    CodingAgent { caller: CallerDialect::Messages, path: "/v1/messages?beta=true", headers, body }
}

impl CodingAgent {
    /// The turn after `command` was run.
    fn after_its_command(mut self) -> Self {
        let command = json!({ "command": ["ls"] });
        match self.caller {
            CallerDialect::Messages => {
                let call = json!({
                    "type": "tool_use", "id": "toolu_1", "name": "shell",
                    "input": { "command": "ls" },
                });
                let result = json!({
                    "type": "tool_result", "tool_use_id": "toolu_1", "content": "README.md",
                    "is_error": false,
                });
                let messages = self.body["messages"].as_array_mut().unwrap();
                messages.push(json!({ "role": "assistant", "content": [call] }));
                messages.push(json!({ "role": "user", "content": [result] }));
            }
            CallerDialect::Responses | CallerDialect::Chat => {
                let input = self.body["input"].as_array_mut().unwrap();
                input.push(json!({
                    "type": "function_call", "name": "shell", "arguments": command.to_string(),
                    "call_id": "call_1", "status": "completed",
                }));
                input.push(json!({
                    "type": "function_call_output", "call_id": "call_1", "output": "README.md",
                }));
            }
        }
        self
    }
}

/// Sends both turns of `client` to every provider: the first ends with a tool call, the second with
/// text. Returns the requests of each provider, and the replies to the client.
async fn check(client: fn() -> CodingAgent) -> Vec<(Dialect, Exchange, Reply)> {
    let (upstream, gateway) = start().await;
    let mut seen = Vec::new();
    for dialect in Dialect::ALL {
        let call = ScriptedAnswer::calls(&[("shell", json!({ "command": "ls" }))]);
        let text = ScriptedAnswer { thought: "Well.", ..ScriptedAnswer::text(&["REA", "DME.md"]) };
        for (client, speech, heard) in [
            (client(), call, r#"shell {"command":"ls"} [tool_calls]"#),
            (client().after_its_command(), text, "(Well.) README.md [stop]"),
        ] {
            upstream.next(dialect.says(&speech, true));
            let mut body = client.body;
            body["model"] = model(dialect).into();
            let headers = [&[("Content-Type", "application/json")], client.headers].concat();
            let bytes = body.to_string();
            let reply =
                gateway.send(request("POST", client.path, &headers, bytes.as_bytes())).await;
            let dialect_name = dialect.name();
            assert_eq!(
                hearing::heard(client.caller, &reply),
                heard,
                "{dialect_name}: {}",
                reply.text()
            );
            let sent = upstream.last();
            for needle in ["You are a coding agent.", "List the files.", "shell"] {
                assert!(
                    sent.text().contains(needle),
                    "{dialect_name}: {needle} in {}",
                    sent.text()
                );
            }
            seen.push((dialect, sent, reply));
        }
    }
    seen
}

#[tokio::test]
async fn responses_coding_agent_is_served_by_every_provider() {
    for (dialect, sent, reply) in check(codex).await {
        let dropped = reply.header("x-gateway-dropped");
        if dialect == Dialect::Responses {
            assert_eq!(dropped, "");
            let body = sent.json();
            assert_eq!(body["tools"][1]["type"], "namespace", "its own dialect has them all");
            assert_eq!(body["client_metadata"]["session"], "0199a213");
            continue;
        }
        for tool in ["tools.namespace", "tools.web_search"] {
            assert!(dropped.contains(tool), "{}: {dropped}", dialect.name());
        }
        assert!(!sent.text().contains("notes_read"), "{}", sent.text());
    }
}

#[tokio::test]
async fn messages_coding_agent_is_served_by_every_provider() {
    for (dialect, sent, reply) in check(claude_code).await {
        let dropped = reply.header("x-gateway-dropped");
        assert!(sent.text().contains("Only reading is allowed from here on."), "{}", sent.text());
        if dialect == Dialect::Messages {
            assert_eq!(dropped, "");
            let beta = sent.head.header("anthropic-beta").unwrap();
            assert!(beta.contains("mid-conversation-system-2026-04-07"), "{beta}");
            let body = sent.json();
            assert_eq!(body["messages"][1]["role"], "system");
            assert_eq!(body["thinking"], json!({ "type": "adaptive" }));
            assert!(body["context_management"]["edits"].is_array());
            continue;
        }
        for left in ["tools.web_search", "context_management"] {
            assert!(dropped.contains(left), "{}: {dropped}", dialect.name());
        }
        assert!(!sent.text().contains("web_search"), "{}", sent.text());
    }
}

#[tokio::test]
async fn forced_tool_that_upstream_lacks_is_rejected() {
    let (upstream, gateway) = start().await;
    for (client, choice) in [
        (codex(), json!({ "type": "web_search" })),
        (claude_code(), json!({ "type": "tool", "name": "web_search" })),
    ] {
        let mut body = client.body;
        body["model"] = json!("lab-gemini/m");
        body["tool_choice"] = choice;
        let headers = [&[("Content-Type", "application/json")], client.headers].concat();
        let ask = request("POST", client.path, &headers, body.to_string().as_bytes());
        let reply = gateway.send(ask).await;
        assert_eq!(reply.status(), 400, "{}", reply.text());
        assert!(reply.text().contains("web_search"), "{}", reply.text());
        body["tool_choice"] = json!({ "type": "auto" });
        let strict = [&headers[..], &[("x-gateway-strict", "true")]].concat();
        let ask = request("POST", client.path, &strict, body.to_string().as_bytes());
        assert_eq!(gateway.send(ask).await.status(), 400, "strict");
    }
    assert!(upstream.exchanges().is_empty());
}

#[tokio::test]
async fn tokens_are_counted_for_every_provider() {
    let (upstream, gateway) = start().await;
    for dialect in Dialect::ALL {
        let counted = match dialect {
            Dialect::Messages => Some(json!({ "input_tokens": 42 })),
            Dialect::Gemini => Some(json!({ "totalTokens": 42 })),
            Dialect::Chat | Dialect::Responses | Dialect::Ollama => None,
        };
        let before = upstream.exchanges().len();
        if let Some(counted) = &counted {
            upstream.next(Script::json(200, counted.to_string()));
        }
        let client = claude_code();
        let mut body = client.body;
        body["model"] = model(dialect).into();
        for name in ["stream", "max_tokens", "metadata"] {
            body.as_object_mut().unwrap().remove(name);
        }
        let headers = [&[("Content-Type", "application/json")], client.headers].concat();
        let path = "/v1/messages/count_tokens?beta=true";
        let reply =
            gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await;
        assert_eq!(reply.status(), 200, "{}: {}", dialect.name(), reply.text());
        let tokens = reply.json()["input_tokens"].as_u64().unwrap();
        let estimated = reply.header("x-gateway-estimated");
        if counted.is_some() {
            assert_eq!((tokens, estimated), (42, ""), "{}", dialect.name());
        } else {
            assert!((50..500).contains(&tokens) && estimated == "true", "{tokens}");
        }
        assert_eq!(upstream.exchanges().len() - before, usize::from(counted.is_some()));
    }
}
