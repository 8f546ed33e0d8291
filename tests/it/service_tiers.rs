//! Service tiers: a request reserves at the price of the tier that it asks for, and is booked at that
//! of the tier that served it.

use gateway_tests::{Gateway, PATIENCE, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::time::{self, Duration, Instant};

/// In nano-dollars for a token: 1,000 and 2,000, a tenth of that in the tier `flex`, and ten times that
/// in `priority` and `fast`.
const PRICES: &str = "\t* o i=1 o=2 flex i=.1 o=.2 priority i=10 o=20 fast i=10 o=20\n";

fn catalogue() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    let name = format!("tiers-{}-{number}.txt", std::process::id());
    let file = std::env::temp_dir().join(name);
    let rows = ["anthropic/claude-x", "gemini/gemini-x", "lab/own", "openai/gpt-x"];
    let rows: String = rows.iter().map(|row| [row, "\n", PRICES].concat()).collect();
    fs::write(&file, format!("# generated 2026-11-30 by hand\n{rows}")).unwrap();
    file
}

/// A gateway of these models, whose client has a budget of `dollars`.
async fn start(upstream: &Upstream, dollars: &str) -> (Gateway, PathBuf) {
    let file = catalogue();
    let names = ["openai", "anthropic", "gemini"];
    let setup = names.into_iter().fold(Setup::before(upstream), |setup, name| {
        let section = format!("providers.{name}");
        setup.provider(name, &upstream.url()).set(&section, "api_key", "sk-upstream")
    });
    let setup = setup.client("app", "sk-app").write("[clients]", "daily_budget_usd", dollars);
    (setup.set("catalogue", "file", &file.to_string_lossy()).start().await, file)
}

async fn send(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    let headers = [("Authorization", "Bearer sk-app")];
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await
}

/// A request for 50 tokens with further members.
fn ask(path: &str, model: &str, besides: Value) -> Value {
    let mut body = match path {
        "/v1/responses" => json!({ "model": model, "input": "Hi", "max_output_tokens": 50 }),
        _ => json!({ "model": model, "max_tokens": 50,
            "messages": [{ "role": "user", "content": "Hi" }] }),
    };
    let Value::Object(besides) = besides else { panic!("no object: {besides}") };
    body.as_object_mut().unwrap().extend(besides);
    body
}

/// Answers in the dialect of the path, as served in the standard tier.
fn standard(path: &str, _: &[u8]) -> Script {
    let usage = json!({ "input_tokens": 7, "output_tokens": 3, "total_tokens": 10 });
    let answer = if path.ends_with("/responses") {
        let part = json!({ "type": "output_text", "text": "Hi.", "annotations": [] });
        let item = json!({ "type": "message", "id": "msg_1", "status": "completed",
            "role": "assistant", "content": [part] });
        json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
            "model": "m", "service_tier": "default", "output": [item], "usage": usage })
    } else if path.ends_with("/messages") {
        json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "c",
            "content": [{ "type": "text", "text": "Hi." }], "stop_reason": "end_turn",
            "stop_sequence": null, "usage": usage })
    } else {
        return Script::json(200, openai::whole("Hi."));
    };
    Script::json(200, answer.to_string())
}

/// The total of what is booked, once `requests` requests are.
async fn booked(gateway: &Gateway, requests: u64) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let headers = [("Authorization", "Bearer sk-app")];
        let usage = gateway.send(request("GET", "/v1/usage", &headers, b"")).await;
        let total = usage.json()["total"].clone();
        if total["requests"].as_u64() == Some(requests) {
            return total;
        }
        assert!(Instant::now() < deadline, "{requests} requests are not booked: {total}");
        time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn request_reserves_at_the_price_of_the_requested_tier() {
    let upstream = Upstream::start().await;
    upstream.addressed(standard);
    for (path, model, dear) in [
        ("/v1/chat/completions", "lab/own", json!({ "service_tier": "priority" })),
        ("/v1/responses", "openai/gpt-x", json!({ "service_tier": "priority" })),
        ("/v1/messages", "anthropic/claude-x", json!({ "speed": "fast" })),
    ] {
        // 50 tokens cost $0.0001, or $0.001 in the dearer tier.
        let (gateway, file) = start(&upstream, "0.0005").await;
        let refused = send(&gateway, path, &ask(path, model, dear)).await;
        let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(refused.status(), 429, "{path}: {}", refused.text());
        assert!(message.contains("the request could cost up to $0.00"), "{message}");
        let admitted = send(&gateway, path, &ask(path, model, json!({}))).await;
        assert_eq!(admitted.status(), 200, "{path}: {}", admitted.text());
        fs::remove_file(file).unwrap();
    }
}

#[tokio::test]
async fn cheaper_tier_reserves_less_than_the_standard_one() {
    let upstream = Upstream::start().await;
    upstream.addressed(standard);
    let (gateway, file) = start(&upstream, "0.00005").await;
    let path = "/v1/chat/completions";
    let refused = send(&gateway, path, &ask(path, "lab/own", json!({}))).await;
    assert_eq!(refused.status_and_code(), "429 budget_exceeded");
    let flex = ask(path, "lab/own", json!({ "service_tier": "flex" }));
    let explained = send(&gateway, "/v1/explain", &flex).await.json();
    let most = explained["targets"][0]["cost_nano_dollars"]["most"].as_u64().unwrap();
    assert!((10_000..20_000).contains(&most), "50 tokens at 200: {explained}");
    assert_eq!(send(&gateway, path, &flex).await.status_and_code(), "200");
    // It was served in the standard tier, and costs what that does.
    assert_eq!(booked(&gateway, 1).await["cost_nano_usd"], 7 * 1000 + 3 * 2000);
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn answer_without_a_report_is_booked_at_the_requested_tier() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(
        200,
        json!({ "id": "a", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": "Hi." } }] })
        .to_string(),
    ));
    let (gateway, file) = start(&upstream, "1").await;
    let path = "/v1/chat/completions";
    let mut costs = Vec::new();
    for (number, tier) in (1..).zip(["default", "priority"]) {
        let body = ask(path, "lab/own", json!({ "service_tier": tier }));
        assert_eq!(send(&gateway, path, &body).await.status_and_code(), "200");
        costs.push(booked(&gateway, number).await["cost_nano_usd"].as_u64().unwrap());
    }
    assert!(costs[1] - costs[0] >= 9 * costs[0], "{costs:?}");
    fs::remove_file(file).unwrap();
}

/// What Gemini answers that has more to write, served in the tier `flex`.
const UNFINISHED: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi."}]},"index":0,"finishReason":"CONTINUATION","continuationToken":"dG9rZW4="}],"modelVersion":"m","responseId":"r1","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":10,"totalTokenCount":20,"serviceTier":"flex"}}"#;

#[tokio::test]
async fn gemini_is_asked_for_its_tier_and_booked_at_it() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, UNFINISHED));
    let (gateway, file) = start(&upstream, "1").await;
    let path = "/v1/chat/completions";
    let body = ask(path, "gemini/gemini-x", json!({ "service_tier": "flex" }));
    let reply = send(&gateway, path, &body).await;
    assert_eq!((reply.status_and_code().as_str(), reply.header("x-gateway-dropped")), ("200", ""));
    assert_eq!(upstream.last().json()["serviceTier"], "flex");
    assert_eq!(booked(&gateway, 1).await["cost_nano_usd"], 10 * 100 + 10 * 200);
    let body = ask(path, "gemini/gemini-x", json!({ "service_tier": "turbo" }));
    let reply = send(&gateway, path, &body).await;
    assert_eq!((reply.status(), reply.header("x-gateway-dropped")), (200, "service_tier"));
    assert_eq!(upstream.last().json().get("serviceTier"), None);
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn unfinished_answer_of_gemini_is_cut_short_in_every_dialect() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, UNFINISHED));
    let (gateway, file) = start(&upstream, "1").await;
    for (path, member, expected) in [
        ("/v1/chat/completions", "/choices/0/finish_reason", "length"),
        ("/v1/responses", "/incomplete_details/reason", "max_output_tokens"),
        ("/v1/messages", "/stop_reason", "max_tokens"),
    ] {
        let body = ask(path, "gemini/gemini-x", json!({ "continuation_token": "dG9rZW4=" }));
        let reply = send(&gateway, path, &body).await;
        assert_eq!(
            reply.json().pointer(member),
            Some(&json!(expected)),
            "{path}: {}",
            reply.text()
        );
        assert_eq!(upstream.last().json()["continuationToken"], "dG9rZW4=", "{path}");
    }
    fs::remove_file(file).unwrap();
}
