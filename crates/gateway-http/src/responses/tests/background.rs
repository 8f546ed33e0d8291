//! Answers that are made without their callers.

use super::bench::{Bench, id, last, said};
use http::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

#[tokio::test(start_paused = true)]
async fn background_response_completes_without_caller() {
    let bench = Bench::new().await;
    for model in ["chat/say", "native/say"] {
        let queued = bench.create(model, json!({ "background": true })).await;
        assert_eq!(queued["status"], "queued");
        assert_eq!(queued["background"], true);
        let done = bench.until(id(&queued), "completed").await;
        assert!(said(&done).starts_with("said"));
        assert_eq!(done["background"], true);
        let path = format!("/v1/responses/{}?stream=true", id(&queued));
        let (_, told) = bench.text("ours", Method::GET, &path, Value::Null).await;
        assert_eq!(last(&told), done);
        let script = if model == "chat/say" { &bench.chat } else { &bench.native };
        let asked = script.asked.lock().unwrap()[0].clone();
        assert!(!asked.extra.iter().any(|name| name == "background"), "the upstream waits for us");
    }
}

#[tokio::test(start_paused = true)]
async fn background_response_can_be_followed_from_start() {
    let bench = Bench::new().await;
    let told = bench.stream("chat/say", json!({ "background": true })).await;
    assert_eq!(bench.get(id(&last(&told))).await.1, last(&told));
}

#[tokio::test(start_paused = true)]
async fn failed_background_response_is_stored_as_failed() {
    let bench = Bench::new().await;
    for model in ["chat/down", "chat/cut"] {
        let queued = bench.create(model, json!({ "background": true })).await;
        let failed = bench.until(id(&queued), "failed").await;
        assert!(failed["error"]["code"].is_string(), "{failed}");
    }
}

#[tokio::test(start_paused = true)]
async fn background_response_is_cancelled() {
    let bench = Bench::new().await;
    let queued = bench.create("chat/stall", json!({ "background": true })).await;
    let path = format!("/v1/responses/{}/cancel", id(&queued));
    bench.until(id(&queued), "in_progress").await;
    for _ in 0..2 {
        let (status, cancelled) = bench.call(Method::POST, &path, Value::Null).await;
        assert_eq!((status, cancelled["status"].as_str()), (200, Some("cancelled")));
        assert_eq!(bench.chat.open.load(Ordering::SeqCst), 0, "the upstream is left");
    }
    assert_eq!(bench.get(id(&queued)).await.1["status"], "cancelled");
    let answer = bench.create("chat/say", Value::Null).await;
    let path = format!("/v1/responses/{}/cancel", id(&answer));
    assert_eq!(bench.call(Method::POST, &path, Value::Null).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn deleted_background_response_stops() {
    let bench = Bench::new().await;
    let queued = bench.create("chat/stall", json!({ "background": true })).await;
    bench.until(id(&queued), "in_progress").await;
    let path = format!("/v1/responses/{}", id(&queued));
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.0, 200);
    assert_eq!(bench.get(id(&queued)).await.0, 404);
    assert_eq!(bench.chat.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn background_responses_are_bounded() {
    let bench = Bench::new().await;
    let background = json!({ "background": true });
    bench.create("chat/stall", background.clone()).await;
    let second = bench.create("chat/stall", background.clone()).await;
    assert_eq!(bench.post("chat/stall", background.clone()).await.0, 503);
    let path = format!("/v1/responses/{}/cancel", id(&second));
    bench.call(Method::POST, &path, Value::Null).await;
    bench.create("chat/stall", background).await;
}

#[tokio::test(start_paused = true)]
async fn background_responses_end_at_shutdown() {
    let bench = Bench::new().await;
    let queued = bench.create("chat/stall", json!({ "background": true })).await;
    bench.until(id(&queued), "in_progress").await;
    bench.service.engine.responses.close().await;
    let (_, kept) = bench.get(id(&queued)).await;
    assert_eq!(kept["status"], "failed");
    assert_eq!(bench.chat.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn background_needs_the_store() {
    let bench = Bench::new().await;
    let (status, error) =
        bench.post("chat/say", json!({ "background": true, "store": false })).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("background")));
}
