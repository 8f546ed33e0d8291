//! Answers that later ones continue.

use super::bench::{Bench, id};
use http::Method;
use serde_json::{Value, json};

/// A conversation over `models` puts everything said before each turn, except where the upstream
/// keeps it.
async fn check_chain(models: &[&str], expected: &[&str]) {
    let bench = Bench::new().await;
    let mut more = json!({ "instructions": "only once" });
    for model in models {
        let answer = bench.create(model, more).await;
        more = json!({ "previous_response_id": id(&answer), "input": "more" });
    }
    let script =
        if models.last().unwrap().starts_with("chat") { &bench.chat } else { &bench.native };
    let asked = script.asked.lock().unwrap().last().unwrap().clone();
    assert_eq!(asked.texts, expected, "{models:?}");
}

#[tokio::test(start_paused = true)]
async fn stored_response_is_continued() {
    let three = ["User:hi", "Assistant:said 1", "User:more", "Assistant:said 2", "User:more"];
    check_chain(&["chat/say", "chat/say"], &three[..3]).await;
    check_chain(&["chat/say", "chat/say", "chat/say"], &three).await;
    check_chain(&["native/say", "chat/say"], &three[..3]).await;
    check_chain(&["chat/say", "native/say"], &three[..3]).await;
    check_chain(&["native/say", "native/say"], &["User:more"]).await;
}

#[tokio::test(start_paused = true)]
async fn unknown_response_is_not_continued() {
    let bench = Bench::new().await;
    for previous in ["resp_none", "nonsense", ""] {
        let (status, error) =
            bench.post("chat/say", json!({ "previous_response_id": previous })).await;
        let told = (status, &error["error"]["code"], &error["error"]["param"]);
        assert_eq!(
            told,
            (400, &json!("previous_response_not_found"), &json!("previous_response_id"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_estimated() {
    let bench = Bench::new().await;
    let count = async |body: Value| {
        let (status, told) = bench.call(Method::POST, "/v1/responses/input_tokens", body).await;
        assert_eq!((status, &told["object"]), (200, &json!("response.input_tokens")), "{told}");
        told["input_tokens"].as_u64().unwrap()
    };
    let short = count(json!({ "input": "hi" })).await;
    let long = count(json!({ "input": "hi ".repeat(400) })).await;
    assert!((1..20).contains(&short) && (200..500).contains(&long), "{short} {long}");
    let answer = bench.create("chat/say", Value::Null).await;
    let after = count(json!({ "input": "hi", "previous_response_id": id(&answer) })).await;
    assert!(after > short);
    let path = "/v1/responses/input_tokens";
    assert_eq!(bench.call(Method::POST, path, json!({ "input": 1 })).await.0, 400);
}
