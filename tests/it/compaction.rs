//! Conversations that are replaced by a summary.

use gateway_tests::{Dialect, Gateway, Reply, ScriptedAnswer, Setup, Upstream, request};
use serde_json::{Value, json};

async fn start(dialect: Dialect) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .client("a", "gw-key-of-a-0000000000000000000")
        .speaking("lab", dialect)
        .client("b", "gw-key-of-b-0000000000000000000");
    (upstream, setup.start().await)
}

async fn post(gateway: &Gateway, client: &str, path: &str, body: &Value) -> Reply {
    let key = format!("Bearer gw-key-of-{client}-0000000000000000000");
    let headers = [("Content-Type", "application/json"), ("Authorization", key.as_str())];
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await
}

fn history() -> Value {
    json!([
        { "role": "user", "content": "what is the weather" },
        { "type": "function_call", "call_id": "c1", "name": "look", "arguments": "{\"city\":\"Oslo\"}" },
        { "type": "function_call_output", "call_id": "c1", "output": "12 C" },
        { "role": "assistant", "content": "It is 12 C." },
    ])
}

fn tools() -> Value {
    json!([{ "type": "function", "name": "look", "parameters": { "type": "object" } }])
}

fn with(mut items: Value, item: Value) -> Value {
    items.as_array_mut().unwrap().push(item);
    items
}

/// The dialects of providers that do not compact conversations themselves.
const OTHERS: [Dialect; 4] = [Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];

#[tokio::test]
async fn trigger_yields_exactly_one_item_over_every_upstream() {
    for dialect in OTHERS {
        for stream in [false, true] {
            let (upstream, gateway) = start(dialect).await;
            upstream.next(dialect.says(
                &ScriptedAnswer { thought: "Hm.", ..ScriptedAnswer::text(&["the ", "summary"]) },
                stream,
            ));
            let input = with(history(), json!({ "type": "compaction_trigger" }));
            let body = json!({ "model": "lab/m", "input": input, "tools": tools(), "stream": stream, "store": false });
            let reply = post(&gateway, "a", "/v1/responses", &body).await;
            assert_eq!(reply.status(), 200, "{}", reply.text());
            let response = if stream {
                let events: Vec<Value> =
                    reply.events().iter().filter_map(|it| serde_json::from_str(it).ok()).collect();
                let done = events.iter().filter(|it| it["type"] == "response.output_item.done");
                let kinds: Vec<_> = done.map(|it| it["item"]["type"].as_str().unwrap()).collect();
                assert_eq!(kinds, ["compaction"], "{}", dialect.name());
                events.last().unwrap()["response"].clone()
            } else {
                reply.json()
            };
            assert_eq!(response["status"], "completed");
            let output = response["output"].as_array().unwrap();
            assert_eq!((output.len(), &output[0]["type"]), (1, &json!("compaction")), "{response}");
            assert!(response["usage"]["output_tokens"].as_u64().unwrap() > 0, "it is billed");
            let sent = upstream.last();
            assert!(!sent.text().contains("\"tools\""), "{}", sent.text());
            for text in ["what is the weather", "Oslo", "12 C", "Summarize"] {
                assert!(sent.text().contains(text), "{text}: {}", sent.text());
            }
            let outcomes = gateway.outcomes(1).await;
            assert_eq!(outcomes[0]["path"], "/v1/responses/compact", "{outcomes:?}");
        }
    }
}

#[tokio::test]
async fn summary_is_restored_whichever_model_comes_next() {
    for dialect in OTHERS {
        let (upstream, gateway) = start(dialect).await;
        upstream.next(dialect.says(&ScriptedAnswer::text(&["the summary"]), false));
        let body = json!({ "model": "lab/m", "input": history(), "tools": tools() });
        let reply = post(&gateway, "a", "/v1/responses/compact", &body).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let object = reply.json();
        assert_eq!(object["object"], "response.compaction");
        let output = object["output"].clone();
        let kinds: Vec<_> = output
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["type"].as_str().unwrap_or("message"))
            .collect();
        assert_eq!(kinds, ["message", "compaction"]);
        assert_eq!(output[0]["content"], "what is the weather");
        let input = with(output, json!({ "role": "user", "content": "and tomorrow" }));
        let body = json!({ "model": "lab/m", "input": input });
        upstream.next(dialect.says(&ScriptedAnswer::text(&["ok"]), false));
        let reply = post(&gateway, "a", "/v1/responses", &body).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let sent = upstream.last();
        assert!(
            sent.text().contains("the summary") && !sent.text().contains("gwc1"),
            "{}",
            sent.text()
        );
        // By the response that followed, too.
        let next =
            json!({ "model": "lab/m", "input": "go", "previous_response_id": reply.json()["id"] });
        upstream.next(dialect.says(&ScriptedAnswer::text(&["ok"]), false));
        assert_eq!(post(&gateway, "a", "/v1/responses", &next).await.status(), 200);
        assert!(upstream.last().text().contains("the summary"));
        let stolen = post(&gateway, "b", "/v1/responses", &body).await;
        assert_eq!(stolen.status_and_code(), "400 invalid_encrypted_content");
    }
}

#[tokio::test]
async fn provider_that_compacts_itself_is_asked_to_and_gets_its_item_back() {
    let (upstream, gateway) = start(Dialect::Responses).await;
    let item = json!({ "type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA" });
    let native = json!({
        "id": "resp_9", "object": "response", "created_at": 5, "status": "completed", "model": "m", "output": [item],
        "usage": { "input_tokens": 7, "output_tokens": 3, "total_tokens": 10 },
    });
    upstream.next(gateway_tests::Script::json(200, native.to_string()));
    let trigger = json!({ "type": "compaction_trigger" });
    let body =
        json!({ "model": "lab/m", "input": with(history(), trigger.clone()), "store": false });
    let reply = post(&gateway, "a", "/v1/responses", &body).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(upstream.last().json()["input"][4], trigger);
    let returned = reply.json()["output"].clone();
    assert_ne!(returned[0]["encrypted_content"], "gAAA", "it names its owner");
    let input = with(returned.clone(), json!({ "role": "user", "content": "go" }));
    upstream.next(Dialect::Responses.says(&ScriptedAnswer::text(&["ok"]), false));
    let body = json!({ "model": "lab/m", "input": input, "store": false });
    assert_eq!(post(&gateway, "a", "/v1/responses", &body).await.status(), 200);
    assert_eq!(upstream.last().json()["input"][0], item);
    let asked = upstream.exchanges().len();
    let other = json!({ "model": "lab/another", "input": input, "store": false });
    let reply = post(&gateway, "a", "/v1/responses", &other).await;
    assert_eq!(
        (reply.status_and_code().as_str(), upstream.exchanges().len()),
        ("400 invalid_encrypted_content", asked)
    );
}

#[tokio::test]
async fn malformed_compactions_are_refused() {
    let (upstream, gateway) = start(Dialect::Chat).await;
    let trigger = json!({ "type": "compaction_trigger" });
    let item = |content: &str| json!({ "type": "compaction", "id": "cmp_1", "encrypted_content": content });
    for input in [
        json!([trigger, { "role": "user", "content": "x" }]),
        json!([item("gwc1:00:forged"), { "role": "user", "content": "x" }]),
        json!([item("gwc2:00:newer"), { "role": "user", "content": "x" }]),
        json!([item("gAAAAAB"), { "role": "user", "content": "x" }]),
    ] {
        let body = json!({ "model": "lab/m", "input": input });
        let reply = post(&gateway, "a", "/v1/responses", &body).await;
        assert_eq!(reply.status(), 400, "{input}: {}", reply.text());
    }
    assert!(upstream.exchanges().is_empty());
}
