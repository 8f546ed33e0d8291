//! The main job: an application asks, a model answers, streamed or not.

use gateway_tests::{BodyEnd, Gateway, Setup, openai};
use serde_json::{Value, json};

/// Checks the response to `Hello, world`, as written by [`said`](gateway_tests::Reply::event_text),
/// streamed and complete.
async fn check(gateway: &Gateway, model: &str, expected: &str) {
    let messages = json!([{ "role": "user", "content": "Hello, world" }]);
    let streamed = gateway.ask(model, json!({ "messages": messages, "stream": true })).await;
    assert_eq!(streamed.head.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(streamed.header("cache-control"), "no-cache");
    assert_eq!(streamed.header("x-accel-buffering"), "no");
    assert_eq!(streamed.event_text(), format!("{expected}[DONE]"));
    let whole = gateway.ask(model, json!({ "messages": messages })).await.json();
    let choice = &whole["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap_or_default();
    let finish = choice["finish_reason"].as_str().unwrap();
    assert_eq!(format!("{text}[{finish}]"), expected);
}

#[tokio::test]
async fn streamed_response_equals_whole_response() {
    let gateway = Setup::new().start().await;
    check(&gateway, "fake/echo", "Hello, world[stop]").await;
    check(&gateway, "fake/any-other-name", "Hello, world[stop]").await;
    check(&gateway, "FAKE/echo", "Hello, world[stop]").await;
    check(&gateway, "fake/chunks-3", "c0 c1 c2 [stop]").await;
    check(&gateway, "fake/length", "Hello, world[length]").await;
    check(&gateway, "fake/filter", "Hello, world[content_filter]").await;
    check(&gateway, "fake/json", r#"{"echo":"Hello, world"}[stop]"#).await;
    check(&gateway, "fake/tool-weather", "[tool_calls]").await;
    check(&gateway, "fake/slow-30ms", "Hello, world[stop]").await;
}

#[tokio::test]
async fn whole_response_has_openai_shape() {
    let gateway = Setup::new().start().await;
    let answer = gateway.ask("fake/echo", Value::Null).await;
    assert_eq!(answer.header("x-gateway-provider"), "fake");
    let answer = answer.json();
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(answer["object"], "chat.completion");
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(answer["model"], "fake/echo");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
    for (name, count) in usage.as_object().unwrap() {
        assert_eq!(&answer["usage"][name], count);
    }
}

#[tokio::test]
async fn streamed_response_has_openai_shape() {
    let gateway = Setup::new().start().await;
    let asked = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let answer = gateway.ask("fake/chunks-2", asked).await;
    let mut events = answer.events();
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = events.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["id"], chunks[0]["id"]);
    }
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let last = chunks.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(2)));
    assert_eq!(chunks.iter().filter(|it| it["usage"].is_object()).count(), 1);
}

#[tokio::test]
async fn tool_calls_and_results_round_trip() {
    let gateway = Setup::new().start().await;
    let call = gateway.ask("fake/tool-weather", Value::Null).await.json();
    let call = &call["choices"][0]["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("weather")));
    let messages = json!([
        { "role": "user", "content": "How is it?" },
        { "role": "assistant", "content": null, "tool_calls": [call] },
        { "role": "tool", "tool_call_id": call["id"], "content": "sunny" },
    ]);
    let answer = gateway.ask("fake/tool-weather", json!({ "messages": messages })).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "The tool said: sunny");
}

#[tokio::test]
async fn each_failure_kind_has_its_status() {
    let gateway = Setup::new().start().await;
    for (model, told) in [
        ("fake/error-400", "400 invalid_request"),
        ("fake/error-401", "502 upstream_auth"),
        ("fake/error-429", "429 rate_limit_exceeded"),
        ("fake/error-500", "502 upstream_error"),
        ("fake/error-503", "503 upstream_overloaded"),
        ("fake/error-504", "504 upstream_timeout"),
        ("fake/cut-0", "502 upstream_cut"),
        ("fake/truncate-0", "502 upstream_truncated"),
        ("no-such-model", "404 model_not_found"),
        ("claude-sonnet-4", "503 provider_not_configured"),
    ] {
        for stream in [false, true] {
            let reply = gateway.ask(model, json!({ "stream": stream })).await;
            assert_eq!((reply.status_and_code().as_str(), stream), (told, stream), "{model}");
            assert_eq!(reply.header("content-type"), "application/json");
            assert!(reply.json()["error"]["retryable"].is_boolean());
        }
    }
}

#[tokio::test]
async fn error_after_output_is_last_event() {
    let gateway = Setup::new().timeout("idle", "100ms").hurried("300ms").start().await;
    for (model, said, whole) in [
        ("fake/cut-2", "c0 c1 <upstream_cut>", "502 upstream_cut"),
        ("fake/truncate-2", "c0 c1 <upstream_truncated>", "502 upstream_truncated"),
        ("fake/stall-2", "c0 c1 <upstream_stalled>", "504 upstream_timeout"),
    ] {
        let streamed = gateway.ask(model, json!({ "stream": true })).await;
        assert_eq!((streamed.status(), streamed.event_text().as_str()), (200, said));
        assert_eq!(streamed.ending, BodyEnd::Proper);
        let error: Value = serde_json::from_str(streamed.events().last().unwrap()).unwrap();
        assert_eq!(error["error"]["retryable"], true);
        assert_eq!(gateway.ask(model, Value::Null).await.status_and_code(), whole);
    }
}

#[tokio::test]
async fn missing_model_uses_default() {
    let gateway = Setup::new().set("routing", "default_model", "fake/echo").start().await;
    let body = r#"{"messages":[{"role":"user","content":"Hi"}]}"#;
    let answer = gateway.chat(body).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hi");
    assert_eq!(gateway.ask("", Value::Null).await.status_and_code(), "400 invalid_parameter");
}

#[tokio::test]
async fn connection_is_reused_for_many_requests() {
    let gateway = Setup::new().start().await;
    let mut raw = gateway.asking("fake/chunks-3", json!({ "stream": true })).await;
    assert_eq!(raw.reply().await.event_text(), "c0 c1 c2 [stop][DONE]");
    for path in ["/health", "/nope", "/v1/models"] {
        raw.send(gateway_tests::request("GET", path, &[], b"")).await;
        assert_eq!(raw.reply().await.status(), if path == "/nope" { 404 } else { 200 });
    }
    let body = openai::ask("fake/echo", Value::Null);
    raw.send(gateway_tests::request("POST", "/v1/chat/completions", &[], body.as_bytes())).await;
    assert_eq!(raw.reply().await.status(), 200);
}
