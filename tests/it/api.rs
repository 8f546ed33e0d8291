//! The endpoints other than conversations: completions, embeddings, token counts, model lists, and
//! the API description.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, request};
use serde_json::{Value, json};

async fn post(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await
}

async fn complete(gateway: &Gateway, body: Value) -> Reply {
    post(gateway, "/v1/completions", &[], &body).await
}

/// The texts of a completion's choices, and how each ended.
fn texts(answer: &Value) -> Vec<String> {
    let choices = answer["choices"].as_array().unwrap().iter();
    let text = |it: &Value| format!("{}[{}]", it["text"].as_str().unwrap(), it["finish_reason"]);
    choices.map(|choice| text(choice).replace('"', "")).collect()
}

/// Returns the text of a stream's chunks, as [`texts`] writes it.
fn chunk_texts(reply: &Reply) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut events = reply.events();
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    for event in events {
        let chunk: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(chunk["object"], "text_completion");
        for choice in chunk["choices"].as_array().unwrap() {
            let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
            texts.resize(texts.len().max(index + 1), String::new());
            texts[index].push_str(choice["text"].as_str().unwrap());
            if let Some(finish) = choice["finish_reason"].as_str() {
                texts[index] += &["[", finish, "]"].concat();
            }
        }
    }
    texts
}

#[tokio::test]
async fn completion_works_streamed_and_whole() {
    let gateway = Setup::new().start().await;
    for (body, expected) in [
        (json!({ "prompt": "one two" }), vec!["one two[stop]"]),
        (json!({ "prompt": ["a", "b c", "d"] }), vec!["a[stop]", "b c[stop]", "d[stop]"]),
        (json!({ "prompt": ["a ", "b "], "echo": true }), vec!["a a [stop]", "b b [stop]"]),
    ] {
        let mut body = body;
        body["model"] = json!("fake/echo");
        let whole = complete(&gateway, body.clone()).await;
        assert_eq!(whole.status(), 200, "{}", whole.text());
        assert_eq!(whole.header("x-gateway-provider"), "fake");
        assert_eq!(texts(&whole.json()), expected);
        body["stream"] = json!(true);
        assert_eq!(chunk_texts(&complete(&gateway, body).await), expected);
    }
}

#[tokio::test]
async fn completion_has_openai_shape() {
    let gateway = Setup::new().start().await;
    let asked = json!({ "model": "fake/echo", "prompt": ["a b", "c"] });
    let answer = complete(&gateway, asked).await.json();
    assert_eq!(answer["object"], "text_completion");
    assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"), "{answer}");
    let usage = &answer["usage"];
    let counts = ["prompt_tokens", "completion_tokens", "total_tokens"].map(|it| usage[it].clone());
    assert_eq!(counts, [json!(3), json!(3), json!(6)], "the counts of all prompts");
    let told = gateway.outcomes(1).await;
    assert_eq!((&told[0]["path"], &told[0]["outcome"]), (&json!("/v1/completions"), &json!("ok")));
}

#[tokio::test]
async fn completion_is_translated_to_upstream_dialect() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let asked = json!({ "model": "lab/m", "prompt": "a", "best_of": 3, "stop": "q" });
    let reply = complete(&gateway, asked).await;
    assert_eq!(texts(&reply.json()), ["Hello.[stop]"]);
    assert_eq!(reply.header("x-gateway-dropped"), "best_of");
    let sent = upstream.last();
    assert!(sent.head.line.contains("/chat/completions HTTP"), "{}", sent.head.line);
    let messages = json!([{ "role": "user", "content": "a" }]);
    let sent = sent.json();
    assert_eq!((&sent["messages"], &sent["stop"]), (&messages, &json!(["q"])));
    assert_eq!((sent.get("prompt"), sent.get("suffix"), sent.get("best_of")), (None, None, None));
}

#[tokio::test]
async fn invalid_completion_request_is_rejected() {
    let gateway = Setup::new().start().await;
    for (body, told) in [
        (json!({ "model": "fake/echo" }), "400 invalid_request"),
        (json!({ "model": "fake/echo", "prompt": [1, 2] }), "400 invalid_request"),
        (json!({ "prompt": "a" }), "400 invalid_parameter"),
        (json!({ "model": "nobody/x", "prompt": "a" }), "404 model_not_found"),
        (json!({ "model": "fake/error-500", "prompt": ["a", "b"] }), "502 upstream_error"),
        (json!({ "model": "fake/cut-1", "prompt": "a" }), "502 upstream_cut"),
    ] {
        let reply = complete(&gateway, body.clone()).await;
        assert_eq!(reply.status_and_code(), told, "{body}");
    }
    let strict = [("X-Gateway-Strict", "true")];
    let body = json!({ "model": "fake/echo", "prompt": "a", "best_of": 3 });
    let reply = post(&gateway, "/v1/completions", &strict, &body).await;
    assert_eq!(reply.status_and_code(), "400 unsupported_parameter");
}

async fn embed(gateway: &Gateway, body: Value) -> Reply {
    post(gateway, "/v1/embeddings", &[], &body).await
}

#[tokio::test]
async fn embeddings_are_returned() {
    let gateway = Setup::new().start().await;
    let asked = json!({ "model": "fake/any", "input": ["a b", "c", "a b"], "dimensions": 4 });
    let reply = embed(&gateway, asked).await;
    assert_eq!(reply.header("x-gateway-provider"), "fake");
    let answer = reply.json();
    assert_eq!((&answer["object"], &answer["usage"]["prompt_tokens"]), (&json!("list"), &json!(5)));
    let data = answer["data"].as_array().unwrap();
    let indexes: Vec<_> = data.iter().map(|it| it["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert_eq!(data[0]["embedding"].as_array().unwrap().len(), 4);
    assert_eq!(data[0]["embedding"], data[2]["embedding"]);
    assert_ne!(data[0]["embedding"], data[1]["embedding"]);
    let told = gateway.outcomes(1).await;
    assert_eq!(
        (&told[0]["path"], &told[0]["prompt_tokens"]),
        (&json!("/v1/embeddings"), &json!(5))
    );
}

#[tokio::test]
async fn embedding_encoding_format_is_respected() {
    let gateway = Setup::new().start().await;
    let asked = |format| json!({ "model": "fake/x", "input": "a", "encoding_format": format });
    let numbers = embed(&gateway, asked("float")).await.json();
    assert!(numbers["data"][0]["embedding"].is_array());
    let packed = embed(&gateway, asked("base64")).await.json();
    let packed = packed["data"][0]["embedding"].as_str().unwrap().to_owned();
    assert_eq!(packed.len(), (8 * 4_usize).div_ceil(3) * 4);
}

#[tokio::test]
async fn embeddings_come_from_upstream() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let vector = json!({ "object": "embedding", "index": 0, "embedding": [0.25, -1] });
    let usage = json!({ "prompt_tokens": 2, "total_tokens": 2 });
    let answer = json!({ "object": "list", "data": [vector], "model": "m-1", "usage": usage });
    upstream.next(Script::json(200, answer.to_string()));
    let reply = embed(&gateway, json!({ "model": "lab/m", "input": "a", "truncate": true })).await;
    assert_eq!(reply.json(), answer);
    let sent = upstream.last();
    assert!(sent.head.line.contains("/embeddings HTTP"), "{}", sent.head.line);
    assert_eq!(sent.json(), json!({ "model": "m", "input": ["a"], "truncate": true }));
}

#[tokio::test]
async fn embeddings_have_total_deadline() {
    let upstream = Upstream::start().await;
    let brief = ["connect", "first_byte", "first_token", "total"]
        .into_iter()
        .fold(Setup::before(&upstream), |setup, name| setup.timeout(name, "300ms"));
    let gateway = brief.start().await;
    let ask = || embed(&gateway, json!({ "model": "lab/m", "input": "a" }));
    upstream.next(Script::new().stall());
    assert_eq!(ask().await.status_and_code(), "504 upstream_timeout");
    upstream.next(Script::json(200, "{}"));
    assert_eq!(ask().await.status_and_code(), "502 upstream_invalid_response");
    upstream.next(Script::json(400, r#"{"error":{"message":"too long","type":"x"}}"#));
    assert_eq!(ask().await.status_and_code(), "400 invalid_request");
    let outcomes = gateway.outcomes(3).await;
    let told: Vec<_> = outcomes.iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(told, ["upstream_timeout", "upstream_invalid_response", "invalid_request"]);
}

#[tokio::test]
async fn provider_without_embeddings_is_rejected() {
    let setup = Setup::new().provider("claude", "http://127.0.0.1:1");
    let gateway = setup.set("providers.claude", "kind", "anthropic").start().await;
    for (body, told) in [
        (json!({ "model": "claude/x", "input": "a" }), "400 unsupported_model"),
        (json!({ "model": "fake/x" }), "400 invalid_request"),
        (json!({ "model": "fake/x", "input": [] }), "400 invalid_request"),
        (json!({ "model": "fake/x", "input": "a", "dimensions": 0 }), "400 invalid_request"),
        (json!({ "input": "a" }), "400 invalid_parameter"),
        (json!({ "model": "nobody/x", "input": "a" }), "404 model_not_found"),
    ] {
        assert_eq!(embed(&gateway, body.clone()).await.status_and_code(), told, "{body}");
    }
}

async fn count(gateway: &Gateway, model: &str, besides: Value) -> Reply {
    let mut body =
        json!({ "model": model, "messages": [{ "role": "user", "content": "12345678" }] });
    body.as_object_mut().unwrap().extend(besides.as_object().cloned().unwrap_or_default());
    let headers = [("Anthropic-Version", "2023-06-01"), ("Anthropic-Beta", "b-1")];
    post(gateway, "/v1/messages/count_tokens", &headers, &body).await
}

#[tokio::test]
async fn token_count_is_forwarded_to_provider() {
    let upstream = Upstream::start().await;
    let setup = Setup::new().provider("claude", &upstream.url());
    let gateway = setup.set("providers.claude", "kind", "anthropic").start().await;
    upstream.next(Script::json(200, r#"{"input_tokens":42}"#));
    let reply = count(&gateway, "claude/m", json!({ "system": "s", "new_thing": 1 })).await;
    assert_eq!(
        (reply.json(), reply.header("x-gateway-estimated")),
        (json!({ "input_tokens": 42 }), "")
    );
    let sent = upstream.last();
    assert!(sent.head.line.contains("/messages/count_tokens HTTP"), "{}", sent.head.line);
    assert_eq!(sent.head.header("anthropic-beta"), Some("b-1"));
    assert_eq!((&sent.json()["model"], &sent.json()["new_thing"]), (&json!("m"), &json!(1)));
    assert_eq!(gateway.outcomes(1).await[0]["path"], "/v1/messages/count_tokens");

    upstream.next(Script::json(529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#));
    let reply = count(&gateway, "claude/m", Value::Null).await;
    assert_eq!((reply.status(), &reply.json()["error"]["type"]), (503, &json!("overloaded_error")));
}

#[tokio::test]
async fn token_count_is_estimated_without_provider_support() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).provider("claude", &upstream.url());
    let gateway = setup.set("providers.claude", "kind", "anthropic").start().await;
    upstream.next(Script::json(404, "{}"));
    for model in ["fake/echo", "lab/m", "claude/m"] {
        let reply = count(&gateway, model, Value::Null).await;
        assert_eq!(reply.header("x-gateway-estimated"), "true", "{model}: {}", reply.text());
        assert!((5..=7).contains(&reply.json()["input_tokens"].as_u64().unwrap()), "{model}");
    }
    let tool = json!({ "name": "look", "input_schema": { "type": "object", "properties": {} } });
    let reply = count(&gateway, "fake/echo", json!({ "tools": [tool] })).await;
    assert!(reply.json()["input_tokens"].as_u64().unwrap() > 12, "{}", reply.text());
    assert_eq!(upstream.exchanges().len(), 1, "only who speaks the dialect is asked");
}

#[tokio::test]
async fn invalid_count_request_gets_anthropic_error() {
    let gateway = Setup::new().start().await;
    for (model, besides, status, kind) in [
        ("nobody/x", json!({}), 404, "not_found_error"),
        ("fake/echo", json!({ "messages": [] }), 400, "invalid_request_error"),
        ("fake/echo", json!({ "messages": [1] }), 400, "invalid_request_error"),
    ] {
        let reply = count(&gateway, model, besides).await;
        let told = reply.json();
        assert_eq!(
            (reply.status(), &told["type"], &told["error"]["type"]),
            (status, &json!("error"), &json!(kind))
        );
    }
}

const ANTHROPIC: (&str, &str) = ("anthropic-version", "2023-06-01");

async fn get(gateway: &Gateway, path: &str) -> Reply {
    gateway.send(request("GET", path, &[ANTHROPIC], b"")).await
}

#[tokio::test]
async fn model_list_includes_aliases() {
    let gateway = Setup::new()
        .set("aliases", "scripted", "fake/echo")
        .set("aliases", "broken", "openai/x")
        .start()
        .await;
    let list = gateway.get("/v1/models").await.json();
    let ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"scripted") && !ids.contains(&"broken"), "{ids:?}");
    assert!(!ids.contains(&"claude"), "its provider has no key: {ids:?}");
    let found = gateway.get("/v1/models/scripted").await.json();
    assert_eq!((&found["id"], &found["owned_by"]), (&json!("scripted"), &json!("fake")));
}

#[tokio::test]
async fn model_list_has_anthropic_shape_for_anthropic_clients() {
    let gateway = Setup::new().env("ANTHROPIC_API_KEY", "sk-test").start().await;
    let mut ids = Vec::new();
    let mut path = "/v1/models?limit=7".to_owned();
    loop {
        let page = get(&gateway, &path).await.json();
        let data = page["data"].as_array().unwrap();
        assert!(data.iter().all(|it| it["type"] == "model" && it["created_at"].is_string()));
        assert_eq!(page["first_id"], data[0]["id"]);
        ids.extend(data.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        if page["has_more"] != true {
            break;
        }
        path = format!("/v1/models?limit=7&after_id={}", page["last_id"].as_str().unwrap());
    }
    let all = gateway.get("/v1/models").await.json();
    let all: Vec<_> = all["data"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(json!(ids), json!(all));
    let one = get(&gateway, &format!("/v1/models/{}", ids[0])).await.json();
    assert_eq!((&one["type"], &one["id"]), (&json!("model"), &json!(ids[0])));
    let missing = get(&gateway, "/v1/models/nobody").await;
    assert_eq!(
        (missing.status(), &missing.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    assert_eq!(get(&gateway, "/v1/models?limit=0").await.status(), 400);
}

#[tokio::test]
async fn openapi_document_is_public() {
    let gateway = Setup::new().client("app", "sk-app-0123456789abcdef").start().await;
    assert_eq!(gateway.get("/v1/models").await.status(), 401);
    let document = gateway.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let version = document["info"]["version"].as_str().unwrap();
    assert_eq!(version.split('.').count(), 3);
    assert_eq!(version, gateway.get("/").await.json()["version"]);
    assert!(document["paths"]["/v1/chat/completions"]["post"].is_object());
}

#[tokio::test]
async fn openapi_paths_all_have_handlers() {
    let gateway = Setup::new().start().await;
    let document = gateway.get("/openapi.json").await.json();
    // The feed of the console has no end.
    let paths = document["paths"].as_object().unwrap().iter();
    for (path, item) in paths.filter(|(path, _)| *path != "/console/feed") {
        // What switches to another protocol has tests of its own.
        let switches = |name: &str| item[name]["responses"]["101"].is_object();
        let methods = item.as_object().unwrap().keys();
        let methods = methods.filter(|it| *it != "parameters" && !switches(it));
        for method in methods.map(|it| it.to_uppercase()) {
            let headers = [("Content-Type", "application/json")];
            let at = path.replace("{id}", "x");
            let reply = gateway.send(request(&method, &at, &headers, b"{}")).await;
            let told = reply.text();
            assert!(reply.status() != 405 && reply.status() != 500, "{method} {path}: {told}");
        }
    }
}
