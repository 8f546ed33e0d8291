//! Replayed streams, complete and interrupted.

use super::bench::{Bench, PEER, asks, first, id, last, said};
use crate::handle;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::{sync::Arc, sync::atomic::Ordering};

#[tokio::test(start_paused = true)]
async fn stored_stream_is_replayed() {
    let bench = Bench::new().await;
    for model in ["chat/say", "native/say"] {
        let told = bench.stream(model, Value::Null).await;
        let path = format!("/v1/responses/{}?stream=true", id(&last(&told)));
        assert_eq!(bench.text("ours", Method::GET, &path, Value::Null).await, (200, told.clone()));
        let after = format!("{path}&starting_after=3");
        let rest = bench.text("ours", Method::GET, &after, Value::Null).await.1;
        assert!(told.ends_with(&rest) && rest.contains("\"sequence_number\":4"), "{rest}");
        assert!(!rest.contains("\"sequence_number\":3"));
        let nonsense = format!("{path}&starting_after=x");
        assert_eq!(bench.text("ours", Method::GET, &nonsense, Value::Null).await.0, 400);
    }
}

#[tokio::test(start_paused = true)]
async fn unstreamed_response_is_replayed_as_events() {
    let bench = Bench::new().await;
    let answer = bench.create("chat/say", Value::Null).await;
    let path = format!("/v1/responses/{}?stream=true", id(&answer));
    let (_, told) = bench.text("ours", Method::GET, &path, Value::Null).await;
    assert_eq!(last(&told), answer);
}

/// Checks a caller of `model` that reads one block and disconnects: the upstream request ends, the
/// partial response is stored, and it can be continued.
async fn check_leaving(model: &str) {
    let bench = Bench::new().await;
    let mut body = asks(model, &Value::Null);
    body["stream"] = json!(true);
    let request = Bench::request("ours", Method::POST, "/v1/responses", &body);
    let mut reply = handle(Arc::clone(&bench.service), PEER, request).await.into_body();
    let block = reply.frame().await.unwrap().unwrap().into_data().unwrap();
    let begun = first(std::str::from_utf8(&block).unwrap());
    let (status, kept) = bench.get(id(&begun)).await;
    assert_eq!((status, kept["status"].as_str()), (200, Some("in_progress")));
    drop(reply);
    let kept = bench.until(id(&begun), "incomplete").await;
    assert_eq!(said(&kept), "said 1");
    assert_eq!(
        bench.chat.open.load(Ordering::SeqCst) + bench.native.open.load(Ordering::SeqCst),
        0
    );
    let next = json!({ "previous_response_id": id(&begun), "input": "go on" });
    bench.create("chat/say", next).await;
    let asked = bench.chat.asked.lock().unwrap().last().unwrap().texts.clone();
    assert_eq!(asked, ["User:hi", "Assistant:said 1", "User:go on"]);
}

#[tokio::test(start_paused = true)]
async fn partial_response_of_disconnected_caller_is_stored() {
    check_leaving("chat/stall").await;
    check_leaving("native/stall").await;
}

#[tokio::test(start_paused = true)]
async fn response_that_fails_midway_is_stored() {
    let bench = Bench::new().await;
    for model in ["chat/cut", "native/cut"] {
        let told = bench.stream(model, Value::Null).await;
        let failed = last(&told);
        assert_eq!(failed["status"], "failed");
        let (_, kept) = bench.get(id(&failed)).await;
        assert_eq!((&kept["status"], &kept["error"]), (&failed["status"], &failed["error"]));
    }
}
