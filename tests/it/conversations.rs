//! Conversations of the Responses API, and items that are named instead of said again.

use gateway_tests::{Gateway, Reply, Setup, Upstream, request};
use serde_json::{Value, json};

async fn call(gateway: &Gateway, line: &str, body: &Value) -> Reply {
    let (method, path) = line.split_once(' ').unwrap();
    let headers = [("Content-Type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    gateway.send(request(method, path, &headers, body.as_bytes())).await
}

async fn respond(gateway: &Gateway, besides: Value) -> Value {
    let mut body = json!({ "model": "lab/m", "input": "Hello" });
    body.as_object_mut().unwrap().extend(besides.as_object().unwrap().clone());
    let reply = call(gateway, "POST /v1/responses", &body).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.json()
}

async fn begin(gateway: &Gateway) -> String {
    let begun = call(gateway, "POST /v1/conversations", &Value::Null).await.json();
    begun["id"].as_str().unwrap().to_owned()
}

/// Returns the last request to the upstream in a short notation.
fn upstream_input(upstream: &Upstream) -> String {
    let messages = upstream.last().json()["messages"].clone();
    let texts =
        messages.as_array().unwrap().iter().map(|it| it["content"].as_str().unwrap().to_owned());
    texts.collect::<Vec<_>>().join("|")
}

/// Two turns of a conversation, over the store that `setup` has.
async fn check(setup: Setup, upstream: &Upstream) {
    let gateway = setup.start().await;
    let name = begin(&gateway).await;
    let first = respond(&gateway, json!({ "input": "one", "conversation": name })).await;
    assert_eq!(first["conversation"], json!({ "id": name }));
    respond(&gateway, json!({ "input": "two", "conversation": { "id": name }, "store": false }))
        .await;
    assert_eq!(upstream_input(upstream), "one|Hello.|two");
    let path = format!("/v1/conversations/{name}/items");
    let items = gateway.get(&format!("{path}?order=asc")).await.json();
    assert_eq!(items["data"].as_array().unwrap().len(), 4, "{items}");
    assert_eq!(items["data"][1]["id"], first["output"][0]["id"]);
    let answer = first["output"][0]["id"].as_str().unwrap();
    assert_eq!(
        call(&gateway, &format!("DELETE {path}/{answer}"), &Value::Null).await.status(),
        200
    );
    respond(&gateway, json!({ "input": "three", "conversation": name })).await;
    assert_eq!(upstream_input(upstream), "one|two|Hello.|three");
    let gone = call(&gateway, &format!("DELETE /v1/conversations/{name}"), &Value::Null).await;
    assert_eq!(gone.json()["deleted"], true);
    let body = json!({ "model": "lab/m", "input": "x", "conversation": name });
    let refused = call(&gateway, "POST /v1/responses", &body).await;
    assert_eq!(refused.status_and_code(), "404 conversation_not_found");
}

#[tokio::test]
async fn conversation_is_extended_by_each_response() {
    let upstream = Upstream::start().await;
    check(Setup::before(&upstream), &upstream).await;
}

#[tokio::test]
async fn conversation_survives_in_file_store() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).env("LLM_GATEWAY_STORE", "embedded");
    check(setup, &upstream).await;
}

#[tokio::test]
async fn item_reference_is_resolved() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let first = respond(&gateway, json!({ "input": "one" })).await;
    let named = json!({ "type": "item_reference", "id": first["output"][0]["id"] });
    let user = |text: &str| json!({ "role": "user", "content": text });
    respond(&gateway, json!({ "input": [user("one"), named, user("two")] })).await;
    assert_eq!(upstream_input(&upstream), "one|Hello.|two");
    let unknown = json!({ "type": "item_reference", "id": "msg_nobody" });
    let body = json!({ "model": "lab/m", "input": [unknown] });
    let refused = call(&gateway, "POST /v1/responses", &body).await;
    assert_eq!(refused.status_and_code(), "404 item_not_found");
}

#[tokio::test]
async fn conflicting_history_sources_are_rejected() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let created = call(&gateway, "POST /v1/sessions", &Value::Null).await.json();
    let (session, name) = (created["id"].clone(), begin(&gateway).await);
    let first = respond(&gateway, json!({})).await;
    let id = &first["id"];
    for pair in [
        json!({ "conversation": name, "previous_response_id": id }),
        json!({ "session_id": session, "previous_response_id": id }),
        json!({ "session_id": session, "conversation": name }),
    ] {
        let mut body = json!({ "model": "lab/m", "input": "x" });
        body.as_object_mut().unwrap().extend(pair.as_object().unwrap().clone());
        let refused = call(&gateway, "POST /v1/responses", &body).await;
        assert_eq!(refused.status_and_code(), "400 mutually_exclusive_parameters", "{pair}");
    }
    assert_eq!(upstream.exchanges().len(), 1);
}

#[tokio::test]
async fn full_conversation_is_rejected_before_upstream_call() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let session = call(&gateway, "POST /v1/sessions", &Value::Null).await.json()["id"].clone();
    let large = "x".repeat(4 << 20);
    let messages = json!([{ "role": "user", "content": large }]);
    let ask = json!({ "session_id": session, "messages": messages });
    let refused = gateway.ask("lab/m", ask).await;
    assert_eq!(refused.status_and_code(), "413 session_full");
    assert!(upstream.exchanges().is_empty());
    assert_eq!(gateway.ask("lab/m", json!({ "session_id": session })).await.status(), 200);
}
