//! Connections that carry several requests at once.

use super::*;

type H2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

/// A caller that shares its connection, and the task that drives it.
#[expect(clippy::disallowed_methods, reason = "the test waits for the task, or ends with it")]
async fn share(gateway: &Gateway) -> (H2, JoinHandle<Result<(), hyper::Error>>) {
    let io = hyper_util::rt::TokioIo::new(gateway.connect().await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (caller, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    (caller, tokio::spawn(connection))
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://h{path}")).body(Full::default()).unwrap()
}

#[tokio::test]
async fn unread_http2_response_hits_write_timeout() {
    let gateway = Gateway::start(ConnectionLimits { write: SHORT, ..PATIENT });
    let (mut caller, connection) = share(&gateway).await;
    let reply = caller.send_request(get("/endless")).await.unwrap();
    assert!(timeout(LONG, connection).await.is_ok(), "the connection should end");
    assert_eq!(gateway.sent.load(Ordering::Relaxed), 0, "the answer should be given up");
    drop(reply);
}

#[tokio::test]
async fn http2_connection_is_idle_after_responses() {
    let everything =
        ConnectionLimits { first_byte: SHORT, head: SHORT, idle: SHORT, write: SHORT, ..PATIENT };
    let gateway = Gateway::start(everything);
    let (mut caller, connection) = share(&gateway).await;
    let (one, other) =
        tokio::join!(caller.clone().send_request(get("/slow")), caller.send_request(get("/slow")));
    for reply in [one, other] {
        let body = reply.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "read 0");
    }
    assert!(timeout(LONG, connection).await.is_ok(), "the connection should end");
}

#[tokio::test]
async fn draining_http2_connection_finishes_open_streams() {
    let gateway = Gateway::start(PATIENT);
    let (mut caller, connection) = share(&gateway).await;
    let drain = gateway.drain.clone();
    let (reply, ()) = tokio::join!(caller.send_request(get("/slow")), async {
        sleep(SHORT / 2).await;
        drain.closing.cancel();
    });
    let body = reply.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "read 0");
    assert!(timeout(LONG, connection).await.unwrap().unwrap().is_ok());
    gateway.ends().await;
}
