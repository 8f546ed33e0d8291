//! Slow, broken and unread request bodies.

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n";

#[tokio::test]
async fn missing_body_times_out() {
    let limits = ConnectionLimits { body: SHORT, linger: SHORT, ..PATIENT };
    check(limits, &[POST], "400 request_timeout").await;
    check(limits, &[POST, "a", "b", "c", "d", "e"], "400 request_timeout").await;
}

#[tokio::test]
async fn slow_body_times_out() {
    let slow = ConnectionLimits { body_grace: SHORT, body_rate: 1000, linger: SHORT, ..PATIENT };
    check(slow, &[POST, "a", "b", "c", "d"], "400 request_timeout").await;
    // Slow, but on time.
    let limits = ConnectionLimits { body_grace: LONG, idle: SHORT, ..PATIENT };
    check(limits, &[POST, "abc", "def"], "200 read 6").await;
}

#[tokio::test]
async fn broken_body_is_an_error() {
    let post = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let limits = ConnectionLimits { linger: SHORT, ..PATIENT };
    for broken in ["x\r\n", "3\r\nabcdef\r\n", "-1\r\n", "fffffffffffffffff\r\n"] {
        check(limits, &[post, broken], "400 invalid_body").await;
    }
}

#[tokio::test]
async fn early_response_survives_unread_body() {
    let gateway = Gateway::start(PATIENT);
    let mut socket = gateway.connect().await;
    let head = "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let part = vec![b'x'; 1 << 20];
    for _ in 0..8 {
        socket.write_all(&part).await.unwrap();
    }
    socket.shutdown().await.unwrap();
    let (answer, ended) = heard(&mut socket).await;
    assert!(answer.ends_with("early") && ended, "{answer}");
}

#[tokio::test]
async fn unread_body_is_not_waited_for() {
    let head = "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n";
    check(
        ConnectionLimits { linger: SHORT, ..PATIENT },
        &[head, "a", "b", "c", "d", "e"],
        "413 early",
    )
    .await;
}
