//! Callers who say nothing, or not enough.

use super::*;

#[tokio::test]
async fn silent_connection_is_closed_after_timeout() {
    check(ConnectionLimits { first_byte: SHORT, ..PATIENT }, &[], "").await;
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let limits = ConnectionLimits { head: SHORT, ..PATIENT };
    check(limits, &["GET / HT"], "").await;
    check(limits, &["P"], "").await;
    check(limits, &["PRI * HTTP/2.0\r\n\r\n"], "").await;
}

#[tokio::test]
async fn http2_connection_without_request_times_out() {
    let gateway = Gateway::start(ConnectionLimits { head: SHORT, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    assert!(heard(&mut socket).await.1);
}

#[tokio::test]
async fn dripping_head_times_out() {
    let drip: Vec<_> = GET.split_inclusive('\n').collect();
    let more = ["GET / HTTP/1.1\r\n", "a: 1\r\n", "b: 1\r\n", "c: 1\r\n", "d: 1\r\n", "e: 1\r\n"];
    check(ConnectionLimits { head: SHORT, ..PATIENT }, &more, "").await;
    // Half as slow is fast enough; then the connection ends for being idle.
    check(ConnectionLimits { head: 10 * SHORT, idle: SHORT, ..PATIENT }, &drip, "200 read 0").await;
}

#[tokio::test]
async fn idle_connection_is_closed_after_timeout() {
    check(ConnectionLimits { idle: SHORT, ..PATIENT }, &[GET], "200 read 0").await;
}

#[tokio::test]
async fn incomplete_second_head_times_out() {
    let gateway = Gateway::start(ConnectionLimits { head: SHORT, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(GET.as_bytes()).await.unwrap();
    one_answer(&mut socket, "read 0").await;
    // Idle for longer than a head may take.
    sleep(2 * SHORT).await;
    socket.write_all(GET.as_bytes()).await.unwrap();
    one_answer(&mut socket, "read 0").await;
    socket.write_all(b"GET / H").await.unwrap();
    assert_eq!(heard(&mut socket).await, (String::new(), true));
}
