//! Usage and cost, and the access to them.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

/// Two clients, before a model at 10 cents a token read and 20 a token written.
async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .client("ours", "sk-ours")
        .client("theirs", "sk-theirs");
    (upstream, setup.start().await)
}

async fn post(
    gateway: &Gateway,
    who: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let key = format!("sk-{who}");
    let headers = [&[("x-api-key", &*key)], headers].concat();
    gateway.send(request("POST", path, &headers, body.as_bytes())).await
}

async fn chat(gateway: &Gateway, who: &str, model: &str, besides: Value) -> Reply {
    post(gateway, who, "/v1/chat/completions", &[], &openai::ask(model, besides)).await
}

async fn usage(gateway: &Gateway, who: &str, query: &str) -> Value {
    let key = format!("sk-{who}");
    let path = format!("/v1/usage{query}");
    let reply = gateway.send(request("GET", &path, &[("x-api-key", &key)], b"")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn response_reports_cost() {
    let (_upstream, gateway) = start().await;
    // Seven tokens read, three written.
    let whole = chat(&gateway, "ours", "m", json!({})).await;
    assert_eq!(whole.header("x-gateway-cost-usd"), "1.3");
    let translated =
        post(&gateway, "ours", "/v1/messages", &[], &openai::ask("m", json!({ "max_tokens": 9 })))
            .await;
    assert_eq!(translated.header("x-gateway-cost-usd"), "1.3");
    let unknown = chat(&gateway, "ours", "lab/unknown", json!({})).await;
    assert_eq!(unknown.header("x-gateway-cost-usd"), "unknown");
    let free = chat(&gateway, "ours", "fake/echo", json!({})).await;
    assert_eq!(free.header("x-gateway-cost-usd"), "0");
}

#[tokio::test]
async fn stream_reports_cost_on_request() {
    let (upstream, gateway) = start().await;
    let stream = json!({ "stream": true });
    let plain = chat(&gateway, "ours", "m", stream.clone()).await;
    assert!(!plain.text().contains("x_gateway"));
    let asked = [("x-gateway-usage", "true")];
    let body = openai::ask("m", stream.clone());
    let reply = post(&gateway, "ours", "/v1/chat/completions", &asked, &body).await;
    let events = reply.events();
    let told: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(events.last().unwrap(), "[DONE]");
    assert_eq!((&told["choices"], &told["object"]), (&json!([]), &json!("chat.completion.chunk")));
    assert_eq!(told["x_gateway"]["cost_usd"], "1.3");
    assert_eq!(told["x_gateway"]["total_tokens"], 10);
    let rest: Vec<_> = events.iter().filter(|it| !it.contains("x_gateway")).cloned().collect();
    assert_eq!(rest, plain.events(), "nothing else differs");
    let body = openai::ask("m", json!({ "stream": true, "max_tokens": 9 }));
    let reply = post(&gateway, "ours", "/v1/messages", &asked, &body).await;
    assert!(reply.text().contains("event: gateway.usage\ndata: {"), "{}", reply.text());
    assert_eq!(upstream.exchanges().len(), 3);
}

#[tokio::test]
async fn client_sees_own_usage() {
    let (upstream, gateway) = start().await;
    for _ in 0..3 {
        chat(&gateway, "ours", "m", json!({})).await;
    }
    chat(&gateway, "ours", "m", json!({ "stream": true })).await;
    upstream.next(Script::json(500, "{}"));
    chat(&gateway, "ours", "m", json!({})).await;
    chat(&gateway, "ours", "lab/unknown", json!({})).await;
    chat(&gateway, "theirs", "m", json!({})).await;
    gateway.outcomes(7).await;
    let ours = usage(&gateway, "ours", "?group_by=client,model,outcome").await;
    let brief: Vec<_> = ours["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["client"], &it["model"], &it["outcome"], &it["requests"], &it["cost_usd"]))
        .collect();
    let expected = json!([
        ["ours", "m", "ok", 4, 5.2],
        ["ours", "m", "upstream_error", 1, 0.0],
        ["ours", "unknown", "ok", 1, null]
    ]);
    assert_eq!(json!(brief), expected);
    assert_eq!(ours["total"]["unpriced_requests"], 1);
    assert_eq!(ours["total"]["total_tokens"], 50);
    let theirs = usage(&gateway, "theirs", "").await;
    assert_eq!(
        (&theirs["total"]["requests"], &theirs["data"][0]["model"]),
        (&json!(1), &json!("m"))
    );
    let none = usage(&gateway, "theirs", "?from=2024-01-01&to=2024-01-31").await;
    assert_eq!(none["data"], json!([]));
    let key = [("x-api-key", "sk-ours")];
    let wrong = gateway.send(request("GET", "/v1/usage?from=x", &key, b"")).await;
    assert_eq!(wrong.status(), 400);
    assert_eq!(gateway.get("/v1/usage").await.status_and_code(), "401 invalid_api_key");
}

#[tokio::test]
async fn abandoned_stream_is_accounted_by_observed_output() {
    let (upstream, gateway) = start().await;
    let script = Script::streaming().event(&openai::opening());
    let script = ["a", "b", "c"].iter().fold(script, |it, text| it.event(&openai::says(text)));
    upstream.next(script.stall());
    let mut raw = gateway.connect().await;
    let body = openai::ask("m", json!({ "stream": true }));
    let headers = [("x-api-key", "sk-ours")];
    raw.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
    {
        let mut stream = raw.begin().await;
        while !stream.block().await.unwrap().contains("\"c\"") {}
    }
    drop(raw);
    gateway.outcomes(1).await;
    let used = usage(&gateway, "ours", "?group_by=outcome").await;
    let row = &used["data"][0];
    assert_eq!(
        (&row["outcome"], &row["estimated_requests"]),
        (&json!("client_cancelled"), &json!(1))
    );
    assert!((1..=3).contains(&row["output_tokens"].as_u64().unwrap()), "{row}");
    assert!(row["input_tokens"].as_u64().unwrap() > 0, "{row}");
}

/// Checks the cost of `usage` in a response of a provider of this kind, with each token class at a
/// price of its own: a thousandth of a dollar times a prime.
async fn check_shape(provider: &str, api: &str, answer: &str, expected: &str) {
    let upstream = Upstream::start().await;
    let classes = "input = 2000, output = 3000, cache_read = 5000, cache_write = 7000, \
                   cache_write_1h = 11000, reasoning = 13000, audio_input = 17000, \
                   audio_output = 19000";
    let mut setup = Setup::new()
        .provider(provider, &upstream.url())
        .set(&format!("providers.{provider}"), "api_key", "k")
        .set("[models]", "id", "m")
        .set("[models]", "provider", provider)
        .write("[models]", "price", &format!("{{ {classes} }}"));
    if !api.is_empty() {
        setup = setup.set("[models]", "api", api);
    }
    let gateway = setup.start().await;
    upstream.next(Script::json(200, answer));
    let reply = gateway.ask("m", json!({})).await;
    assert_eq!(reply.status(), 200, "{provider}: {}", reply.text());
    assert_eq!(reply.header("x-gateway-cost-usd"), expected, "{provider}");
}

#[tokio::test]
async fn openai_usage_shapes_are_priced_correctly() {
    // 50 read, 40 of the cache, 10 heard, 25 written, 20 thought, 5 spoken.
    let usage = json!({
        "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": { "cached_tokens": 40, "audio_tokens": 10 },
        "completion_tokens_details": { "reasoning_tokens": 20, "audio_tokens": 5 },
    });
    let answer = openai::whole("Hi").replace(openai::USAGE, &usage.to_string());
    check_shape("lab", "", &answer, "0.9").await;
    // 40 read, 60 of the cache, 10 written.
    let usage = json!({
        "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110,
        "prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40,
    });
    let answer = openai::whole("Hi").replace(openai::USAGE, &usage.to_string());
    check_shape("deepseek", "", &answer, "0.41").await;
    // 80 read, 20 of the cache, 20 written, 10 thought.
    let answer = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [{ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": "Hi", "annotations": [] }] }],
        "usage": { "input_tokens": 100, "input_tokens_details": { "cached_tokens": 20 },
            "output_tokens": 30, "output_tokens_details": { "reasoning_tokens": 10 },
            "total_tokens": 130 },
    });
    check_shape("openai", "responses", &answer.to_string(), "0.45").await;
}

#[tokio::test]
async fn other_usage_shapes_are_priced_correctly() {
    // 10 read, 30 of the cache, 15 into it for minutes, 25 for an hour, 20 written.
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{ "type": "text", "text": "Hi" }], "stop_reason": "end_turn",
        "stop_sequence": null,
        "usage": { "input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 40,
            "cache_creation":
                { "ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 25 } },
    });
    check_shape("anthropic", "", &answer.to_string(), "0.61").await;
    // 70 read, 30 of the cache, 20 written, 10 thought.
    let answer = json!({
        "candidates": [{ "index": 0, "finishReason": "STOP",
            "content": { "role": "model", "parts": [{ "text": "Hi" }] } }],
        "usageMetadata": { "promptTokenCount": 100, "cachedContentTokenCount": 30,
            "candidatesTokenCount": 20, "thoughtsTokenCount": 10, "totalTokenCount": 130 },
        "modelVersion": "m", "responseId": "r",
    });
    check_shape("gemini", "", &answer.to_string(), "0.48").await;
    // 10 read, 5 written.
    let answer = json!({
        "model": "m", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop",
        "message": { "role": "assistant", "content": "Hi" },
        "prompt_eval_count": 10, "eval_count": 5,
    });
    check_shape("ollama", "", &answer.to_string(), "0.035").await;
}
