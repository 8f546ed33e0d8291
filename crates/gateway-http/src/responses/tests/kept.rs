//! Answers that can be asked for, by those whose they are.

use super::bench::{Bench, FailingStore, asks, id, last, said};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

/// An answer of `model`, streamed or not, can be asked for again, and is then as it was.
async fn check_kept(model: &str, streamed: bool) {
    let bench = Bench::new().await;
    let answer = if streamed {
        last(&bench.stream(model, Value::Null).await)
    } else {
        bench.create(model, Value::Null).await
    };
    assert_eq!(said(&answer), "said 1");
    assert_eq!(bench.get(id(&answer)).await, (200, answer.clone()), "{model}");
    let (_, items) = bench.get(&format!("{}/input_items", id(&answer))).await;
    assert_eq!(items["data"][0]["content"][0]["text"], "hi");
}

#[tokio::test(start_paused = true)]
async fn stored_response_is_retrieved() {
    for model in ["chat/say", "native/say"] {
        check_kept(model, false).await;
        check_kept(model, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn native_response_bytes_are_unchanged() {
    let bench = Bench::new().await;
    let answer = bench.create("native/say", json!({ "previous_response_id": "resp_theirs" })).await;
    assert_eq!(id(&answer), "resp_up1");
    let asked = bench.native.asked.lock().unwrap()[0].clone();
    assert!(asked.original);
    assert!(asked.extra.iter().any(|name| name == "previous_response_id"));
}

#[tokio::test(start_paused = true)]
async fn gateway_issues_id_if_upstream_stores_none() {
    let bench = Bench::new().await;
    assert_ne!(id(&bench.create("chat/say", Value::Null).await), "resp_no1");
    assert_ne!(id(&last(&bench.stream("chat/say", Value::Null).await)), "resp_no2");
}

#[tokio::test(start_paused = true)]
async fn response_with_store_false_is_not_stored() {
    let bench = Bench::new().await;
    for model in ["chat/say", "native/say"] {
        let answer = bench.create(model, json!({ "store": false })).await;
        assert_eq!(bench.get(id(&answer)).await.0, 404, "{model}");
        let answer = last(&bench.stream(model, json!({ "store": false })).await);
        assert_eq!(bench.get(id(&answer)).await.0, 404, "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn response_of_other_tenant_is_not_found() {
    let bench = Bench::new().await;
    let answer = bench.create("chat/say", Value::Null).await;
    let id = id(&answer);
    for (method, below) in [
        (Method::GET, ""),
        (Method::GET, "?stream=true"),
        (Method::GET, "/input_items"),
        (Method::DELETE, ""),
        (Method::POST, "/cancel"),
    ] {
        let ask = async |id: &str| {
            bench
                .text("theirs", method.clone(), &format!("/v1/responses/{id}{below}"), Value::Null)
                .await
        };
        let foreign = ask(id).await;
        assert_eq!(foreign.0, 404);
        assert_eq!(foreign, ask("resp_none").await);
        assert_eq!(foreign, ask("no-response").await);
    }
    let body = asks("chat/say", &json!({ "previous_response_id": id }));
    let (status, error) = bench.text("theirs", Method::POST, "/v1/responses", body).await;
    assert_eq!(status, 400);
    assert!(error.contains("previous_response_not_found"));
    assert_eq!(bench.get(id).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn deleted_response_is_not_found() {
    let bench = Bench::new().await;
    let answer = bench.create("chat/say", Value::Null).await;
    let path = format!("/v1/responses/{}", id(&answer));
    let (status, deleted) = bench.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!((status, deleted["deleted"].as_bool()), (200, Some(true)));
    assert_eq!(bench.get(id(&answer)).await.0, 404);
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.0, 404);
    let more = json!({ "previous_response_id": id(&answer) });
    assert_eq!(bench.post("chat/say", more).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn store_outage_fails_only_requests_that_need_it() {
    let bench = Bench::over(Some(Arc::new(FailingStore))).await;
    assert_eq!(said(&bench.create("chat/say", Value::Null).await), "said 1");
    assert_eq!(said(&last(&bench.stream("chat/say", Value::Null).await)), "said 2");
    let previous = json!({ "previous_response_id": "resp_1" });
    assert_eq!(bench.post("chat/say", previous.clone()).await.0, 503);
    assert_eq!(bench.post("native/say", previous).await.0, 200);
    assert_eq!(bench.post("chat/say", json!({ "background": true })).await.0, 503);
    assert_eq!(bench.get("resp_1").await.0, 503);
}
