//! Ambiguous requests (request smuggling), and slow callers.
//!
//! After each comes a request for `/smuggled`: if the first one is rejected, the second must never
//! be answered.

use gateway_tests::{BodyEnd, Gateway, PATIENCE, Setup, Upstream, request};
use tokio::time::Instant;

const AFTER: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
const BODY: &str = r#"{"model":"fake/echo","messages":[{"role":"user","content":"x"}]}"#;

async fn start() -> Gateway {
    let setup = Setup::new();
    setup.timeout("header", "200ms").timeout("idle_connection", "200ms").start().await
}

/// Returns the replies to `sent` until the connection closes: each status, and the error code.
async fn reply_summary(gateway: &Gateway, sent: impl AsRef<[u8]>) -> String {
    let mut raw = gateway.connect().await;
    raw.send(sent).await;
    let mut told = Vec::new();
    while let Some(reply) = raw.try_reply().await {
        told.push(reply.status_and_code());
    }
    told.join(", ")
}

/// `request`, lines separated by `|`, then a body, then the other request.
async fn check(gateway: &Gateway, request: &str, body: &str, expected: &[&str]) {
    let head = request.replace('|', "\r\n");
    let told = reply_summary(gateway, format!("{head}\r\n\r\n{body}{AFTER}")).await;
    assert!(expected.contains(&told.as_str()), "{request:.200}: {told:.200}, not {expected:?}");
}

/// Refused, and nothing after it is read.
const REFUSED: [&str; 3] = ["400 malformed_request", "400 invalid_request", "400 invalid_body"];

#[tokio::test]
async fn valid_framing_is_accepted() {
    let gateway = start().await;
    let post = "POST /v1/chat/completions HTTP/1.1|Host: h|Content-Type: application/json";
    let length = BODY.len();
    let both = ["200, 404 not_found"];
    check(&gateway, "GET /health HTTP/1.1|Host: h", "", &both).await;
    check(&gateway, &format!("{post}|Content-Length: {length}"), BODY, &both).await;
    let chunked = format!("{length:x};ext=1\r\n{BODY}\r\n0\r\nX-Trailer: 1\r\n\r\n");
    check(&gateway, &format!("{post}|Transfer-Encoding: chunked"), &chunked, &both).await;
    check(&gateway, &format!("{post}|Transfer-Encoding: Chunked"), &chunked, &both).await;
}

#[tokio::test]
async fn invalid_content_length_is_rejected() {
    let gateway = start().await;
    for length in ["+3", "-1", "18446744073709551616", "", "3 3", "0x3", "3,4", "3;4", "three"] {
        let request =
            format!("POST /v1/chat/completions HTTP/1.1|Host: h|Content-Length: {length}");
        check(&gateway, &request, "{}{", &REFUSED).await;
    }
    let two = "POST /v1/chat/completions HTTP/1.1|Host: h|Content-Length: 3|Content-Length: 4";
    check(&gateway, two, "{}{", &REFUSED).await;
}

#[tokio::test]
async fn content_length_with_chunked_encoding_is_rejected() {
    let gateway = start().await;
    for headers in [
        "Content-Length: 4|Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked|Content-Length: 4",
    ] {
        // If the chunks count, the request is over, and so is the connection.
        let request = format!("POST /health HTTP/1.1|Host: h|{headers}");
        let expected = [&REFUSED[..], &["405 method_not_allowed"]].concat();
        check(&gateway, &request, "0\r\n\r\n", &expected).await;
    }
}

#[tokio::test]
async fn unknown_transfer_encoding_is_rejected() {
    let gateway = start().await;
    for coding in [
        "identity",
        "xchunked",
        "gzip",
        "chunked, identity",
        "gzip, chunked",
        "chunked, chunked",
        "\u{b}chunked",
        "chunked;x=1",
        "\"chunked\"",
        "|Transfer-Encoding: chunked",
    ] {
        let coding = coding.strip_prefix('|').map_or_else(
            || format!("Transfer-Encoding: {coding}"),
            |line| format!("Transfer-Encoding: chunked|{line}"),
        );
        let request = format!("POST /v1/chat/completions HTTP/1.1|Host: h|{coding}");
        let expected = [&REFUSED[..], &["501 unsupported_transfer_encoding"]].concat();
        check(&gateway, &request, "0\r\n\r\n", &expected).await;
    }
    let old = "POST /v1/chat/completions HTTP/1.0|Host: h|Transfer-Encoding: chunked";
    check(&gateway, old, "0\r\n\r\n", &REFUSED).await;
}

#[tokio::test]
async fn malformed_chunks_are_rejected() {
    let gateway = start().await;
    let post = "POST /v1/chat/completions HTTP/1.1|Host: h|Content-Type: application/json|\
                Transfer-Encoding: chunked";
    for chunks in [
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "x\r\n\r\n",
        "\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
    ] {
        check(&gateway, post, chunks, &REFUSED).await;
    }
    let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(20_000));
    check(&gateway, post, &long, &REFUSED).await;
}

#[tokio::test]
async fn malformed_request_head_is_rejected() {
    let gateway = start().await;
    for request in [
        "GET /health HTTP/1.1|Host: h|X: a\rb",
        "GET /health HTTP/1.1|Host: h|X: a\0b",
        "GET /health HTTP/1.1|Host: h|X: a| folded",
        "GET /health HTTP/1.1|Host: h|X Y: a",
        "GET /health HTTP/1.1|Host: h|X : a",
        "GET /health HTTP/1.1|Host: h|: a",
        "GET /health HTTP/1.1|Host: h|no colon",
        "GET /health HTTP/1.1| Host: h",
        "GET /health\tHTTP/1.1|Host: h",
        "GET /health HTTP/1.2|Host: h",
        "GET /health HTTP/9|Host: h",
        "GET  /health HTTP/1.1|Host: h",
        "G=T /health HTTP/1.1|Host: h",
    ] {
        check(&gateway, request, "", &REFUSED).await;
    }
}

#[tokio::test]
async fn missing_or_duplicate_host_is_rejected() {
    let gateway = start().await;
    for host in [
        "",
        "|Host: a|Host: b",
        "|Host: a?b",
        "|Host: a#b",
        "|Host: u@a",
        "|Host: a/b",
        "|Host: a:123456",
        "|Host: ",
        "|Host: a b",
    ] {
        let request = format!("GET /health HTTP/1.1{host}|Connection: close");
        check(&gateway, &request, "", &["400 invalid_host"]).await;
    }
    let elsewhere = "GET http://other/health HTTP/1.1|Host: h|Connection: close";
    check(&gateway, elsewhere, "", &["400 invalid_host"]).await;
    let here = "GET http://h/health HTTP/1.1|Host: h|Connection: close";
    check(&gateway, here, "", &["200"]).await;
}

#[tokio::test]
async fn oversized_request_head_is_rejected() {
    let gateway = start().await;
    let line = |name: String, length: usize| format!("|{name}: {}", "v".repeat(length));
    let many = |count: usize, length: usize| -> String {
        (0..count).map(|at| line(format!("x-{at}"), length)).collect()
    };
    let large = ["431 headers_too_large"];
    for headers in [many(101, 1), many(1, 9_000), many(5, 8_000), many(50, 8_000)] {
        let request = format!("GET /health HTTP/1.1|Host: h|Connection: close{headers}");
        check(&gateway, &request, "", &large).await;
    }
    for length in [8_200, 70_000] {
        let request = format!("GET /{} HTTP/1.1|Host: h|Connection: close", "x".repeat(length));
        check(&gateway, &request, "", &["414 uri_too_long", "431 headers_too_large"]).await;
    }
    let request = format!("GET /health HTTP/1.1|Host: h|Connection: close{}", many(90, 100));
    check(&gateway, &request, "", &["200"]).await;
}

#[tokio::test]
async fn connect_trace_and_upgrade_are_rejected() {
    let gateway = start().await;
    for request in ["CONNECT h:443 HTTP/1.1|Host: h:443", "TRACE /health HTTP/1.1|Host: h"] {
        let request = format!("{request}|Connection: close");
        let refused = ["405 method_not_allowed", "404 not_found", "400 malformed_request"];
        check(&gateway, &request, "", &refused).await;
    }
    let upgrade = "GET /health HTTP/1.1|Host: h|Connection: Upgrade|Upgrade: websocket";
    check(&gateway, upgrade, "", &["200, 404 not_found"]).await;
}

#[tokio::test]
async fn unknown_expectation_is_rejected() {
    let gateway = start().await;
    for expectation in ["x", "y 100-continue", "100-continue, y"] {
        let length = BODY.len();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1|Host: h|Expect: {expectation}|\
             Content-Length: {length}|Connection: close"
        );
        check(&gateway, &request, BODY, &["417 expectation_failed"]).await;
    }
}

#[tokio::test]
async fn unread_body_does_not_break_connection() {
    let gateway = start().await;
    let get = format!("GET /health HTTP/1.1|Host: h|Content-Length: {}", AFTER.len());
    check(&gateway, &get, AFTER, &["200, 404 not_found", "200"]).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let gateway = start().await;
    let paths = ["/health", "/nope", "/v1/models"];
    let mut raw = gateway.connect().await;
    for round in 0..300 {
        raw.send(request(
            "GET",
            paths[round % 3],
            &[("X-Request-Id", &format!("round-{round:03}"))],
            b"",
        ))
        .await;
    }
    for round in 0..300 {
        let reply = raw.reply().await;
        assert_eq!(reply.header("x-request-id"), format!("round-{round:03}"));
        assert_eq!(reply.status(), [200, 404, 200][round % 3]);
    }
}

#[tokio::test]
async fn slow_client_is_disconnected() {
    let gateway = start().await;
    for said in ["", "PRI", "PRI * HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n"] {
        let began = Instant::now();
        let mut raw = gateway.connect().await;
        raw.send(said).await;
        let back = String::from_utf8_lossy(&raw.closed().await).into_owned();
        assert!(began.elapsed() < PATIENCE / 4, "{said}");
        assert!(!back.contains("200 OK"), "{said}: {back}");
    }
}

#[tokio::test]
async fn dripping_request_head_times_out() {
    let gateway = start().await;
    let began = Instant::now();
    let mut raw = gateway.connect().await;
    raw.send("GET / HTTP/1.1\r\nHost: h\r\n").await;
    // One line each 50 ms would go on for 10 s.
    for line in 0..200 {
        raw.send(format!("X-{line}: 1\r\n")).await;
        if tokio::time::timeout(std::time::Duration::from_millis(50), raw.closed()).await.is_ok() {
            break;
        }
    }
    assert!(raw.gone().is_some() && began.elapsed() < PATIENCE / 4);
}

#[tokio::test]
async fn slow_request_body_times_out() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).timeout("body", "200ms").start().await;
    let mut raw = gateway.connect().await;
    raw.send("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{").await;
    let reply = raw.reply().await;
    assert_eq!(reply.status_and_code(), "408 request_timeout");
    assert_eq!(reply.header("connection"), "close");
    raw.closed().await;
    assert_eq!(raw.gone(), Some(BodyEnd::Cut));
    assert_eq!(upstream.connections(), 0);
}
