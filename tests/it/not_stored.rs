//! Answers that cannot be stored: they are delivered, and say so. Every id of a 2xx is readable, or
//! was declared not stored.

use gateway_tests::{
    FaultInjection, Gateway, Redis, Reply, Script, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{task::JoinSet, time};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// Returns a request with these members.
fn asks(besides: &Value) -> Vec<u8> {
    let mut body = json!({ "model": "lab/m", "input": "Hello" });
    for (name, value) in besides.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    request("POST", "/v1/responses", &JSON, body.to_string().as_bytes())
}

/// An upstream whose answer takes `millis`.
fn slow(millis: u64) -> Script {
    let body = openai::whole("Hello.");
    let length = body.len().to_string();
    let head = [("content-type", "application/json"), ("content-length", &*length)];
    Script::new().wait(millis).head(200, &head).bytes(body)
}

async fn on_redis() -> (Redis, Upstream, Gateway) {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    let setup = Setup::before(&upstream).env("LLM_GATEWAY_STORE", "redis");
    let gateway = setup.env("LLM_GATEWAY_REDIS_URL", &redis.url()).start().await;
    (redis, upstream, gateway)
}

/// The response object at the end of a stream.
fn last(reply: &Reply) -> Value {
    let events = reply.text().lines().filter_map(|line| line.strip_prefix("data: "));
    let responses = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let mut responses =
        responses.filter_map(|mut event| event.get_mut("response").map(Value::take));
    responses.next_back().unwrap()
}

/// An answer, whole or streamed, was delivered and says that it was not stored, for `reason`.
#[track_caller]
fn check_declared(reply: &Reply, streamed: bool, reason: &str) {
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let response = if streamed { last(reply) } else { reply.json() };
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["content"][0]["text"], "Hello.");
    assert_eq!(response["store"], false, "{response}");
    if !streamed {
        assert_eq!(reply.header("x-gateway-not-stored"), format!("response;reason={reason}"));
    }
}

fn streaming() -> Script {
    Script::events(openai::streamed(&["Hello."]))
}

#[tokio::test]
async fn response_that_a_full_store_cannot_take_is_declared() {
    let (redis, upstream, gateway) = on_redis().await;
    redis.ask("CONFIG SET maxmemory 1").await;
    let whole = gateway.send(asks(&json!({}))).await;
    upstream.next(streaming());
    let streamed = gateway.send(asks(&json!({ "stream": true }))).await;
    redis.ask("CONFIG SET maxmemory 0").await;
    // A script that has deleted something is let through: what it stored is there.
    for (reply, is_streamed) in [(whole, false), (streamed, true)] {
        let response = if is_streamed { last(&reply) } else { reply.json() };
        if response["store"] == true {
            let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
            assert_eq!(gateway.get(&path).await.status(), 200, "{response}");
        } else {
            check_declared(&reply, is_streamed, "storage_full");
        }
    }
    time::sleep(Duration::from_secs(2)).await;
    let kept = gateway.send(asks(&json!({}))).await;
    assert_eq!((kept.header("x-gateway-not-stored"), &kept.json()["store"]), ("", &json!(true)));
    let path = format!("/v1/responses/{}", kept.json()["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.status(), 200);
}

#[tokio::test]
async fn response_on_a_full_disk_is_declared() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).env("LLM_GATEWAY_STORE", "embedded").start().await;
    let injection = "pwrite64,fallocate,ftruncate,fsync,fdatasync:error=ENOSPC";
    let Some(_meddling) = FaultInjection::with(gateway.pid(), injection) else { return };
    let mut declared = 0;
    for _ in 0..20 {
        let reply = gateway.send(asks(&json!({}))).await;
        assert_eq!(reply.status(), 200);
        let path = format!("/v1/responses/{}", reply.json()["id"].as_str().unwrap());
        let is_declared = reply.json()["store"] == false;
        assert_eq!(is_declared, !reply.header("x-gateway-not-stored").is_empty());
        let readable = gateway.get(&path).await.status() == 200;
        assert!(is_declared || readable, "an id of a 2xx is readable, or declared");
        declared += usize::from(is_declared);
    }
    assert!(declared > 0, "the disk is full");
}

#[tokio::test]
async fn response_that_is_too_large_to_be_stored_is_declared() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).env("LLM_GATEWAY_STORE", "embedded").start().await;
    let input = "x".repeat(8_400_000);
    let reply = gateway.send(asks(&json!({ "input": input }))).await;
    check_declared(&reply, false, "too_large");
    upstream.next(streaming());
    let reply = gateway.send(asks(&json!({ "input": input, "stream": true }))).await;
    check_declared(&reply, true, "too_large");
}

#[tokio::test]
async fn response_whose_store_is_killed_meanwhile_is_declared() {
    let (mut redis, upstream, gateway) = on_redis().await;
    let mut callers = JoinSet::new();
    for _ in 0..6 {
        upstream.next(slow(700));
        let mut raw = gateway.connect().await;
        callers.spawn(async move {
            raw.send(asks(&json!({}))).await;
            raw.reply().await
        });
    }
    upstream.arrived(6).await;
    redis.kill();
    for reply in callers.join_all().await {
        check_declared(&reply, false, "store_unavailable");
    }
}

#[tokio::test]
async fn answer_whose_turn_cannot_be_stored_is_delivered() {
    let (mut redis, upstream, gateway) = on_redis().await;
    let create = || request("POST", "/v1/sessions", &[], b"");
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(gateway.send(create()).await.json()["id"].clone());
    }
    upstream.next(slow(700));
    let mut whole = gateway.asking("lab/m", json!({ "session_id": ids[0] })).await;
    upstream.arrived(1).await;
    let stream = Script::streaming().event(&openai::says("a")).wait(900);
    upstream.next(stream.event(&openai::stops()).event("[DONE]").end());
    let besides = json!({ "session_id": ids[1], "stream": true });
    let mut streamed = gateway.asking("lab/m", besides).await;
    upstream.arrived(2).await;
    redis.kill();
    let reply = whole.reply().await;
    let said = &reply.json()["choices"][0]["message"]["content"];
    assert_eq!((reply.status(), said), (200, &json!("Hello.")), "{}", reply.text());
    assert_eq!(reply.header("x-gateway-not-stored"), "session;reason=store_unavailable");
    let reply = streamed.reply().await;
    assert_eq!(reply.event_text(), "a[stop][DONE]");
    let text = reply.text();
    let comment = ": x-gateway-not-stored: session;reason=store_unavailable\n\n";
    let (announced, ended) = (text.find(comment), text.find("\"stop\""));
    assert!(announced.is_some() && announced < ended, "{text}");
}

#[tokio::test]
async fn turn_that_a_conversation_has_no_room_for_is_declared() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let created = gateway.send(request("POST", "/v1/conversations", &JSON, b"{}")).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    upstream.next(slow(500));
    let mut raw = gateway.connect().await;
    raw.send(asks(&json!({ "conversation": id }))).await;
    upstream.arrived(1).await;
    let path = format!("/v1/conversations/{id}");
    assert_eq!(gateway.send(request("DELETE", &path, &[], b"")).await.status(), 200);
    let reply = raw.reply().await;
    assert_eq!(reply.status(), 200);
    let reported = "conversation;reason=conversation_not_found";
    assert_eq!(reply.header("x-gateway-not-stored"), reported);
    assert_eq!(reply.json()["conversation"], Value::Null);
}
