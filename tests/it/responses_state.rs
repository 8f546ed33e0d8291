//! Stored responses: continued, replayed, and run in the background.

use gateway_tests::{
    ExchangeEnd, Gateway, RawConnection, Reply, Script, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// Returns a request to `model` with these members.
fn asks(model: &str, besides: &Value) -> Vec<u8> {
    let mut body = json!({ "model": model, "input": "Hello" });
    for (name, value) in besides.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    request("POST", "/v1/responses", &JSON, body.to_string().as_bytes())
}

async fn create(gateway: &Gateway, model: &str, besides: Value) -> Value {
    let reply = gateway.send(asks(model, &besides)).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.json()
}

async fn act(gateway: &Gateway, method: &str, path: &str) -> Reply {
    gateway.send(request(method, &format!("/v1/responses/{path}"), &[], b"")).await
}

async fn get(gateway: &Gateway, path: &str) -> Reply {
    gateway.get(&format!("/v1/responses/{path}")).await
}

/// Waits until the answer `id` has this status.
async fn until(gateway: &Gateway, id: &str, status: &str) -> Value {
    for _ in 0..1000 {
        let response = get(gateway, id).await.json();
        if response["status"] == status {
            return response;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{id} does not become {status}: {}", get(gateway, id).await.text())
}

fn id(response: &Value) -> &str {
    response["id"].as_str().expect("an id")
}

fn text_of(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"].as_str().unwrap_or_default()
}

/// The response object of an event, as it was written with its name.
fn object(block: &str) -> Value {
    let data = block.lines().find_map(|line| line.strip_prefix("data: ")).expect("an event");
    serde_json::from_str::<Value>(data).expect("JSON")["response"].clone()
}

/// Asks, asks for the answer, continues it, and deletes it.
async fn check(gateway: &Gateway, model: &str) {
    let first = create(gateway, model, json!({ "input": "one" })).await;
    assert_eq!(get(gateway, id(&first)).await.json(), first);
    let next = json!({ "input": "two", "previous_response_id": id(&first) });
    let second = create(gateway, model, next.clone()).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_eq!(second["status"], "completed");
    let items = get(gateway, &format!("{}/input_items", id(&second))).await.json();
    assert_eq!(items["data"][0]["content"][0]["text"], "two");
    assert_eq!(act(gateway, "DELETE", id(&first)).await.status(), 200);
    assert_eq!(get(gateway, id(&first)).await.status(), 404);
    let refused = gateway.send(asks(model, &next)).await;
    assert_eq!(refused.status_and_code(), "400 previous_response_not_found");
}

#[tokio::test]
async fn stored_response_lives_until_deleted() {
    let gateway = Setup::new().start().await;
    check(&gateway, "fake/echo").await;
}

#[tokio::test]
async fn previous_response_is_expanded_for_chat_upstream() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    check(&gateway, "lab/m").await;
    let told = &upstream.exchanges()[1].json()["messages"];
    let told: Vec<_> =
        told.as_array().unwrap().iter().map(|it| (&it["role"], &it["content"])).collect();
    let (user, model) = (json!("user"), json!("assistant"));
    let expected = [(&user, &json!("one")), (&model, &json!("Hello.")), (&user, &json!("two"))];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn stored_responses_survive_in_file_store() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).env("LLM_GATEWAY_STORE", "embedded").start().await;
    check(&gateway, "lab/m").await;
}

#[tokio::test]
async fn stream_can_be_replayed_from_any_event() {
    let gateway = Setup::new().start().await;
    let told = gateway.send(asks("fake/chunks-4", &json!({ "stream": true }))).await;
    let blocks: Vec<_> = told.text().split_inclusive("\n\n").collect();
    let path = format!("{}?stream=true", id(&object(blocks[0])));
    assert_eq!(get(&gateway, &path).await.text(), told.text());
    for seen in 0..blocks.len() {
        let rest = get(&gateway, &format!("{path}&starting_after={seen}")).await;
        assert_eq!(rest.text(), blocks[seen + 1..].concat());
    }
}

/// An upstream that says something and then nothing.
fn stalling() -> Script {
    Script::streaming().event(&openai::opening()).event(&openai::says("Hel")).stall()
}

/// A caller that asks with these members and reads until the answer is named and has begun.
async fn begin(gateway: &Gateway, besides: Value) -> (RawConnection, String) {
    let mut raw = gateway.connect().await;
    raw.send(asks("lab/m", &besides)).await;
    let mut stream = raw.begin().await;
    let name = id(&object(&stream.block().await.expect("a beginning"))).to_owned();
    while !stream.block().await.expect("some text").contains("output_text.delta") {}
    (raw, name)
}

#[tokio::test]
async fn disconnected_caller_resumes_stream() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    upstream.next(stalling());
    let (raw, name) = begin(&gateway, json!({ "stream": true })).await;
    assert_eq!(get(&gateway, &name).await.json()["status"], "in_progress");
    drop(raw);
    assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)));
    // At once: what is being kept is waited for.
    let next = json!({ "input": "go on", "previous_response_id": name });
    create(&gateway, "lab/m", next).await;
    let told = &upstream.last().json()["messages"];
    assert_eq!(told[1]["content"], "Hel");
    assert_eq!(told[2]["content"], "go on");
    assert_eq!(text_of(&until(&gateway, &name, "incomplete").await), "Hel");
}

#[tokio::test]
async fn background_response_runs_without_caller() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let queued = create(&gateway, "lab/m", json!({ "background": true })).await;
    assert_eq!(queued["status"], "queued");
    let done = until(&gateway, id(&queued), "completed").await;
    assert_eq!(text_of(&done), "Hello.");
}

#[tokio::test]
async fn background_response_can_be_rejoined() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let events = openai::streamed(&["Hel", "lo."]);
    let (head, rest) = events.split_at(2);
    let script = head.iter().fold(Script::streaming(), |script, event| script.event(event));
    let script = rest.iter().fold(script.wait(500), |script, event| script.event(event));
    upstream.next(script.end());
    let (raw, name) = begin(&gateway, json!({ "stream": true, "background": true })).await;
    drop(raw);
    let told = get(&gateway, &format!("{name}?stream=true")).await;
    let last = told.text().trim_end().split("\n\n").last().unwrap();
    assert_eq!(text_of(&object(last)), "Hello.");
    assert_eq!(upstream.ended().await, ExchangeEnd::Played);
}

#[tokio::test]
async fn cancelled_background_response_cancels_upstream() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    upstream.next(stalling());
    let (_raw, name) = begin(&gateway, json!({ "stream": true, "background": true })).await;
    let cancelled = act(&gateway, "POST", &format!("{name}/cancel")).await.json();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(text_of(&cancelled), "Hel");
    assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)));
    assert_eq!(get(&gateway, &name).await.json(), cancelled);
}

#[tokio::test]
async fn responses_upstream_receives_original_request() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).set("providers.lab", "api", "responses");
    let gateway = setup.start().await;
    let answer = json!({
        "id": "resp_up", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [{ "id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
            "content": [{ "type": "output_text", "text": "Hi.", "annotations": [] }] }],
        "usage": { "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 },
    });
    upstream.next(Script::json(200, answer.to_string()));
    upstream.next(Script::json(200, answer.to_string().replace("resp_up", "resp_next")));
    let first = gateway.send(asks("lab/m", &Value::Null)).await;
    assert_eq!(first.text(), answer.to_string());
    assert_eq!(get(&gateway, "resp_up").await.json(), answer);
    create(&gateway, "lab/m", json!({ "previous_response_id": "resp_up" })).await;
    assert_eq!(upstream.last().json()["previous_response_id"], "resp_up");
    assert_eq!(upstream.last().json()["input"], "Hello");
    // Elsewhere nobody knows it but us.
    let echoed =
        create(&gateway, "fake/echo", json!({ "previous_response_id": "resp_next" })).await;
    assert_eq!(text_of(&echoed), "Hello");
}
