//! Answers that take their time, and callers who do not take them.

use super::*;

#[tokio::test]
async fn slow_response_is_not_cut() {
    let everything = ConnectionLimits {
        first_byte: SHORT,
        head: SHORT,
        idle: SHORT,
        write: SHORT,
        body: SHORT,
        ..PATIENT
    };
    check(everything, &["GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"], "200 read 0").await;
}

#[tokio::test]
async fn unread_response_hits_write_timeout() {
    let gateway = Gateway::start(ConnectionLimits { write: SHORT, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let deadline = Instant::now() + LONG;
    let mut most = 0;
    loop {
        let sent = gateway.sent.load(Ordering::Relaxed);
        if sent == 0 && most > 0 {
            break;
        }
        most = most.max(sent);
        assert!(Instant::now() < deadline, "{most} parts were sent");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(most < 1000, "the system took {most} parts of 16 KiB");
}

#[tokio::test]
async fn slow_reader_gets_whole_response() {
    let gateway = Gateway::start(ConnectionLimits { write: 2 * SHORT, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 4 << 20];
    for _ in 0..8 {
        socket.read_exact(&mut buffer).await.unwrap();
        sleep(SHORT).await;
    }
}
