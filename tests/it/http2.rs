//! Connections of HTTP/2 whose streams behave differently.

use gateway_tests::{Gateway, Script, Setup, Upstream, openai};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::time::Duration;
use tokio::{net::TcpStream, task::JoinSet, time};

/// Opens a connection whose streams have a window of 16 KiB, on which nothing is read that no stream
/// asks for.
async fn connect(gateway: &Gateway) -> (SendRequest<Full<Bytes>>, JoinSet<()>) {
    let socket = TcpStream::connect(gateway.address()).await.unwrap();
    let (caller, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(16 << 10)
        .initial_connection_window_size(16 << 20)
        .handshake(TokioIo::new(socket))
        .await
        .unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move { drop(connection.await) });
    (caller, task)
}

async fn ask(caller: &mut SendRequest<Full<Bytes>>, stream: bool) -> Response<Incoming> {
    let body = openai::ask("lab/m", json!({ "stream": stream }));
    let request = Request::post("http://localhost/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap();
    caller.send_request(request).await.unwrap()
}

/// Returns the number of streams that were reset.
async fn resets(gateway: &Gateway) -> String {
    gateway.metric("llm_gateway_streams_reset_total", "unread").await.to_string()
}

/// 50 callers of one connection do not read their answers, another does all the time.
#[tokio::test]
async fn unread_streams_are_reset_while_another_is_active() {
    let upstream = Upstream::start().await;
    upstream.always(
        Script::streaming().event(&openai::opening()).flood(&openai::says(&"x".repeat(1000))),
    );
    let gateway = Setup::before(&upstream).timeout("client_write", "1s").start().await;
    let (mut caller, _connection) = connect(&gateway).await;
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let response = ask(&mut caller, true).await;
        assert_eq!(response.status(), 200);
        stalled.push(response.into_body());
    }
    let mut active = ask(&mut caller, true).await.into_body();
    let end = time::Instant::now() + Duration::from_secs(4);
    while time::Instant::now() < end {
        let frame = active.frame().await.expect("the active stream goes on");
        assert!(frame.is_ok(), "the active stream goes on");
    }
    assert_eq!(resets(&gateway).await, "50");
    let open = |it: &gateway_tests::Exchange| it.ended.is_none();
    assert_eq!(upstream.exchanges().iter().filter(|it| open(it)).count(), 1, "upstreams are left");
    for mut body in stalled {
        let ended = async {
            while let Some(frame) = body.frame().await {
                if frame.is_err() {
                    return true;
                }
            }
            false
        };
        assert!(time::timeout(Duration::from_secs(5), ended).await.unwrap(), "it was reset");
    }
}

/// A large whole answer is handed over in parts, so that the deadline applies to it too.
#[tokio::test]
async fn unread_whole_response_is_reset_and_read_one_is_complete() {
    const SIZE: usize = 1 << 20;
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, openai::whole(&"x".repeat(SIZE))));
    let gateway = Setup::before(&upstream).timeout("client_write", "1s").start().await;
    let (mut caller, _connection) = connect(&gateway).await;
    let unread = ask(&mut caller, false).await.into_body();
    let read = ask(&mut caller, false).await.into_body().collect().await.unwrap().to_bytes();
    let read: serde_json::Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(read["choices"][0]["message"]["content"].as_str().unwrap().len(), SIZE);
    time::sleep(Duration::from_secs(2)).await;
    assert!(unread.collect().await.is_err(), "it was given up");
}
