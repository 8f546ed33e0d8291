//! Stored conversations.

use gateway_tests::{
    ExchangeEnd, Gateway, PATIENCE, Reply, Script, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    (upstream, gateway)
}

/// `METHOD path` with this body, and headers besides.
async fn call(gateway: &Gateway, line: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let (method, path) = line.split_once(' ').unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    gateway.send(request(method, path, headers, body.as_bytes())).await
}

async fn create(gateway: &Gateway) -> String {
    let created = call(gateway, "POST /v1/sessions", &[], &Value::Null).await;
    assert_eq!(created.status(), 201, "{}", created.text());
    created.json()["id"].as_str().unwrap().to_owned()
}

async fn say(gateway: &Gateway, id: &str, text: &str) -> Reply {
    let messages = json!([{ "role": "user", "content": text }]);
    gateway.ask("lab/m", json!({ "session_id": id, "messages": messages })).await
}

/// Returns the texts that the session `id` has, with `~` before an incomplete one.
async fn stored_messages(gateway: &Gateway, id: &str) -> String {
    let page = gateway.get(&format!("/v1/sessions/{id}/messages")).await.json();
    let texts = page["data"].as_array().unwrap().iter().map(|message| {
        let mark = if message["incomplete"] == true { "~" } else { "" };
        format!("{mark}{}", message["content"].as_str().unwrap_or_default())
    });
    texts.collect::<Vec<_>>().join("|")
}

/// The messages that the upstream was last sent.
fn upstream_messages(upstream: &Upstream) -> String {
    let request = upstream.last().json();
    assert_eq!(request.get("session_id"), None);
    let texts = request["messages"].as_array().unwrap().iter();
    texts.map(|it| it["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("|")
}

#[tokio::test]
async fn session_can_be_created_and_deleted() {
    let (_upstream, gateway) = start().await;
    let wish = json!({ "ttl_seconds": 60, "context": { "mine": 1, "tier_filter": [1, 2] } });
    let created = call(&gateway, "POST /v1/sessions", &[], &wish).await;
    assert_eq!((created.status(), created.header("etag")), (201, "\"0\""));
    let session = created.json();
    assert_eq!(session["id"], session["session_id"]);
    assert_eq!((&session["messages"], &session["context"]), (&json!([]), &wish["context"]));
    for time in ["created_at", "expires_at"] {
        let time = session[time].as_str().unwrap();
        assert!(time.len() == 32 && time.ends_with("+00:00"), "{time}");
    }
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.json(), session);
    let listed = gateway.get("/v1/sessions").await.json();
    assert_eq!(listed["data"][0]["id"], session["id"]);
    assert_eq!(call(&gateway, &format!("DELETE {path}"), &[], &Value::Null).await.status(), 204);
    for gone in [
        gateway.get(&path).await,
        call(&gateway, &format!("DELETE {path}"), &[], &Value::Null).await,
    ] {
        assert_eq!(gone.status_and_code(), "404 session_not_found");
        assert!(gone.json()["detail"].as_str().unwrap().starts_with("Session not found: "));
    }
}

#[tokio::test]
async fn invalid_session_request_is_rejected() {
    let (_upstream, gateway) = start().await;
    for wish in [
        json!({ "ttl_seconds": 59 }),
        json!({ "ttl_seconds": "60" }),
        json!({ "context": [] }),
        json!({ "context": { "tier_filter": "all" } }),
    ] {
        let refused = call(&gateway, "POST /v1/sessions", &[], &wish).await;
        assert_eq!(refused.status_and_code(), "422 unprocessable", "{wish}");
        assert!(refused.json()["detail"].is_string());
    }
    assert_eq!(gateway.get("/v1/sessions?limit=0").await.status_and_code(), "422 unprocessable");
    let unknown = say(&gateway, "0123456789012345678901", "x").await;
    assert_eq!(unknown.status_and_code(), "404 session_not_found");
    assert_eq!(say(&gateway, "../x", "x").await.status_and_code(), "404 session_not_found");
}

#[tokio::test]
async fn session_of_another_program_is_not_taken_for_ours() {
    let (upstream, gateway) = start().await;
    let body = json!({ "model": "lab/m", "messages": [{ "role": "user", "content": "x" }] });
    for foreign in ["ses_4c0f1f0eaffeOPkDZ3hJb1mJ8D", "2f1b8f3e-7c0a-4b7e-9a51-0d9a4c1e2b3d", "x"] {
        let headers = [("x-session-id", foreign)];
        let reply = call(&gateway, "POST /v1/chat/completions", &headers, &body).await;
        assert_eq!(reply.status(), 200, "{foreign}: {}", reply.text());
    }
    assert_eq!(upstream.exchanges().len(), 3);
    for header in ["x-session-id", "x-gateway-session"] {
        let headers = [(header, "0123456789012345678901")];
        let reply = call(&gateway, "POST /v1/chat/completions", &headers, &body).await;
        assert_eq!(reply.status_and_code(), "404 session_not_found", "{header}");
    }
    let headers = [("x-gateway-session", "main")];
    let reply = call(&gateway, "POST /v1/chat/completions", &headers, &body).await;
    assert_eq!(reply.status_and_code(), "404 session_not_found");
    let id = create(&gateway).await;
    let headers = [("x-gateway-session", &*id), ("x-session-id", "ses_4c0f1f0eaffeOPkDZ3hJb1mJ8D")];
    let reply = call(&gateway, "POST /v1/chat/completions", &headers, &body).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(stored_messages(&gateway, &id).await, "x|Hello.");
}

#[tokio::test]
async fn cursor_beyond_all_messages_is_refused() {
    let (_upstream, gateway) = start().await;
    let path = format!("/v1/sessions/{}/messages", create(&gateway).await);
    for after in ["18446744073709551614", "18446744073709551615", "4294967296", "-1", "x"] {
        let refused = gateway.get(&format!("{path}?after={after}")).await;
        assert_eq!(refused.status_and_code(), "422 unprocessable", "{after}");
    }
    let empty = gateway.get(&format!("{path}?after=4294967295")).await;
    assert_eq!((empty.status(), &empty.json()["data"]), (200, &json!([])));
}

#[tokio::test]
async fn context_patch_requires_current_version() {
    let (_upstream, gateway) = start().await;
    let line = format!("PATCH /v1/sessions/{}", create(&gateway).await);
    let wish = |value: Value| json!({ "context": { "mine": value } });
    let changed = call(&gateway, &line, &[("If-Match", "\"0\"")], &wish(json!(1))).await;
    assert_eq!((changed.status(), &changed.json()["context"]), (200, &json!({ "mine": 1 })));
    let late = call(&gateway, &line, &[("If-Match", "\"0\"")], &wish(json!(2))).await;
    assert_eq!(late.status_and_code(), "409 version_conflict");
    let removed = call(&gateway, &line, &[], &wish(Value::Null)).await;
    assert_eq!(removed.json()["context"], json!({}));
}

#[tokio::test]
async fn second_turn_includes_first_turn() {
    let (upstream, gateway) = start().await;
    let id = create(&gateway).await;
    for stream in [false, true] {
        let id = call(&gateway, &format!("POST /v1/sessions/{id}/fork"), &[], &Value::Null).await;
        let id = id.json()["id"].as_str().unwrap().to_owned();
        let ask = json!({ "session_id": id, "stream": stream });
        assert_eq!(gateway.ask("lab/m", ask).await.status(), 200);
        assert_eq!(say(&gateway, &id, "And then?").await.status(), 200);
        assert_eq!(upstream_messages(&upstream), "Hello|Hello.|And then?");
        assert_eq!(stored_messages(&gateway, &id).await, "Hello|Hello.|And then?|Hello.");
    }
    assert_eq!(stored_messages(&gateway, &id).await, "", "a fork is another session");
}

#[tokio::test]
async fn session_continues_in_every_dialect_and_by_header() {
    let (upstream, gateway) = start().await;
    let id = create(&gateway).await;
    let asks = [
        ("/v1/responses", json!({ "model": "lab/m", "input": "two" })),
        (
            "/v1/messages",
            json!({ "model": "lab/m", "max_tokens": 9, "messages": [{ "role": "user", "content": "three" }] }),
        ),
    ];
    assert_eq!(say(&gateway, &id, "one").await.status(), 200);
    for (path, mut body) in asks {
        body["stream"] = json!(path == "/v1/messages");
        let told = call(&gateway, &format!("POST {path}"), &[("x-session-id", &id)], &body).await;
        assert_eq!(told.status(), 200, "{}", told.text());
    }
    assert_eq!(upstream_messages(&upstream), "one|Hello.|two|Hello.|three");
    assert_eq!(stored_messages(&gateway, &id).await, "one|Hello.|two|Hello.|three|Hello.");
}

#[tokio::test]
async fn fork_can_start_at_earlier_message() {
    let (_upstream, gateway) = start().await;
    let id = create(&gateway).await;
    say(&gateway, &id, "one").await;
    say(&gateway, &id, "two").await;
    let wish = json!({ "at_version": 1 });
    let fork = call(&gateway, &format!("POST /v1/sessions/{id}/fork"), &[], &wish).await;
    assert_eq!(fork.status(), 201);
    assert_eq!(fork.json()["messages"].as_array().unwrap().len(), 2);
    let page = gateway.get(&format!("/v1/sessions/{id}/messages?limit=3")).await.json();
    assert_eq!((&page["has_more"], &page["next"]), (&json!(true), &json!(2)));
}

#[tokio::test]
async fn failed_turn_is_not_stored() {
    let (upstream, gateway) = start().await;
    let id = create(&gateway).await;
    let cut = || Script::streaming().event(&openai::says("a")).close();
    for (script, stream) in [(Script::json(400, "{}"), false), (cut(), true)] {
        upstream.next(script);
        gateway.ask("lab/m", json!({ "session_id": id, "stream": stream })).await;
        assert_eq!(stored_messages(&gateway, &id).await, "");
    }
    assert_eq!(say(&gateway, &id, "again").await.status(), 200, "it is free at once");
}

#[tokio::test]
async fn concurrent_session_turn_is_rejected() {
    let (upstream, gateway) = start().await;
    let id = create(&gateway).await;
    upstream.next(
        Script::streaming()
            .event(&openai::says("a"))
            .wait(500)
            .event(&openai::stops())
            .event("[DONE]")
            .end(),
    );
    let mut first = gateway.asking("lab/m", json!({ "session_id": id, "stream": true })).await;
    upstream.arrived(1).await;
    assert_eq!(say(&gateway, &id, "x").await.status_and_code(), "409 session_busy");
    let headers = [("x-session-id", &*id), ("x-session-conflict", "wait")];
    let body = json!({ "model": "lab/m", "messages": [{ "role": "user", "content": "second" }] });
    let second = call(&gateway, "POST /v1/chat/completions", &headers, &body).await;
    assert_eq!(second.status(), 200);
    assert_eq!(first.reply().await.event_text(), "a[stop][DONE]");
    assert_eq!(stored_messages(&gateway, &id).await, "Hello|a|second|Hello.");
}

#[tokio::test]
async fn session_deleted_during_turn_stays_deleted() {
    let (upstream, gateway) = start().await;
    let id = create(&gateway).await;
    let begun = Script::streaming().event(&openai::says("a")).wait(300);
    upstream.next(begun.event(&openai::stops()).event("[DONE]").end());
    let mut raw = gateway.asking("lab/m", json!({ "session_id": id, "stream": true })).await;
    let mut stream = raw.begin().await;
    assert!(stream.block().await.unwrap().contains("\"a\""));
    let path = format!("/v1/sessions/{id}");
    assert_eq!(call(&gateway, &format!("DELETE {path}"), &[], &Value::Null).await.status(), 204);
    let mut rest = String::new();
    while let Some(block) = stream.block().await {
        rest.push_str(&block);
    }
    // The answer was paid for: it is delivered, and says that it is not remembered.
    let comment = ": x-gateway-not-stored: session;reason=session_not_found";
    assert!(rest.contains(comment) && rest.contains("[DONE]"), "{rest}");
    assert_eq!(gateway.get(&path).await.status_and_code(), "404 session_not_found");
}

#[tokio::test]
async fn full_session_is_rejected_before_upstream_call() {
    let (upstream, gateway) = start().await;
    let id = create(&gateway).await;
    let said = |n: usize| json!({ "role": "user", "content": n.to_string() });
    let many: Vec<_> = (0..1_000).map(said).collect();
    let large = json!([{ "role": "user", "content": "x".repeat(4 << 20) }]);
    for messages in [json!(many), large] {
        let body = json!({ "session_id": id, "messages": messages });
        assert_eq!(gateway.ask("lab/m", body).await.status_and_code(), "413 session_full");
    }
    assert!(upstream.exchanges().is_empty());
    let session = gateway.get(&format!("/v1/sessions/{id}")).await.json();
    assert_eq!((&session["message_count"], &session["version"]), (&json!(0), &json!(0)));
    assert_eq!(say(&gateway, &id, "there is room for less").await.status(), 200);
}

#[tokio::test]
async fn partial_turn_is_stored_after_disconnect() {
    let (upstream, gateway) = start().await;
    let id = create(&gateway).await;
    upstream.next(Script::streaming().event(&openai::says("begun")).stall());
    let mut raw = gateway.asking("lab/m", json!({ "session_id": id, "stream": true })).await;
    assert!(raw.begin().await.block().await.unwrap().contains("begun"));
    drop(raw);
    assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)));
    let deadline = Instant::now() + PATIENCE;
    while stored_messages(&gateway, &id).await != "~Hello|~begun" {
        assert!(Instant::now() < deadline, "{}", stored_messages(&gateway, &id).await);
        time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(say(&gateway, &id, "go on").await.status(), 200);
    assert_eq!(upstream_messages(&upstream), "Hello|begun|go on");
}

#[tokio::test]
async fn taxonomy_persists_in_session() {
    let (_upstream, gateway) = start().await;
    let id = create(&gateway).await;
    assert_eq!(say(&gateway, &id, "hello").await.header("x-gateway-taxonomy"), "");
    for text in ["use the Security taxonomy", "and now?"] {
        let told = say(&gateway, &id, text).await;
        assert_eq!(told.header("x-gateway-taxonomy"), "Security_taxonomy");
    }
    let session = gateway.get(&format!("/v1/sessions/{id}")).await.json();
    assert_eq!(session["context"]["taxonomy"], "Security_taxonomy");
}

#[tokio::test]
async fn session_history_is_trimmed_to_window() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .set("[models]", "id", "small")
        .set("[models]", "provider", "lab")
        .write("[models]", "context_window", "100");
    let gateway = setup.start().await;
    let id = create(&gateway).await;
    let long = "a".repeat(240);
    let mut dropped = Vec::new();
    for text in [&*long, &*long, "end"] {
        let messages = json!([{ "role": "user", "content": text }]);
        let body = json!({ "session_id": id, "messages": messages });
        dropped
            .push(gateway.ask("small", body).await.header("x-gateway-history-dropped").to_owned());
    }
    assert_eq!(dropped, ["", "2", "2"]);
    assert_eq!(upstream_messages(&upstream), format!("{long}|Hello.|end"));
}

#[tokio::test]
async fn session_is_invisible_to_other_tenants() {
    let (mine, theirs) = ("sk-mine-0123456789abcdef", "sk-theirs-0123456789abcdef");
    let gateway = Setup::new().client("mine", mine).client("theirs", theirs).start().await;
    let (mine, theirs) = (format!("Bearer {mine}"), format!("Bearer {theirs}"));
    let created =
        call(&gateway, "POST /v1/sessions", &[("Authorization", &mine)], &Value::Null).await;
    let path = format!("/v1/sessions/{}", created.json()["id"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        let line = format!("{method} {path}");
        let told = call(&gateway, &line, &[("Authorization", &theirs)], &Value::Null).await;
        assert_eq!(told.status_and_code(), "404 session_not_found");
    }
    let line = format!("GET {path}");
    assert_eq!(
        call(&gateway, &line, &[("Authorization", &mine)], &Value::Null).await.status(),
        200
    );
    assert_eq!(call(&gateway, &line, &[], &Value::Null).await.status(), 401);
}

#[tokio::test]
async fn session_survives_restart() {
    let data = std::env::temp_dir().join(format!("gateway-sessions-{}", std::process::id()));
    let file = data.to_str().unwrap();
    let upstream = Upstream::start().await;
    let setup = || {
        Setup::before(&upstream)
            .env("LLM_GATEWAY_DATA_DIR", file)
            .env("LLM_GATEWAY_STORE", "embedded")
    };
    let mut gateway = setup().start().await;
    let id = create(&gateway).await;
    say(&gateway, &id, "one").await;
    gateway.terminate();
    assert!(gateway.stopped().await.success());
    let gateway = setup().start().await;
    say(&gateway, &id, "two").await;
    assert_eq!(upstream_messages(&upstream), "one|Hello.|two");
    drop(gateway);
    let _ = std::fs::remove_dir_all(data);
}
