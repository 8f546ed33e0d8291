//! Threads of the Messages API: held by the gateway, over every upstream.

use gateway_tests::{
    DataDirectory, Dialect, Gateway, Redis, Reply, Script, ScriptedAnswer, Setup, Upstream, request,
};
use serde_json::{Value, json};

const BETA: &str = "message-threads-2026-08-12";
const ALICE: &str = "gw-key-of-alice-0000000000000000";
const BOB: &str = "gw-key-of-bob-000000000000000000";

/// A gateway before an upstream of `dialect`, whose model is `lab/m`.
fn setup(upstream: &Upstream, dialect: Dialect) -> Setup {
    Setup::before(upstream).speaking("lab", dialect)
}

async fn start(dialect: Dialect) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream, dialect).start().await;
    (upstream, gateway)
}

async fn send(gateway: &Gateway, key: &str, body: &Value) -> Reply {
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &*format!("Bearer {key}")),
        ("anthropic-beta", &*format!("tools-2026-01-01,{BETA}")),
    ];
    let body = body.to_string();
    gateway.send(request("POST", "/v1/messages?beta=true", &headers, body.as_bytes())).await
}

/// A request that begins a thread with `text`.
fn create(text: &str, stream: bool) -> Value {
    json!({
        "model": "lab/m", "max_tokens": 99, "stream": stream, "thread": { "type": "create" },
        "system": "Be kind.",
        "tools": [{ "name": "look", "input_schema": { "type": "object" } }],
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": text, "cache_control": { "type": "ephemeral" } },
        ] }],
    })
}

/// A request that continues the thread that ends with `previous`, with `messages`.
fn next(previous: &str, messages: &Value, stream: bool) -> Value {
    json!({
        "model": "lab/m", "max_tokens": 99, "stream": stream,
        "thread": { "type": "continue", "previous_message_id": previous }, "messages": messages,
    })
}

fn says(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

/// The events of a streamed reply.
fn events(reply: &Reply) -> Vec<Value> {
    reply.events().iter().filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// The id of the message of a reply.
#[track_caller]
fn id(reply: &Reply) -> String {
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let message = match reply.header("content-type") {
        "application/json" => reply.json(),
        _ => events(reply)[0]["message"].clone(),
    };
    message["id"].as_str().expect("an id").to_owned()
}

/// The status and `details.error_code` of a refusal.
#[track_caller]
fn refusal(reply: &Reply) -> (u16, String, String) {
    let error = reply.json()["error"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (reply.status(), text(&error["type"]), text(&error["details"]["error_code"]))
}

fn refused(status: u16, kind: &str, code: &str) -> (u16, String, String) {
    (status, kind.to_owned(), code.to_owned())
}

fn not_found() -> (u16, String, String) {
    refused(404, "not_found_error", "thread_not_found")
}

fn unsupported() -> (u16, String, String) {
    refused(400, "invalid_request_error", "thread_unsupported_request")
}

#[tokio::test]
async fn thread_is_created_and_continued_over_every_upstream() {
    for dialect in Dialect::ALL {
        for stream in [false, true] {
            let (upstream, gateway) = start(dialect).await;
            let call = ScriptedAnswer {
                text: vec!["Let me see."],
                ..ScriptedAnswer::calls(&[("look", json!({ "at": 1 }))])
            };
            upstream.next(dialect.says(&call, stream));
            let first = send(&gateway, "any", &create("first question", stream)).await;
            let sent = upstream.last();
            assert!(!sent.text().contains("thread"), "{}", sent.text());
            let betas = sent.head.header("anthropic-beta");
            let expected = (dialect == Dialect::Messages).then_some("tools-2026-01-01");
            assert_eq!(betas, expected, "{}", dialect.name());

            let called = called_tool(&first, stream);
            let result = json!([{ "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": called, "content": "12 degrees" },
            ] }]);
            upstream.next(dialect.says(&ScriptedAnswer::text(&["It is ", "cold."]), stream));
            let second = send(&gateway, "any", &next(&id(&first), &result, stream)).await;
            upstream.next(dialect.says(&ScriptedAnswer::text(&["Bye."]), stream));
            let third =
                send(&gateway, "any", &next(&id(&second), &says("last words"), stream)).await;
            assert_eq!(third.status(), 200, "{}", third.text());
            let sent = upstream.last();
            let parts = ["Be kind.", "look", "first question", "Let me see.", "12 degrees"];
            for part in parts.into_iter().chain(["It is cold.", "last words"]) {
                let count = sent.text().matches(part).count();
                assert!(count > 0, "{part}, {} stream {stream}: {}", dialect.name(), sent.text());
            }
            assert_eq!(upstream.exchanges().len(), 3);
        }
    }
}

/// The id of the tool call in a reply.
fn called_tool(reply: &Reply, stream: bool) -> String {
    let blocks: Vec<Value> = if stream {
        events(reply).iter().map(|event| event["content_block"].clone()).collect()
    } else {
        reply.json()["content"].as_array().cloned().unwrap_or_default()
    };
    let call = blocks.iter().find(|block| block["type"] == "tool_use").expect("a call");
    call["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn anthropic_gets_the_conversation_as_its_client_would_send_it() {
    for stream in [false, true] {
        let (upstream, gateway) = start(Dialect::Messages).await;
        let speech = ScriptedAnswer { thought: "Hm.", ..ScriptedAnswer::text(&["Hi", "."]) };
        upstream.next(Dialect::Messages.says(&speech, stream));
        let first = send(&gateway, "any", &create("a", stream)).await;
        upstream.next(Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), stream));
        let mut body = next(&id(&first), &says("b"), stream);
        body["invented_2027"] = json!([1.0, 1e2]);
        assert_eq!(send(&gateway, "any", &body).await.status(), 200);
        let expected = json!([
            { "role": "user", "content": [{ "type": "text", "text": "a" }] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "Hm.", "signature": "c2ln" },
                { "type": "text", "text": "Hi." },
            ] },
            { "role": "user", "content": "b" },
        ]);
        let sent = upstream.last();
        assert_eq!(sent.json()["messages"], expected, "the seal is the issuer's own");
        assert_eq!(sent.json()["tools"], create("a", stream)["tools"]);
        assert_eq!(
            (&sent.json()["system"], &sent.json()["thread"]),
            (&json!("Be kind."), &Value::Null)
        );
        assert_eq!(sent.json()["invented_2027"], json!([1.0, 1e2]));
    }
}

#[tokio::test]
async fn unfinished_turn_is_resumed_without_messages() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    let paused = json!({
        "id": "msg_paused", "type": "message", "role": "assistant", "model": "m",
        "content": [{ "type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": { "n": 1.0 } }],
        "stop_reason": "pause_turn", "stop_sequence": null,
        "usage": { "input_tokens": 1, "output_tokens": 1 },
    });
    upstream.next(Script::json(200, paused.to_string()));
    let first = send(&gateway, "any", &create("a", false)).await;
    assert_eq!(id(&first), "msg_paused");
    upstream.next(Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), false));
    let resumed = send(&gateway, "any", &next("msg_paused", &json!([]), false)).await;
    assert_eq!(resumed.status(), 200, "{}", resumed.text());
    let sent = upstream.last().json();
    assert_eq!(sent["messages"][1]["content"], paused["content"]);
    assert_eq!(sent["messages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn unknown_thread_and_that_of_another_tenant_are_not_found() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream, Dialect::Chat);
    let gateway = setup.client("alice", ALICE).client("bob", BOB).start().await;
    let first = send(&gateway, ALICE, &create("a", false)).await;
    let body = next(&id(&first), &says("b"), false);
    assert_eq!(refusal(&send(&gateway, BOB, &body).await), not_found());
    for unknown in ["msg_1", "", "../x", "resp_1", &"m".repeat(500)] {
        let reply = send(&gateway, ALICE, &next(unknown, &says("b"), false)).await;
        assert_eq!(refusal(&reply), not_found(), "{unknown}");
    }
    assert_eq!(upstream.exchanges().len(), 1);
    assert_eq!(send(&gateway, ALICE, &body).await.status(), 200);
}

#[tokio::test]
async fn request_that_no_thread_can_hold_is_refused_so_that_clients_send_all() {
    let (upstream, gateway) = start(Dialect::Chat).await;
    let first = send(&gateway, "any", &create("a", false)).await;
    let continued = next(&id(&first), &says("b"), false);
    let session = gateway
        .send(request("POST", "/v1/sessions", &[("Content-Type", "application/json")], b"{}"))
        .await;
    let session = session.json()["session_id"].clone();
    for (name, value) in [("system", json!("x")), ("tools", json!([])), ("session_id", session)] {
        let mut body = continued.clone();
        body[name] = value;
        assert_eq!(refusal(&send(&gateway, "any", &body).await), unsupported(), "{name}");
    }
    let mut body = continued.clone();
    body["thread"] = json!({ "type": "fork_2027" });
    assert_eq!(refusal(&send(&gateway, "any", &body).await), unsupported());
    assert_eq!(upstream.exchanges().len(), 1);
    body["thread"] = Value::Null;
    assert_eq!(send(&gateway, "any", &body).await.status(), 200);
}

#[tokio::test]
async fn threads_that_are_switched_off_are_refused_in_the_documented_form() {
    for dialect in Dialect::ALL {
        let upstream = Upstream::start().await;
        let gateway = setup(&upstream, dialect).set("store", "thread_ttl", "0s").start().await;
        for body in [create("a", false), next("msg_1", &says("b"), false)] {
            let reply = send(&gateway, "any", &body).await;
            assert_eq!(refusal(&reply), unsupported());
            let message = "capability_rejected: beta_header:message-threads-2026-08-12";
            assert_eq!(reply.json()["error"]["message"], message);
        }
        assert!(upstream.exchanges().is_empty());
    }
}

#[tokio::test]
async fn threads_are_refused_while_the_store_is_away() {
    let (mut redis, upstream) = (Redis::start().await, Upstream::start().await);
    let setup = setup(&upstream, Dialect::Chat).env("LLM_GATEWAY_STORE", "redis");
    let gateway = setup.env("LLM_GATEWAY_REDIS_URL", &redis.url()).start().await;
    let first = send(&gateway, "any", &create("a", false)).await;
    let continued = next(&id(&first), &says("b"), false);
    redis.kill();
    for body in [create("a", false), continued] {
        assert_eq!(refusal(&send(&gateway, "any", &body).await), unsupported());
    }
    assert_eq!(upstream.exchanges().len(), 1);
}

#[tokio::test]
async fn turn_that_cannot_be_stored_is_delivered_and_declared() {
    for stream in [false, true] {
        let (mut redis, upstream) = (Redis::start().await, Upstream::start().await);
        let setup = setup(&upstream, Dialect::Messages).env("LLM_GATEWAY_STORE", "redis");
        let gateway = setup.env("LLM_GATEWAY_REDIS_URL", &redis.url()).start().await;
        let slow = Script::new().wait(1500);
        upstream
            .next(slow.then_all(Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), stream)));
        let body = create("a", stream);
        let asking = send(&gateway, "any", &body);
        let stopping = async {
            upstream.arrived(1).await;
            redis.kill();
        };
        let (reply, ()) = tokio::join!(asking, stopping);
        assert_eq!(reply.status(), 200, "{}", reply.text());
        if stream {
            let comment =
                reply.text().find(": x-gateway-not-stored: thread;reason=store_unavailable");
            assert!(comment < reply.text().find("message_stop"), "{}", reply.text());
            assert!(comment.is_some(), "{}", reply.text());
        } else {
            let header = reply.header("x-gateway-not-stored");
            assert_eq!(header, "thread;reason=store_unavailable");
        }
    }
}

#[tokio::test]
async fn turn_that_fails_leaves_its_thread_as_it_was() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    upstream.next(Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), false));
    let first = id(&send(&gateway, "any", &create("a", false)).await);
    upstream.next(Dialect::Messages.breaks_off(&ScriptedAnswer::text(&["lost ", "words"])));
    let cut = send(&gateway, "any", &next(&first, &says("b"), true)).await;
    assert_eq!(events(&cut).last().unwrap()["type"], "error", "{}", cut.text());
    upstream.next(Script::json(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#,
    ));
    assert_eq!(send(&gateway, "any", &next(&first, &says("b"), false)).await.status(), 400);
    upstream.next(Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), true));
    assert_eq!(send(&gateway, "any", &next(&first, &says("c"), true)).await.status(), 200);
    let sent = upstream.last();
    assert!(!sent.text().contains("lost words"), "{}", sent.text());
    assert_eq!(sent.json()["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn last_turn_can_be_repeated_and_earlier_ones_are_gone() {
    let (upstream, gateway) = start(Dialect::Chat).await;
    let first = id(&send(&gateway, "any", &create("a", false)).await);
    let second = id(&send(&gateway, "any", &next(&first, &says("b"), false)).await);
    let again = send(&gateway, "any", &next(&first, &says("b"), false)).await;
    assert_eq!(again.status(), 200, "a response that was lost is asked for again");
    let third = id(&send(&gateway, "any", &next(&second, &says("c"), false)).await);
    assert_eq!(
        refusal(&send(&gateway, "any", &next(&first, &says("d"), false)).await),
        not_found()
    );
    for previous in [&second, &third] {
        assert_eq!(send(&gateway, "any", &next(previous, &says("d"), false)).await.status(), 200);
    }
    assert_eq!(upstream.exchanges().len(), 6);
}

#[tokio::test]
async fn thread_survives_a_restart() {
    let (upstream, data) = (Upstream::start().await, DataDirectory::new());
    let gateway = setup(&upstream, Dialect::Gemini).keeping(&data).start().await;
    upstream.always(Dialect::Gemini.says(&ScriptedAnswer::text(&["ok"]), false));
    let first = id(&send(&gateway, "any", &create("before the restart", false)).await);
    let gateway = gateway.restart().await;
    assert_eq!(send(&gateway, "any", &next(&first, &says("b"), false)).await.status(), 200);
    assert!(upstream.last().text().contains("before the restart"));
}

#[tokio::test]
async fn tokens_of_a_turn_are_those_of_the_whole_conversation() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    upstream.next(Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), false));
    let first = id(&send(&gateway, "any", &create("counted too", false)).await);
    upstream.next(Script::json(200, r#"{"input_tokens":5}"#));
    let body = next(&first, &says("b"), false).to_string();
    let headers = [("Content-Type", "application/json")];
    let path = "/v1/messages/count_tokens?beta=true";
    let counted = gateway.send(request("POST", path, &headers, body.as_bytes())).await;
    assert_eq!((counted.status(), counted.json()), (200, json!({ "input_tokens": 5 })));
    assert!(upstream.last().text().contains("counted too"));
}

#[tokio::test]
async fn response_of_a_thread_is_not_taken_from_the_cache() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream, Dialect::Chat).write("cache", "enabled", "true");
    let gateway = setup.start().await;
    let mut body = create("a", false);
    body["temperature"] = json!(0);
    let first = id(&send(&gateway, "any", &body).await);
    let second = id(&send(&gateway, "any", &body).await);
    assert_ne!(first, second);
    assert_eq!(upstream.exchanges().len(), 2);
}
