//! Conversations to which answers add.

use super::bench::{Bench, FailingStore, PEER, asks, id, last, said};
use crate::handle;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::sync::Arc;

impl Bench {
    async fn begin(&self, wish: Value) -> String {
        let (status, begun) = self.call(Method::POST, "/v1/conversations", wish).await;
        assert_eq!((status, &begun["object"]), (200, &json!("conversation")), "{begun}");
        id(&begun).to_owned()
    }

    async fn of(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.call(method, &format!("/v1/conversations/{path}"), body).await
    }

    /// Returns the items of the conversation, oldest first.
    async fn stored_items(&self, conversation: &str) -> String {
        let path = format!("{conversation}/items?order=asc&limit=100");
        let (status, list) = self.of(Method::GET, &path, Value::Null).await;
        assert_eq!(status, 200, "{list}");
        let text = |item: &Value| item["content"][0]["text"].as_str().unwrap_or("?").to_owned();
        list["data"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join("|")
    }

    fn upstream_input(&self) -> String {
        self.chat.asked.lock().unwrap().last().unwrap().texts.join("|")
    }
}

/// Turns of one conversation, whose answers are asked for with `more`.
async fn check_turns(more: Value) {
    let bench = Bench::new().await;
    let name = bench.begin(Value::Null).await;
    for (input, told, held) in [
        ("one", "User:one", "one|said 1"),
        ("two", "User:one|Assistant:said 1|User:two", "one|said 1|two|said 2"),
    ] {
        let mut ask = more.clone();
        ask["conversation"] = json!(name);
        ask["input"] = json!(input);
        let answer = if more["stream"] == true {
            last(&bench.stream("chat/say", ask).await)
        } else {
            bench.create("chat/say", ask).await
        };
        assert_eq!(answer["conversation"], json!({ "id": name }));
        if more["background"] == true {
            bench.until(id(&answer), "completed").await;
        }
        assert_eq!(bench.upstream_input(), told);
        assert_eq!(bench.stored_items(&name).await, held, "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_adds_a_turn() {
    for more in [
        json!({}),
        json!({ "stream": true }),
        json!({ "store": false }),
        json!({ "store": false, "stream": true }),
        json!({ "background": true }),
    ] {
        check_turns(more).await;
    }
}

#[tokio::test(start_paused = true)]
async fn items_keep_their_names() {
    let bench = Bench::new().await;
    let name = bench.begin(Value::Null).await;
    let answer = bench.create("chat/say", json!({ "conversation": { "id": name } })).await;
    let path = format!("{name}/items/{}", id(&answer["output"][0]));
    assert_eq!(bench.of(Method::GET, &path, Value::Null).await, (200, answer["output"][0].clone()));
    let (status, rest) = bench.of(Method::DELETE, &path, Value::Null).await;
    assert_eq!((status, id(&rest)), (200, &*name));
    assert_eq!(bench.of(Method::GET, &path, Value::Null).await.0, 404);
    assert_eq!(bench.of(Method::DELETE, &path, Value::Null).await.0, 404);
    assert_eq!(bench.stored_items(&name).await, "hi");
}

#[tokio::test(start_paused = true)]
async fn conversation_is_created_with_items() {
    let bench = Bench::new().await;
    let item = |text: &str| json!({ "role": "user", "content": text });
    let wish = json!({ "items": [item("first")], "metadata": { "topic": "x" } });
    let name = bench.begin(wish).await;
    let more = json!({ "items": [item("second"), item("third")] });
    let (status, added) = bench.of(Method::POST, &format!("{name}/items"), more).await;
    assert_eq!((status, added["data"].as_array().unwrap().len()), (200, 2));
    bench.create("chat/say", json!({ "conversation": name })).await;
    assert_eq!(bench.upstream_input(), "User:first|User:second|User:third|User:hi");
    let shown = bench.of(Method::GET, &name, Value::Null).await.1;
    assert_eq!((id(&shown), &shown["metadata"]), (&*name, &json!({ "topic": "x" })));
    let wish = json!({ "metadata": { "topic": "y" } });
    assert_eq!(bench.of(Method::POST, &name, wish.clone()).await.1["metadata"], wish["metadata"]);
}

#[tokio::test(start_paused = true)]
async fn partial_response_of_disconnected_caller_is_in_conversation() {
    let bench = Bench::new().await;
    let name = bench.begin(Value::Null).await;
    let body = asks("chat/stall", &json!({ "conversation": name, "stream": true }));
    let request = Bench::request("ours", Method::POST, "/v1/responses", &body);
    let mut reply = handle(Arc::clone(&bench.service), PEER, request).await.into_body();
    while !format!("{:?}", reply.frame().await.unwrap().unwrap()).contains("output_text.delta") {}
    drop(reply);
    bench.service.engine.responses.close().await;
    assert_eq!(bench.stored_items(&name).await, "hi|said 1");
}

#[tokio::test(start_paused = true)]
async fn response_in_conversation_is_continued() {
    let bench = Bench::new().await;
    let name = bench.begin(Value::Null).await;
    let ask = json!({ "conversation": name });
    bench.create("chat/say", ask.clone()).await;
    let second = bench.create("chat/say", ask.clone()).await;
    bench.create("chat/say", ask).await;
    bench.create("chat/say", json!({ "previous_response_id": id(&second), "input": "x" })).await;
    assert_eq!(bench.upstream_input(), "User:hi|Assistant:said 1|User:hi|Assistant:said 2|User:x");
}

#[tokio::test(start_paused = true)]
async fn concurrent_turns_are_all_stored() {
    let bench = Bench::new().await;
    let name = bench.begin(Value::Null).await;
    let turn = || bench.create("chat/say", json!({ "conversation": name }));
    futures_util::future::join_all((0..8).map(|_| turn())).await;
    assert_eq!(bench.stored_items(&name).await.split('|').count(), 16);
}

#[tokio::test(start_paused = true)]
async fn native_upstream_gets_stored_items_and_its_own_conversations() {
    let bench = Bench::new().await;
    let name = bench.begin(Value::Null).await;
    for _ in 0..2 {
        bench.create("native/say", json!({ "conversation": name })).await;
    }
    let asked = bench.native.asked.lock().unwrap().last().unwrap().clone();
    assert_eq!(asked.texts, ["User:hi", "Assistant:said 1", "User:hi"]);
    assert!(!asked.original && !asked.extra.iter().any(|it| it == "conversation"));
    bench.create("native/say", json!({ "conversation": "conv_theirs" })).await;
    let asked = bench.native.asked.lock().unwrap().last().unwrap().clone();
    assert!(asked.original && asked.extra.iter().any(|it| it == "conversation"));
}

#[tokio::test(start_paused = true)]
async fn missing_conversation_is_reported_as_not_found() {
    let bench = Bench::new().await;
    let name = bench.begin(Value::Null).await;
    for other in ["conv_none", "nonsense", ""] {
        let (status, error) = bench.post("chat/say", json!({ "conversation": other })).await;
        assert_eq!((status, &error["error"]["code"]), (404, &json!("conversation_not_found")));
    }
    let body = asks("chat/say", &json!({ "conversation": name }));
    assert_eq!(bench.text("theirs", Method::POST, "/v1/responses", body).await.0, 404);
    for method in [Method::GET, Method::DELETE] {
        let path = format!("/v1/conversations/{name}");
        assert_eq!(bench.text("theirs", method, &path, Value::Null).await.0, 404);
    }
    let deleted = bench.of(Method::DELETE, &name, Value::Null).await;
    assert_eq!((deleted.0, &deleted.1["object"]), (200, &json!("conversation.deleted")));
    assert_eq!(bench.of(Method::DELETE, &name, Value::Null).await.0, 404);
    assert_eq!(bench.post("chat/say", json!({ "conversation": name })).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn invalid_conversation_requests_are_refused() {
    let bench = Bench::new().await;
    for (wish, param) in [
        (json!({ "items": 1 }), "items"),
        (json!({ "items": ["x"] }), "items"),
        (json!({ "items": vec![json!({}); 21] }), "items"),
        (json!({ "metadata": { "a": 1 } }), "metadata"),
        (json!({ "metadata": { "a": "x".repeat(513) } }), "metadata"),
        (json!([]), "body"),
    ] {
        let (status, error) = bench.call(Method::POST, "/v1/conversations", wish.clone()).await;
        assert_eq!((status, &error["error"]["param"]), (400, &json!(param)), "{wish}");
    }
    let both = json!({ "conversation": "conv_1", "previous_response_id": "resp_1" });
    let (status, error) = bench.post("chat/say", both).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("mutually_exclusive_parameters")));
}

#[tokio::test(start_paused = true)]
async fn full_conversation_is_refused_before_upstream_call() {
    let bench = Bench::new().await;
    let name = bench.begin(Value::Null).await;
    let text = "x".repeat(1 << 19);
    for _ in 0..15 {
        let item = json!({ "role": "user", "content": text });
        bench.of(Method::POST, &format!("{name}/items"), json!({ "items": [item] })).await;
    }
    let (status, error) = bench.post("chat/say", json!({ "conversation": name })).await;
    assert_eq!((status, &error["error"]["code"]), (413, &json!("conversation_full")));
    assert!(bench.chat.asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn conversations_need_the_store() {
    let bench = Bench::over(Some(Arc::new(FailingStore))).await;
    assert_eq!(bench.post("chat/say", json!({ "conversation": "conv_1" })).await.0, 503);
    assert_eq!(bench.post("native/say", json!({ "conversation": "conv_1" })).await.0, 200);
}

fn reference(item: &Value) -> Value {
    json!({ "type": "item_reference", "id": id(item) })
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

#[tokio::test(start_paused = true)]
async fn item_reference_replaces_item() {
    let bench = Bench::new().await;
    let first = bench.create("chat/say", Value::Null).await;
    let items = bench.get(&format!("{}/input_items", id(&first))).await.1;
    let input = json!([reference(&items["data"][0]), reference(&first["output"][0]), user("and?")]);
    for more in [json!({}), json!({ "store": false })] {
        let mut more = more;
        more["input"] = input.clone();
        let next = bench.create("chat/say", more).await;
        assert_eq!(bench.upstream_input(), "User:hi|Assistant:said 1|User:and?");
        assert_eq!(said(&next).split(' ').next(), Some("said"));
    }
    // What the conversation says already is not said twice.
    let again =
        json!({ "previous_response_id": id(&first), "input": [reference(&first["output"][0])] });
    bench.create("chat/say", again).await;
    assert_eq!(bench.upstream_input(), "User:hi|Assistant:said 1");
}

#[tokio::test(start_paused = true)]
async fn unknown_item_reference_is_reported() {
    let bench = Bench::new().await;
    let first = bench.create("chat/say", json!({ "store": false })).await;
    let unknown = json!({ "id": "msg_theirs" });
    for item in [&first["output"][0], &unknown] {
        let ask = json!({ "input": [reference(item), user("x")] });
        let (status, error) = bench.post("chat/say", ask.clone()).await;
        assert_eq!((status, &error["error"]["code"]), (404, &json!("item_not_found")));
        // Its own upstream may know it.
        assert_eq!(bench.post("native/say", ask).await.0, 200);
        assert!(bench.native.asked.lock().unwrap().last().unwrap().original);
    }
}
