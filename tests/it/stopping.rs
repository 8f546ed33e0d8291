//! Graceful shutdown.

use gateway_tests::{BodyEnd, DataDirectory, Gateway, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

fn begun() -> Script {
    Script::streaming().event(&openai::opening()).event(&openai::says("a"))
}

#[tokio::test]
async fn idle_gateway_stops_immediately() {
    let mut gateway = Setup::new().start().await;
    let mut idle = gateway.connect().await;
    idle.send(gateway_tests::request("GET", "/health", &[], b"")).await;
    assert_eq!(idle.reply().await.status(), 200);
    gateway.terminate();
    assert!(gateway.stopped().await.success());
    idle.closed().await;
    assert_eq!(idle.gone(), Some(BodyEnd::Cut));
}

/// Stops a gateway during an open stream of its upstream.
async fn check(script: Script, drain: &str, said: &str, outcome: &str) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).set("server", "drain_timeout", drain);
    let mut gateway = setup.start().await;
    upstream.next(script);
    let mut raw = gateway.asking("lab/m", json!({ "stream": true })).await;
    upstream.arrived(1).await;
    let mut stream = raw.begin().await;
    let mut text = stream.block().await.unwrap();
    gateway.terminate();
    while let Some(block) = stream.block().await {
        text = format!("{text}\n\n{block}");
    }
    assert_eq!(stream.ending(), BodyEnd::Proper);
    let told: Vec<_> = text.split("\n\n").filter(|it| !it.contains("role")).collect();
    let told = told.join(" ");
    assert!(told.contains(said), "{told}");
    assert!(gateway.stopped().await.success());
    let outcomes = gateway.outcomes(1).await;
    assert_eq!((outcomes.len(), &outcomes[0]["outcome"]), (1, &json!(outcome)), "{outcomes:?}");
}

#[tokio::test]
async fn stream_finishes_before_shutdown() {
    let script =
        begun().wait(300).event(&openai::says("b")).event(&openai::stops()).event("[DONE]");
    check(script.end(), "20s", "[DONE]", "ok").await;
}

#[tokio::test]
async fn long_stream_ends_with_shutdown_error() {
    check(begun().stall(), "2300ms", "server_shutting_down", "server_shutting_down").await;
}

/// Stops a gateway during a background response with this script of its upstream; returns what is
/// stored of the response.
async fn check_background(script: Script, drain: &str) -> Value {
    let (upstream, data) = (Upstream::start().await, DataDirectory::new());
    let setup = Setup::before(&upstream).keeping(&data).set("server", "drain_timeout", drain);
    let mut gateway = setup.start().await;
    upstream.next(script);
    let body = json!({ "model": "lab/m", "input": "Hello", "background": true }).to_string();
    let headers = [("Content-Type", "application/json")];
    let queued = gateway.send(request("POST", "/v1/responses", &headers, body.as_bytes())).await;
    let path = format!("/v1/responses/{}", queued.json()["id"].as_str().expect("an id"));
    upstream.arrived(1).await;
    gateway.terminate();
    assert!(gateway.stopped().await.success());
    gateway.revive().await;
    gateway.get(&path).await.json()
}

#[tokio::test]
async fn background_response_finishes_before_shutdown() {
    let script = Script::new().wait(1_500).then_all(Script::json(200, openai::whole("done")));
    let response = check_background(script, "20s").await;
    assert_eq!(response["status"], "completed", "{response}");
    assert_eq!(response["output"][0]["content"][0]["text"], "done", "{response}");
}

#[tokio::test]
async fn long_background_response_ends_with_shutdown_error() {
    let response = check_background(Script::new().stall(), "2300ms").await;
    assert_eq!(response["status"], "failed", "{response}");
    assert_eq!(response["error"]["code"], "server_shutting_down", "{response}");
}

#[tokio::test]
async fn stopped_gateway_refuses_connections() {
    let mut gateway: Gateway = Setup::new().start().await;
    assert_eq!(gateway.ask("fake/echo", Value::Null).await.status(), 200);
    gateway.terminate();
    assert!(gateway.stopped().await.success());
    assert!(tokio::net::TcpStream::connect(gateway.address()).await.is_err());
}

#[tokio::test]
async fn user_signals_are_ignored() {
    let gateway = Setup::new().start().await;
    for signal in ["USR1", "USR2"] {
        gateway.signal(signal);
        assert_eq!(gateway.get("/health").await.status(), 200);
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(gateway.get("/health").await.status(), 200);
}
