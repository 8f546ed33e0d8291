//! What a request is booked at: the price of the tier that served it and of the length of its prompt, in
//! every dialect, streamed, whole and in the background.

use gateway_tests::{Gateway, PATIENCE, Script, Setup, Upstream, request};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};
use tokio::time::{self, Duration, Instant};

/// A dollar and two for a token in nano-dollars, ten times that for prompts of more than 100 tokens,
/// three times that in the tier `priority`.
const CATALOGUE: &str = "# generated 2026-11-30 by hand\n\
anthropic/claude-x\n\t* o i=1 o=2 >100 i=10 o=20 priority i=3 o=6\n\
lab/own\n\t* o i=1 o=2 >100 i=10 o=20 priority i=3 o=6\n\
openai/gpt-x\n\t* o i=1 o=2 >100 i=10 o=20 priority i=3 o=6\n";

/// The paths of callers, and the models whose providers answer in the same dialect.
const DIALECTS: [(&str, &str); 3] = [
    ("/v1/chat/completions", "lab/own"),
    ("/v1/responses", "openai/gpt-x"),
    ("/v1/messages", "anthropic/claude-x"),
];

async fn start(upstream: &Upstream) -> (Gateway, PathBuf) {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("pricing-{}-{number}.txt", std::process::id());
    let file = std::env::temp_dir().join(name);
    fs::write(&file, CATALOGUE).unwrap();
    let setup = ["openai", "anthropic"].into_iter().fold(Setup::before(upstream), |setup, name| {
        let section = format!("providers.{name}");
        setup.provider(name, &upstream.url()).set(&section, "api_key", "sk-upstream")
    });
    let setup = setup.set("catalogue", "file", &file.to_string_lossy());
    (setup.start().await, file)
}

fn body(path: &str, model: &str, stream: bool) -> Value {
    match path {
        "/v1/responses" => json!({ "model": model, "input": "Hi", "stream": stream }),
        _ => json!({ "model": model, "max_tokens": 50, "stream": stream,
            "messages": [{ "role": "user", "content": "Hi" }] }),
    }
}

/// The answer of a provider with `prompt` tokens read and three written, served in `tier`.
fn answer(path: &str, prompt: u64, tier: &str, stream: bool) -> Script {
    match path {
        "/v1/messages" => messages(prompt, tier, stream),
        "/v1/responses" => responses(prompt, tier, stream),
        _ => chat(prompt, tier, stream),
    }
}

fn chat(prompt: u64, tier: &str, stream: bool) -> Script {
    let usage =
        json!({ "prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3 });
    let object = |object: &str, choices: Value, usage: Value| {
        json!({ "id": "chatcmpl-1", "object": object, "created": 1, "model": "m",
            "service_tier": tier, "choices": choices, "usage": usage })
        .to_string()
    };
    if !stream {
        let message = json!({ "role": "assistant", "content": "Hi." });
        let choices = json!([{ "index": 0, "message": message, "finish_reason": "stop" }]);
        return Script::json(200, object("chat.completion", choices, usage));
    }
    let says = json!([{ "index": 0, "delta": { "role": "assistant", "content": "Hi." } }]);
    let stops = json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]);
    let chunk = "chat.completion.chunk";
    Script::events([
        object(chunk, says, Value::Null),
        object(chunk, stops, Value::Null),
        object(chunk, json!([]), usage),
        "[DONE]".to_owned(),
    ])
}

fn responses(prompt: u64, tier: &str, stream: bool) -> Script {
    let usage = json!({ "input_tokens": prompt, "output_tokens": 3, "total_tokens": prompt + 3 });
    let part = json!({ "type": "output_text", "text": "Hi.", "annotations": [] });
    let item = json!({ "type": "message", "id": "msg_1", "status": "completed",
        "role": "assistant", "content": [part] });
    let object = |status: &str, output: Value, usage: Value| {
        json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": status,
            "model": "m", "service_tier": tier, "output": output, "usage": usage })
    };
    let whole = object("completed", json!([item]), usage);
    if !stream {
        return Script::json(200, whole.to_string());
    }
    let begun = object("in_progress", json!([]), Value::Null);
    let opened = json!({ "type": "message", "id": "msg_1", "status": "in_progress",
        "role": "assistant", "content": [] });
    let empty = json!({ "type": "output_text", "text": "", "annotations": [] });
    let events = [
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.output_item.added", "output_index": 0, "item": opened }),
        json!({ "type": "response.content_part.added", "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "part": empty }),
        json!({ "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "delta": "Hi." }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
        json!({ "type": "response.completed", "response": whole }),
    ];
    Script::events(events.map(|event| event.to_string()))
}

fn messages(prompt: u64, tier: &str, stream: bool) -> Script {
    let usage = json!({ "input_tokens": prompt, "output_tokens": 3, "service_tier": tier });
    let message = |content: Value, stop: Value| {
        json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "c",
            "content": content, "stop_reason": stop, "stop_sequence": null, "usage": usage })
    };
    if !stream {
        let content = json!([{ "type": "text", "text": "Hi." }]);
        return Script::json(200, message(content, json!("end_turn")).to_string());
    }
    let events = [
        json!({ "type": "message_start", "message": message(json!([]), Value::Null) }),
        json!({ "type": "content_block_start", "index": 0,
            "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0,
            "delta": { "type": "text_delta", "text": "Hi." } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" },
            "usage": { "output_tokens": 3 } }),
        json!({ "type": "message_stop" }),
    ];
    Script::events(events.map(|event| event.to_string()))
}

/// The nano-dollars that are booked once `requests` requests are.
async fn booked(gateway: &Gateway, requests: u64) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let total = gateway.get("/v1/usage").await.json()["total"].clone();
        if total["requests"].as_u64() == Some(requests) {
            return total["cost_nano_usd"].as_u64().unwrap_or_default();
        }
        assert!(Instant::now() < deadline, "{requests} requests are not booked: {total}");
        time::sleep(Duration::from_millis(20)).await;
    }
}

/// Prompt, tier, and what a request costs in nano-dollars: a price of 1 is 1,000 for a token.
const CASES: [(u64, &str, u64); 3] = [
    (7, "default", 7_000 + 6_000),
    // The longer prompt makes the whole request dearer.
    (500, "default", 5_000_000 + 60_000),
    (7, "priority", 21_000 + 18_000),
];

#[tokio::test]
async fn stream_and_response_cost_the_price_of_the_served_tier_and_length() {
    let upstream = Upstream::start().await;
    let (gateway, file) = start(&upstream).await;
    let (mut requests, mut total) = (0, 0);
    for (path, model) in DIALECTS {
        // The provider answers in its own dialect to callers of each.
        for (inbound, _) in DIALECTS {
            for (prompt, tier, cost) in CASES {
                for stream in [false, true] {
                    // OpenAI is asked by its Responses API only by callers of that.
                    let is_chat = path == "/v1/responses" && inbound != path;
                    let own = if is_chat { "/v1/chat/completions" } else { path };
                    upstream.next(answer(own, prompt, tier, stream));
                    let body = body(inbound, model, stream).to_string();
                    let reply = gateway.send(request("POST", inbound, &[], body.as_bytes())).await;
                    assert_eq!(reply.status(), 200, "{}", reply.text());
                    requests += 1;
                    total += cost;
                    let case = format!("{inbound} {model} {prompt} {tier} {stream}");
                    assert_eq!(booked(&gateway, requests).await, total, "{case}");
                }
            }
        }
    }
    fs::remove_file(file).unwrap();
}

/// The hour of the day in UTC.
fn hour() -> u64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    now.as_secs() / 3600 % 24
}

#[tokio::test]
async fn answer_costs_the_price_of_the_hour() {
    let upstream = Upstream::start().await;
    let name = format!("hours-{}.txt", std::process::id());
    let file = std::env::temp_dir().join(name);
    // Twelve hours from now, and an hour more, within one day.
    let from = (hour() + 12) % 24;
    let elsewhere = format!("off@1234567/{from:02}:00-{:02}:00", from + 1);
    let text = format!(
        "# generated 2026-11-30 by hand\n\
         lab/at-all-hours\n\t* o i=2 o=4 off@12345/00:00-24:00@67/00:00-24:00 i=1 o=2\n\
         lab/at-other-hours\n\t* o i=2 o=4 {elsewhere} i=1 o=2\n"
    );
    fs::write(&file, text).unwrap();
    let setup = Setup::before(&upstream).set("catalogue", "file", &file.to_string_lossy());
    let gateway = setup.start().await;
    let mut total = 0;
    for (requests, (model, cost)) in
        (1..).zip([("lab/at-all-hours", 13_000), ("lab/at-other-hours", 26_000)])
    {
        upstream.next(chat(7, "default", false));
        let reply = gateway.ask(model, json!({})).await;
        let dollars = reply.header("x-gateway-cost-usd").to_owned();
        assert_eq!(dollars, format!("0.0000{}", cost / 1000), "{model}");
        total += cost;
        assert_eq!(booked(&gateway, requests).await, total, "{model}");
    }
    let shown = gateway.run(&["catalogue", "show", "lab/at-other-hours"]);
    assert!(shown.contains(&format!("{elsewhere} i=1 o=2")), "{shown}");
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn response_in_the_background_is_booked_at_its_tier() {
    let upstream = Upstream::start().await;
    let (gateway, file) = start(&upstream).await;
    for stream in [true, false] {
        upstream.next(answer("/v1/responses", 7, "priority", stream));
    }
    let body = json!({ "model": "openai/gpt-x", "input": "Hi", "background": true, "store": true });
    let reply =
        gateway.send(request("POST", "/v1/responses", &[], body.to_string().as_bytes())).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    let deadline = Instant::now() + PATIENCE;
    while gateway.get(&format!("/v1/responses/{id}")).await.json()["status"] != "completed" {
        assert!(Instant::now() < deadline, "it is not completed: {}", gateway.stdout());
        time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(booked(&gateway, 1).await, 21_000 + 18_000);
    fs::remove_file(file).unwrap();
}
