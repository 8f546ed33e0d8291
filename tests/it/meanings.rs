//! Members of a request that change its meaning: carried, adapted and named, or refused; never lost
//! under a status of success.

use gateway_tests::{Dialect, Gateway, Reply, Script, ScriptedAnswer, Setup, Upstream, request};
use serde_json::{Value, json};

struct Bench {
    upstream: Upstream,
    gateway: Gateway,
}

impl Bench {
    /// A provider for each dialect, called by its name, all at one upstream.
    async fn start() -> Self {
        let upstream = Upstream::start().await;
        let mut setup = Setup::new();
        for dialect in Dialect::ALL {
            let name = dialect.name();
            setup = setup.provider(name, &upstream.url()).speaking(name, dialect);
        }
        let chat = format!("providers.{}", Dialect::Chat.name());
        let setup = setup.set(&chat, "quirks", "openai");
        Self { upstream, gateway: setup.start().await }
    }

    async fn post(
        &self,
        dialect: Dialect,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        self.upstream.next(dialect.says(&ScriptedAnswer::text(&["ok"]), false));
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        let reply =
            self.gateway.send(request("POST", path, &all, body.to_string().as_bytes())).await;
        if reply.status() != 200 {
            // The script was not used.
            self.upstream.always(Script::json(500, "{}"));
        }
        reply
    }

    /// Asks the model `m` of the provider of `dialect` in Messages.
    async fn messages(&self, dialect: Dialect, members: Value) -> Reply {
        let mut body = json!({
            "model": format!("{}/m", dialect.name()), "max_tokens": 9,
            "messages": [{ "role": "user", "content": "hi" }],
        });
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post(dialect, "/v1/messages", &[], &body).await
    }
}

#[tokio::test]
async fn members_of_a_provider_are_carried_to_it_and_refused_elsewhere() {
    let members = json!({
        "mcp_servers": [{ "type": "url", "name": "a", "url": "https://a" }],
        "container": "c1", "inference_geo": "us", "compaction": { "type": "summarize" },
    });
    for (name, value) in members.as_object().unwrap() {
        for dialect in Dialect::ALL {
            let bench = Bench::start().await;
            let reply = bench.messages(dialect, json!({ name: value })).await;
            if dialect == Dialect::Messages {
                assert_eq!(reply.status(), 200, "{}", reply.text());
                assert_eq!(bench.upstream.last().json()[name], *value);
            } else {
                assert_eq!(reply.status(), 400, "{name} to {}: {}", dialect.name(), reply.text());
                assert!(reply.text().contains(name), "{}", reply.text());
                assert!(bench.upstream.exchanges().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn deferred_tools_are_all_sent_and_the_deferral_is_named() {
    let tools = json!([
        { "type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex" },
        { "name": "look", "input_schema": { "type": "object" }, "defer_loading": true },
    ]);
    for dialect in Dialect::ALL {
        let bench = Bench::start().await;
        let reply = bench.messages(dialect, json!({ "tools": tools })).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let sent = bench.upstream.last();
        assert!(sent.text().contains("look"));
        let dropped = reply.header("x-gateway-dropped");
        if dialect == Dialect::Messages {
            assert_eq!((dropped, &sent.json()["tools"]), ("", &tools));
        } else {
            assert!(dropped.contains("tools.defer_loading"), "{}: {dropped}", dialect.name());
            assert!(dropped.contains("tools.tool_search"), "{}: {dropped}", dialect.name());
        }
    }
}

#[tokio::test]
async fn tools_that_the_caller_runs_are_functions_elsewhere() {
    let tools = json!([
        { "type": "memory_20250818", "name": "memory" },
        { "type": "bash_20250124", "name": "bash" },
        { "type": "text_editor_20250728", "name": "str_replace_based_edit_tool" },
    ]);
    for dialect in Dialect::ALL {
        let bench = Bench::start().await;
        let body = json!({
            "model": format!("{}/m", dialect.name()), "max_tokens": 9, "tools": tools,
            "messages": [{ "role": "user", "content": "hi" }],
        });
        let called =
            ScriptedAnswer::calls(&[("memory", json!({ "command": "view", "path": "/memories" }))]);
        bench.upstream.next(dialect.says(&called, false));
        let headers = [("Content-Type", "application/json"), ("x-gateway-strict", "true")];
        let sent = request("POST", "/v1/messages", &headers, body.to_string().as_bytes());
        let reply = bench.gateway.send(sent).await;
        assert_eq!(
            (reply.status(), reply.header("x-gateway-dropped")),
            (200, ""),
            "{}",
            reply.text()
        );
        let call = &reply.json()["content"][0];
        assert_eq!((&call["name"], &call["input"]["command"]), (&json!("memory"), &json!("view")));
        let sent = bench.upstream.last();
        if dialect == Dialect::Messages {
            assert_eq!(sent.json()["tools"], tools);
        } else {
            for part in ["memory", "bash", "str_replace_based_edit_tool", "old_path", "restart"] {
                assert!(sent.text().contains(part), "{part}, {}: {}", dialect.name(), sent.text());
            }
        }
    }
}

#[tokio::test]
async fn cache_marks_that_are_not_sent_are_named() {
    let part = |at: usize| json!({ "type": "text", "text": format!("p{at}"), "cache_control": { "type": "ephemeral" } });
    let chat = json!({
        "model": "messages/m",
        "messages": [{ "role": "user", "content": (0..6).map(part).collect::<Vec<_>>() }],
    });
    let bench = Bench::start().await;
    let reply = bench.post(Dialect::Messages, "/v1/chat/completions", &[], &chat).await;
    assert_eq!((reply.status(), reply.header("x-gateway-dropped")), (200, "cache_control"));
    assert_eq!(bench.upstream.last().text().matches("cache_control").count(), 4);
    for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Gemini, Dialect::Ollama] {
        let bench = Bench::start().await;
        let content = json!([{ "role": "user", "content": [part(0)] }]);
        let reply = bench.messages(dialect, json!({ "messages": content })).await;
        assert_eq!(reply.header("x-gateway-dropped"), "cache_control", "{}", dialect.name());
    }
}

#[tokio::test]
async fn unknown_part_of_the_user_is_refused_where_it_cannot_be_sent() {
    let part = json!({ "type": "video_2027", "video": "x" });
    for dialect in Dialect::ALL {
        let bench = Bench::start().await;
        let content = json!([{ "role": "user", "content": [part] }]);
        let reply = bench.messages(dialect, json!({ "messages": content })).await;
        if dialect == Dialect::Messages {
            assert_eq!(reply.status(), 200);
        } else {
            assert_eq!(reply.status(), 400, "{}: {}", dialect.name(), reply.text());
            assert!(reply.text().contains("video_2027"), "{}", reply.text());
        }
    }
}

#[tokio::test]
async fn later_system_message_is_kept_or_reported() {
    let chat = |model: &str| {
        json!({ "model": model, "messages": [
            { "role": "system", "content": "first" }, { "role": "user", "content": "hi" },
            { "role": "assistant", "content": "yes" }, { "role": "system", "content": "later" },
            { "role": "user", "content": "go" },
        ] })
    };
    let path = "/v1/chat/completions";
    let bench = Bench::start().await;
    for model in ["claude-opus-4-8", "claude-sonnet-5-5", "claude-opus-6"] {
        let body = chat(&format!("messages/{model}"));
        let reply =
            bench.post(Dialect::Messages, path, &[("x-gateway-strict", "true")], &body).await;
        assert_eq!(
            (reply.status(), reply.header("x-gateway-dropped")),
            (200, ""),
            "{}",
            reply.text()
        );
        let sent = bench.upstream.last().json();
        assert_eq!(
            (&sent["system"], &sent["messages"][2]),
            (&json!("first"), &json!({ "role": "system", "content": "later" }))
        );
    }
    for (dialect, model) in
        [(Dialect::Messages, "claude-sonnet-4-5-20250929"), (Dialect::Gemini, "gemini-3-pro")]
    {
        let body = chat(&format!("{}/{model}", dialect.name()));
        let reply = bench.post(dialect, path, &[], &body).await;
        assert_eq!(
            (reply.status(), reply.header("x-gateway-dropped")),
            (200, "system_turns"),
            "{}",
            reply.text()
        );
        let sent = bench.upstream.last().json();
        let system =
            if dialect == Dialect::Messages { &sent["system"] } else { &sent["systemInstruction"] };
        assert!(system.to_string().contains("later"), "{sent}");
        let turns =
            if dialect == Dialect::Messages { &sent["messages"] } else { &sent["contents"] };
        assert!(!turns.to_string().contains("later"), "{sent}");
    }
    let strict = Bench::start().await;
    let body = chat("messages/claude-sonnet-4-5");
    let reply = strict.post(Dialect::Messages, path, &[("x-gateway-strict", "true")], &body).await;
    assert_eq!(reply.status(), 400);
}

#[tokio::test]
async fn members_without_a_place_are_named() {
    let bench = Bench::start().await;
    let body = json!({ "model": "gemini/m", "max_tokens": 9, "messages": [{
        "role": "user", "future": 1,
        "content": [{ "type": "text", "text": "hi", "invented": { "a": 1 } }],
    }], "thinking": { "type": "disabled", "newer": true } });
    let reply = bench.post(Dialect::Gemini, "/v1/messages", &[], &body).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let dropped = reply.header("x-gateway-dropped");
    for name in ["messages.future", "messages.content.invented", "thinking.newer"] {
        assert!(dropped.contains(name), "{dropped}");
    }
}
