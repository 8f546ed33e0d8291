//! Panics: each ends one request or restarts one task, and shows in metrics and in health checks.
//!
//! Debug builds have failpoints: a file in the data directory makes the one of its name panic, once.

use gateway_tests::{
    BodyEnd, DataDirectory, Gateway, PATIENCE, RawConnection, Redis, Script, Setup, Upstream,
    free_port, openai, request,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

/// Makes the failpoint `name` panic when it is reached next.
fn arm(gateway: &Gateway, name: &str) {
    arm_in(&gateway.home().join("data"), name, 1);
}

fn arm_in(data: &Path, name: &str, times: u32) {
    let directory = data.join("failpoints");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), times.to_string()).unwrap();
}

/// The tasks of a gateway, as `/health/detailed` reports them.
async fn tasks(gateway: &Gateway) -> Value {
    let health = gateway.get("/health/detailed").await.json();
    health["dependencies"]["tasks"].clone()
}

/// The names of the tasks of a gateway.
async fn names(gateway: &Gateway) -> Vec<String> {
    let tasks = tasks(gateway).await;
    let states = tasks.as_object().unwrap().iter().filter(|(_, state)| state.is_object());
    states.map(|(name, _)| name.clone()).collect()
}

async fn restarts(gateway: &Gateway, task: &str) -> f64 {
    gateway.metric("llm_gateway_task_restarts_total", &format!("task=\"{task}\"")).await
}

/// Waits until `name` has panicked a second time; returns the time since its first panic.
async fn restart_time(data: PathBuf, name: String) -> Duration {
    let file = data.join("failpoints").join(&name);
    let until = async |is_so: fn(Option<&str>) -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(fs::read_to_string(&file).ok().as_deref()) {
            assert!(Instant::now() < deadline, "{name} has not panicked");
            time::sleep(Duration::from_millis(2)).await;
        }
        Instant::now()
    };
    let first = until(|number| number != Some("2")).await;
    until(|number| number.is_none()).await.duration_since(first)
}

/// Starts a gateway, and gives its tasks something to do: the writer of the store, and those of
/// upstream connections.
async fn busy(setup: Setup) -> Gateway {
    let gateway = setup.start().await;
    gateway.ask("lab/m", Value::Null).await;
    gateway.send(request("POST", "/v1/sessions", &[], b"")).await;
    gateway
}

/// Lets every task panic twice at its start, and checks that each runs again within a second.
async fn check_tasks(setup: impl Fn(&DataDirectory) -> Setup, expected: &[&str]) {
    let known = names(&busy(setup(&DataDirectory::new())).await).await;
    for name in expected {
        assert!(known.iter().any(|it| it == name), "{name} is not among {known:?}");
    }
    let (data, mut restarted) = (DataDirectory::new(), JoinSet::new());
    for name in &known {
        arm_in(data.path(), name, 2);
        restarted.spawn(restart_time(data.path().to_owned(), name.clone()));
    }
    let gateway = busy(setup(&data)).await;
    while let Some(took) = restarted.join_next().await {
        assert!(took.unwrap() < Duration::from_secs(1), "{restarted:?}");
    }
    let state = tasks(&gateway).await;
    for name in &known {
        assert!(restarts(&gateway, name).await >= 2.0, "{name}");
        // The sweep of connections ends with the last idle one.
        if name != "connection_sweep" {
            assert_eq!(state[name]["restarts"], 2, "{name}: {state}");
        }
    }
    assert_eq!(gateway.get("/health/ready").await.json()["checks"]["tasks"], false);
    assert_eq!(gateway.ask("fake/echo", Value::Null).await.status(), 200);
    let created = gateway.send(request("POST", "/v1/sessions", &[], b"")).await;
    assert_eq!(created.status(), 201, "{}", created.text());
    assert_eq!(panics(&gateway).await, (2 * known.len()).to_string());
}

/// The number of panics so far.
async fn panics(gateway: &Gateway) -> String {
    gateway.metric("llm_gateway_panics_total", "").await.to_string()
}

#[tokio::test]
async fn every_task_of_an_embedded_gateway_is_restarted() {
    let upstream = Upstream::start().await;
    let setup = |data: &DataDirectory| {
        let setup = Setup::before(&upstream).keeping(data);
        let operators = format!("127.0.0.1:{}", free_port());
        setup
            .set("mcp.files", "url", "http://127.0.0.1:1/mcp")
            .write("server", "health_port", &free_port().to_string())
            .set("admin", "listen", &operators)
            .set("admin", "token", "operators-canary-token-0123456789abcdef")
    };
    let expected = [
        "admin_listener",
        "budget_alerts",
        "connection_sweep",
        "health_listener",
        "idle_memory",
        "limit_leases",
        "listener",
        "local_models",
        "log",
        "mcp_tools",
        "memory_pressure",
        "metrics",
        "store_sweep",
        "store_sync",
        "store_writer",
        "usage_ledger",
        "virtual_keys",
    ];
    check_tasks(setup, &expected).await;
}

#[tokio::test]
async fn every_task_of_a_gateway_with_redis_is_restarted() {
    let (redis, upstream) = (Redis::start().await, Upstream::start().await);
    let setup = |data: &DataDirectory| Setup::before(&upstream).keeping(data).sharing(&redis);
    check_tasks(setup, &["redis_connection", "usage_ledger", "virtual_keys"]).await;
}

#[tokio::test]
async fn panicked_task_is_restarted_within_a_second_and_reported() {
    let gateway = Setup::new().set("store", "backend", "embedded").start().await;
    let ready = gateway.get("/health/ready").await.json();
    assert_eq!((&ready["status"], &ready["checks"]["tasks"]), (&json!("ready"), &Value::Null));
    for task in ["usage_ledger", "store_writer"] {
        arm(&gateway, task);
        let file = gateway.home().join("data/failpoints").join(task);
        while file.exists() {
            // The writer works only if there is something to write.
            gateway.send(request("POST", "/v1/sessions", &[], b"")).await;
        }
        let began = Instant::now();
        while gateway.send(request("POST", "/v1/sessions", &[], b"")).await.status() != 201 {}
        while restarts(&gateway, task).await < 1.0 {}
        assert!(began.elapsed() < Duration::from_secs(1), "{task}: {:?}", began.elapsed());
        // Checks are reused for a second.
        time::sleep(Duration::from_millis(1_100)).await;
        let reply = gateway.get("/health/ready").await;
        let ready = reply.json();
        assert_eq!((reply.status(), &ready["status"]), (200, &json!("degraded")), "{ready}");
        assert_eq!(ready["checks"]["tasks"], false, "{ready}");
        assert_eq!(tasks(&gateway).await[task]["state"], "restarted");
    }
    assert_eq!(gateway.ask("fake/echo", Value::Null).await.status(), 200);
}

/// Checks that the gateway serves, and has panicked once.
async fn check_alive(gateway: &Gateway) {
    assert_eq!(gateway.ask("fake/echo", Value::Null).await.status(), 200);
    assert_eq!(panics(gateway).await, "1");
}

#[tokio::test]
async fn panic_in_a_request_fails_that_request_alone() {
    let gateway = Setup::new().start().await;
    let mut other = gateway.asking("fake/chunks-5-100ms", json!({ "stream": true })).await;
    let mut stream = other.begin().await;
    stream.block().await.unwrap();
    arm(&gateway, "request");
    let failed = gateway.ask("fake/echo", Value::Null).await;
    assert_eq!(failed.status_and_code(), "500 internal_error");
    assert!(!failed.header("x-request-id").is_empty());
    while stream.block().await.is_some() {}
    assert_eq!(stream.ending(), BodyEnd::Proper);
    check_alive(&gateway).await;
}

/// A gateway, an upstream that has begun to answer, and a caller that reads the stream.
async fn streaming() -> (Gateway, Upstream, RawConnection) {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).start().await;
    let begun = Script::streaming().event(&openai::opening()).event(&openai::says("a"));
    upstream.next(begun.wait(1_500).event(&openai::says("b")).event("[DONE]").end());
    let raw = gateway.asking("lab/m", json!({ "stream": true })).await;
    upstream.arrived(1).await;
    (gateway, upstream, raw)
}

/// Checks that the only request to a model was booked as panicked, with its input.
async fn check_booked(gateway: &Gateway, outcome: &str) {
    let outcomes = gateway.outcomes(1).await;
    assert_eq!(outcomes[0]["outcome"], outcome, "{outcomes:?}");
    let usage = gateway.get("/v1/usage?group_by=outcome").await.json();
    assert_eq!(usage["data"][0]["outcome"], outcome, "{usage}");
    assert!(usage["data"][0]["input_tokens"].as_u64().unwrap() > 0, "{usage}");
}

#[tokio::test]
async fn panic_in_a_model_stream_ends_it_with_an_error() {
    let (gateway, _upstream, mut raw) = streaming().await;
    let mut stream = raw.begin().await;
    while !stream.block().await.unwrap().contains("\"a\"") {}
    arm(&gateway, "model_stream");
    let mut text = String::new();
    while let Some(block) = stream.block().await {
        text += &block;
    }
    assert_eq!(stream.ending(), BodyEnd::Proper);
    assert!(text.contains("internal_error") && !text.contains("[DONE]"), "{text}");
    check_booked(&gateway, "panicked").await;
    check_alive(&gateway).await;
}

#[tokio::test]
async fn panic_in_a_reply_body_cuts_that_reply_alone() {
    let (gateway, _upstream, mut raw) = streaming().await;
    let mut stream = raw.begin().await;
    while !stream.block().await.unwrap().contains("\"a\"") {}
    arm(&gateway, "reply_body");
    while stream.block().await.is_some() {}
    assert_eq!(stream.ending(), BodyEnd::Cut);
    check_booked(&gateway, "panicked").await;
    check_alive(&gateway).await;
}

#[tokio::test]
async fn panic_before_a_whole_response_is_booked() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).start().await;
    upstream.next(Script::new().wait(500).then_all(Script::json(200, openai::whole("a"))));
    let mut raw = gateway.asking("lab/m", json!({})).await;
    upstream.arrived(1).await;
    arm(&gateway, "model_stream");
    assert_eq!(raw.reply().await.status_and_code(), "500 internal_error");
    check_booked(&gateway, "panicked").await;
    check_alive(&gateway).await;
}

#[tokio::test]
async fn followers_of_a_shared_response_that_panicked_get_an_error() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).write("cache", "enabled", "true").start().await;
    upstream.next(Script::new().wait(700).then_all(Script::json(200, openai::whole("a"))));
    let mut callers = Vec::new();
    for _ in 0..3 {
        callers.push(gateway.asking("lab/m", json!({ "temperature": 0 })).await);
        upstream.arrived(1).await;
    }
    arm(&gateway, "shared_response");
    for caller in &mut callers {
        assert_eq!(caller.reply().await.status_and_code(), "500 internal_error");
    }
    assert_eq!(upstream.exchanges().len(), 1, "they share one response");
    let again = gateway.ask("lab/m", json!({ "temperature": 0 })).await;
    assert_eq!((again.status(), again.header("x-cache")), (200, "miss"));
    check_alive(&gateway).await;
}

#[tokio::test]
async fn panicked_background_response_is_stored_as_failed() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).start().await;
    arm(&gateway, "background_response");
    let body = json!({ "model": "lab/m", "input": "Hello", "background": true }).to_string();
    let headers = [("Content-Type", "application/json")];
    let queued =
        gateway.send(request("POST", "/v1/responses", &headers, body.as_bytes())).await.json();
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let response = gateway.get(&path).await.json();
        if response["status"] == "failed" {
            assert_eq!(response["error"]["code"], "gateway_crashed", "{response}");
            break;
        }
        assert!(Instant::now() < deadline, "{response}");
        time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gateway.outcomes(1).await[0]["outcome"], "panicked");
    check_alive(&gateway).await;
}

/// A session, and a request that continues it.
async fn in_a_session(gateway: &Gateway) -> String {
    let created = gateway.send(request("POST", "/v1/sessions", &[], b"")).await.json();
    created["id"].as_str().or(created["session_id"].as_str()).unwrap().to_owned()
}

#[tokio::test]
async fn panic_in_the_commit_of_a_turn_leaves_its_session_usable() {
    let gateway = Setup::new().set("store", "backend", "embedded").start().await;
    let session = in_a_session(&gateway).await;
    for stream in [false, true] {
        let ask = || gateway.ask("fake/echo", json!({ "session_id": session, "stream": stream }));
        arm(&gateway, "session_commit");
        let reply = ask().await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let declared = if stream {
            reply.text().contains(": x-gateway-not-stored: session;reason=internal_error")
        } else {
            reply.header("x-gateway-not-stored") == "session;reason=internal_error"
        };
        assert!(declared, "{}", reply.text());
        // The session is free at once, without waiting for its lease.
        let began = Instant::now();
        let next = ask().await;
        assert_eq!(next.status(), 200, "{}", next.text());
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert!(!next.text().contains("not-stored"), "{}", next.text());
    }
    assert_eq!(gateway.outcomes(4).await.len(), 4);
    assert_eq!(panics(&gateway).await, "2");
}

#[tokio::test]
async fn panic_in_the_commit_of_a_response_is_declared() {
    let gateway = Setup::new().set("store", "backend", "embedded").start().await;
    let body = json!({ "model": "fake/echo", "input": "Hello" }).to_string();
    let headers = [("Content-Type", "application/json")];
    let ask = || gateway.send(request("POST", "/v1/responses", &headers, body.as_bytes()));
    arm(&gateway, "response_commit");
    let reply = ask().await;
    assert_eq!(reply.header("x-gateway-not-stored"), "response;reason=internal_error");
    assert_eq!((reply.status(), &reply.json()["store"]), (200, &json!(false)));
    let kept = ask().await.json();
    let path = format!("/v1/responses/{}", kept["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.status(), 200);
    check_alive(&gateway).await;
}
