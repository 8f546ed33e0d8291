//! Services that misbehave, and calls that must not be made twice.

use crate::{
    bench::{call, context, only, row, run, word},
    memory::{Memory, UnavailableStore},
};
use gateway_core::{ToolContext, Tools as _};
use gateway_tests::{PATIENCE, PROMPTLY, Script, Upstream};
use gateway_tools::{
    ClientSettings, ExecutorLimits, ProxyTool, ServiceClient, ToolExecutor, ToolRegistry, ToolRow,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

/// Checks that a service which follows `script` once is reported as `expected`.
async fn check(script: Script, expected: &str) {
    let upstream = Upstream::start().await;
    upstream.always(script);
    let mut quick = row("/v1/x");
    quick.timeout = Duration::from_secs(1);
    let outcome = time::timeout(PATIENCE, run(&only(quick, &upstream), "tool", &json!({}))).await;
    let outcome = outcome.expect("an end");
    assert_eq!(word(&outcome), expected, "{outcome:?}");
    assert_eq!(upstream.exchanges().len(), 1, "asked once");
}

#[tokio::test]
async fn json_response_is_returned() {
    check(Script::json(200, r#"{"a":1}"#), "ok").await;
    check(Script::json(201, ""), "ok").await;
    check(Script::streaming().chunk("{\"a\"").chunk(":1}").end(), "ok").await;
}

#[tokio::test]
async fn error_status_is_a_tool_error() {
    for status in [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504] {
        check(Script::json(status, r#"{"detail":"no"}"#), "upstream_status").await;
    }
}

#[tokio::test]
async fn non_json_response_is_rejected() {
    let html = [("content-type", "text/html")];
    check(Script::whole(200, &html, "<html>hello</html>"), "upstream_invalid").await;
    let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
    check(Script::whole(200, &gzip, b"\x1f\x8b\x08\x00"), "upstream_invalid").await;
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = Upstream::start().await;
    elsewhere.always(Script::json(200, "{}"));
    let to = elsewhere.url();
    for status in [301, 302, 303, 307, 308] {
        check(Script::whole(status, &[("location", &to)], ""), "upstream_status").await;
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn oversized_response_is_aborted() {
    check(Script::streaming().flood(&"more".repeat(10_000)), "too_large").await;
    let length = (2 << 20).to_string();
    let head = Script::new().head(200, &[("content-length", &length)]);
    check(head.stall(), "too_large").await;
}

#[tokio::test]
async fn silent_service_times_out() {
    check(Script::new().stall(), "timeout").await;
    check(Script::streaming().chunk("{").stall(), "timeout").await;
}

#[tokio::test]
async fn broken_connection_is_a_tool_error() {
    check(Script::new().close(), "upstream_invalid").await;
    check(Script::new().reset(), "upstream_invalid").await;
    check(Script::streaming().chunk("{\"a\":1}").close(), "upstream_invalid").await;
}

#[tokio::test]
async fn unreachable_service_is_unavailable() {
    let port = Upstream::start().await.port();
    let client = ServiceClient::new(&ClientSettings::default()).unwrap();
    let tool = ProxyTool::new(row("/x"), &format!("http://127.0.0.1:{port}"), client).unwrap();
    let mut registry = ToolRegistry::default();
    let policy = tool.policy();
    registry.add(Arc::new(tool), policy).unwrap();
    let outcome =
        run(&ToolExecutor::new(registry, &ExecutorLimits::default()), "tool", &json!({})).await;
    assert_eq!(word(&outcome), "unavailable");
}

#[tokio::test]
async fn internal_service_error_is_not_exposed() {
    let upstream = Upstream::start().await;
    upstream.next(Script::json(400, r#"{"detail":"no such book"}"#));
    upstream.next(Script::json(500, r#"{"detail":"password=hunter2"}"#));
    let executor = only(row("/v1/x"), &upstream);
    let mut say = Vec::new();
    for _ in 0..2 {
        say.push(run(&executor, "tool", &json!({})).await.unwrap_err().message);
    }
    assert_eq!(say, ["the service returned 400: no such book", "the service returned 500"]);
}

#[tokio::test]
async fn failing_service_opens_circuit() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(500, "{}"));
    let executor = only(row("/v1/x"), &upstream);
    let mut words = Vec::new();
    for _ in 0..7 {
        words.push(word(&run(&executor, "tool", &json!({})).await));
    }
    assert_eq!(words[..5], ["upstream_status"; 5]);
    assert_eq!(words[5..], ["circuit_open"; 2]);
    assert_eq!(upstream.exchanges().len(), 5);
}

#[tokio::test]
async fn caller_errors_do_not_open_circuit() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(422, "{}"));
    let executor = only(row("/v1/x"), &upstream);
    for _ in 0..8 {
        assert_eq!(word(&run(&executor, "tool", &json!({})).await), "upstream_status");
    }
}

#[tokio::test]
async fn expired_deadline_does_not_open_circuit() {
    let upstream = Upstream::start().await;
    upstream.always(Script::new().stall());
    let executor = only(row("/v1/x"), &upstream);
    for _ in 0..7 {
        let deadline = Instant::now() + Duration::from_millis(30);
        let hurried = ToolContext { deadline: Some(deadline.into_std()), ..context() };
        let outcome = executor.run(&call("tool", &json!({})), &hurried).await;
        assert_eq!(word(&outcome), "timeout");
    }
}

#[tokio::test]
async fn request_context_is_forwarded_to_service() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, "{}"));
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let deadline = Instant::now() + Duration::from_secs(2);
    let traced = ToolContext {
        traceparent: Some(traceparent.into()),
        tracestate: Some("a=b".into()),
        deadline: Some(deadline.into_std()),
        ..context()
    };
    only(row("/v1/x"), &upstream).run(&call("tool", &json!({})), &traced).await.unwrap();
    let head = upstream.last().head;
    assert_eq!(head.header("x-request-id"), Some("request-1"));
    assert_eq!(head.header("traceparent"), Some(traceparent));
    assert_eq!(head.header("tracestate"), Some("a=b"));
    assert_eq!(head.header("idempotency-key").map(str::len), Some(64));
    let left: u64 = head.header("x-request-timeout-ms").unwrap().parse().unwrap();
    assert!((1000..=2000).contains(&left), "{left}");
}

#[tokio::test]
async fn dropped_request_cancels_tool_call() {
    let upstream = Upstream::start().await;
    upstream.always(Script::new().stall());
    let executor = only(row("/v1/x"), &upstream);
    let mut running = JoinSet::new();
    running.spawn(async move { run(&executor, "tool", &json!({})).await });
    upstream.arrived(1).await;
    let left = Instant::now();
    running.abort_all();
    upstream.ended().await;
    assert!(left.elapsed() < PROMPTLY, "{:?}", left.elapsed());
}

#[tokio::test]
async fn excess_tool_calls_queue_briefly() {
    let upstream = Upstream::start().await;
    upstream.always(Script::new().stall());
    let client = ServiceClient::new(&ClientSettings::default()).unwrap();
    let url = format!("http://127.0.0.1:{}", upstream.port());
    let tool = ProxyTool::new(row("/v1/x"), &url, client).unwrap();
    let mut registry = ToolRegistry::default();
    let policy = tool.policy();
    registry.add(Arc::new(tool), policy).unwrap();
    let queue = Duration::from_millis(20);
    let limits = ExecutorLimits { running: 1, queue, ..ExecutorLimits::default() };
    let executor = Arc::new(ToolExecutor::new(registry, &limits));
    let first = Arc::clone(&executor);
    let mut running = JoinSet::new();
    running.spawn(async move { run(&first, "tool", &json!({})).await });
    upstream.arrived(1).await;
    assert_eq!(word(&run(&executor, "tool", &json!({})).await), "unavailable");
}

fn once() -> ToolRow {
    let mut once = row("/v1/x");
    once.idempotent = false;
    once.timeout = Duration::from_millis(100);
    once
}

/// Does each of `scripts` in turn, and makes the same call that often: how it went each time, and
/// how often the service was asked.
async fn same_call(row: ToolRow, scripts: Vec<Script>) -> (Vec<&'static str>, usize) {
    let upstream = Upstream::start().await;
    let times = scripts.len();
    for script in scripts {
        upstream.next(script);
    }
    let executor = only(row, &upstream).remembering(Arc::new(Memory::default()));
    let mut words = Vec::new();
    for _ in 0..times {
        words.push(word(&run(&executor, "tool", &json!({})).await));
    }
    (words, upstream.exchanges().len())
}

#[tokio::test]
async fn ambiguous_tool_call_is_not_repeated() {
    let ok = || Script::json(200, "{}");
    for script in [Script::new().stall(), Script::new().reset(), Script::json(500, "{}")] {
        let (words, asked) = same_call(once(), vec![script, ok()]).await;
        assert_eq!((words[1], asked), ("timeout", 1));
    }
}

#[tokio::test]
async fn completed_tool_call_is_replayed() {
    let scripts = vec![Script::json(200, r#"{"n":1}"#), Script::json(200, r#"{"n":2}"#)];
    assert_eq!(same_call(once(), scripts).await, (vec!["ok", "ok"], 1));
}

#[tokio::test]
async fn rejected_tool_call_may_be_repeated() {
    let scripts = vec![Script::json(409, "{}"), Script::json(200, "{}")];
    assert_eq!(same_call(once(), scripts).await, (vec!["upstream_status", "ok"], 2));
}

#[tokio::test]
async fn read_only_tool_call_may_be_repeated() {
    let harmless = ToolRow { idempotent: true, ..once() };
    let scripts = vec![Script::new().stall(), Script::json(200, "{}")];
    assert_eq!(same_call(harmless, scripts).await, (vec!["timeout", "ok"], 2));
}

#[tokio::test]
async fn different_tool_call_is_not_replayed() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, "{}"));
    let executor = only(once(), &upstream).remembering(Arc::new(Memory::default()));
    let other = |tenant: &str, id: &str, x: u8| {
        let context = ToolContext { tenant: tenant.into(), ..context() };
        let mut call = call("tool", &json!({ "x": x }));
        call.id = id.to_owned();
        (call, context)
    };
    for (call, context) in
        [other("a", "c1", 1), other("b", "c1", 1), other("a", "c2", 1), other("a", "c1", 2)]
    {
        executor.run(&call, &context).await.unwrap();
    }
    assert_eq!(upstream.exchanges().len(), 4);
}

#[tokio::test]
async fn failing_store_does_not_block_tools() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, "{}"));
    let executor = only(once(), &upstream).remembering(Arc::new(UnavailableStore));
    assert_eq!(word(&run(&executor, "tool", &json!({})).await), "ok");
}
