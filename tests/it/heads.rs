//! Requests whose heads cannot be parsed.

use gateway_tests::{BodyEnd, Gateway, Setup};
use serde_json::Value;
use std::time::Duration;
use tokio::time;

/// The line of the log about the request `id`, which may take a moment.
async fn logged(gateway: &Gateway, id: &str) -> Value {
    for _ in 0..200 {
        let line = gateway.log().into_iter().find(|line| line["request_id"] == id);
        if let Some(line) = line {
            return line;
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no line of the log has the id {id}");
}

#[tokio::test]
async fn unparsable_head_has_json_error_with_request_id() {
    let gateway = Setup::new().set("log", "level", "info").start().await;
    let many = "x: y\r\n".repeat(200);
    let large = format!("x: {}\r\n", "v".repeat(70_000));
    let cases = [
        (
            "GET /health HTTP/1.1\r\nHost: h\r\nbad header\r\n\r\n".to_owned(),
            "400 malformed_request",
        ),
        ("GET  /health HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), "400 malformed_request"),
        ("GET /health HTTP/9.9\r\nHost: h\r\n\r\n".to_owned(), "400 malformed_request"),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), "431 headers_too_large"),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{large}\r\n"), "431 headers_too_large"),
    ];
    for (bytes, expected) in &cases {
        let mut raw = gateway.connect().await;
        raw.send(bytes).await;
        let reply = raw.reply().await;
        assert_eq!(
            (reply.status_and_code().as_str(), reply.ending),
            (*expected, BodyEnd::Proper),
            "{bytes:.60}"
        );
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("connection"), "close");
        let id = reply.header("x-request-id");
        assert_eq!(reply.json()["error"]["request_id"], id);
        let line = logged(&gateway, id).await;
        assert_eq!(line["code"], expected.split_once(' ').unwrap().1);
    }
    let count = async |reason| gateway.metric("llm_gateway_rejected_heads_total", reason).await;
    let counts = [count("malformed_request").await, count("headers_too_large").await];
    assert_eq!(counts.map(|it| it.to_string()), ["3", "2"]);
}

/// A valid request is answered before the unparsable one behind it is rejected.
#[tokio::test]
async fn request_before_an_unparsable_head_is_answered() {
    let gateway = Setup::new().start().await;
    let mut raw = gateway.connect().await;
    raw.send("GET /health HTTP/1.1\r\nHost: h\r\n\r\nbroken\r\n\r\n").await;
    assert_eq!(raw.reply().await.status(), 200);
    assert_eq!(raw.reply().await.status_and_code(), "400 malformed_request");
}
