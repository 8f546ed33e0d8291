//! Callers who leave, and callers who do not read.

use gateway_tests::{
    ExchangeEnd, Gateway, PROMPTLY, RawConnection, Script, Setup, Upstream, openai,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

/// The way in which a caller disconnects.
#[derive(Clone, Copy, Debug)]
enum DisconnectKind {
    Closing,
    Resetting,
    HalfClosing,
}

/// A caller asks, sees `blocks` parts of the answer, and leaves. The upstream's connection is closed
/// promptly. A machine that is busy with something else may need another try.
async fn check(script: Script, stream: bool, blocks: Option<usize>) {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).timeout("head_hold", "20s").start().await;
    upstream.always(script);
    for by in [DisconnectKind::Closing, DisconnectKind::Resetting, DisconnectKind::HalfClosing] {
        let mut slowest = Vec::new();
        for _ in 0..3 {
            slowest.push(leave(&upstream, &gateway, stream, blocks, by).await);
            if slowest.iter().any(|it| *it <= PROMPTLY) {
                break;
            }
        }
        assert!(slowest.iter().any(|it| *it <= PROMPTLY), "{by:?}: {slowest:?}");
    }
    for outcome in gateway.outcomes(3).await {
        assert_eq!(outcome["outcome"], "client_cancelled", "{outcome}");
    }
}

/// Returns the time until the upstream notices that the caller has disconnected.
async fn leave(
    upstream: &Upstream,
    gateway: &Gateway,
    stream: bool,
    blocks: Option<usize>,
    by: DisconnectKind,
) -> Duration {
    let before = upstream.exchanges().len();
    let mut raw = gateway.asking("lab/m", json!({ "stream": stream })).await;
    upstream.arrived(before + 1).await;
    if let Some(blocks) = blocks {
        let mut stream = raw.begin().await;
        for _ in 0..blocks {
            stream.block().await.unwrap();
        }
    }
    let left = Instant::now();
    let kept: Option<RawConnection> = match by {
        DisconnectKind::Closing => {
            drop(raw);
            None
        }
        DisconnectKind::Resetting => {
            raw.abort();
            None
        }
        DisconnectKind::HalfClosing => {
            raw.half_close().await;
            Some(raw)
        }
    };
    assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)));
    drop(kept);
    left.elapsed()
}

fn begun() -> Script {
    Script::streaming().event(&openai::opening()).event(&openai::says("a"))
}

#[tokio::test]
async fn disconnect_before_response_head_cancels_upstream() {
    check(Script::new().stall(), true, None).await;
}

#[tokio::test]
async fn disconnect_while_head_is_held_cancels_upstream() {
    check(Script::streaming().event(&openai::opening()).stall(), true, None).await;
}

#[tokio::test]
async fn disconnect_during_stream_cancels_upstream() {
    check(begun().stall(), true, Some(1)).await;
}

#[tokio::test]
async fn disconnect_from_active_stream_cancels_upstream() {
    let script = (0..2000).fold(begun(), |script, _| script.wait(10).event(&openai::says("b")));
    check(script, true, Some(3)).await;
}

#[tokio::test]
async fn disconnect_before_whole_response_cancels_upstream() {
    check(Script::new().stall(), false, None).await;
}

#[tokio::test]
async fn disconnect_during_whole_response_cancels_upstream() {
    let headers = [("content-type", "application/json"), ("content-length", "1000")];
    check(Script::new().head(200, &headers).bytes("{").stall(), false, None).await;
}

#[tokio::test]
async fn unread_stream_is_bounded_and_closed() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).timeout("client_write", "1s").start().await;
    upstream.next(begun().flood(&openai::says(&"x".repeat(4096))));
    let raw = gateway.asking("lab/m", json!({ "stream": true })).await;
    assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)));
    let sent = upstream.last().sent;
    assert!(sent < 12 << 20, "{sent} bytes were taken for a caller that takes none");
    let outcomes = gateway.outcomes(1).await;
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    assert_ne!(outcomes[0]["outcome"], "ok");
    drop(raw);
}

#[tokio::test]
async fn slow_reader_receives_whole_response() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let text = "x".repeat(50_000);
    upstream.next(Script::events(openai::streamed(&[&*text; 40])));
    let mut raw = gateway.asking("lab/m", json!({ "stream": true })).await;
    let mut stream = raw.begin().await;
    let mut blocks = 0;
    while let Some(block) = stream.block().await {
        time::sleep(Duration::from_millis(5)).await;
        blocks += usize::from(block.contains(&text));
    }
    assert_eq!(blocks, 40);
}

#[tokio::test]
async fn completed_upstream_connection_is_reused() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    for stream in [true, false, true] {
        let reply = gateway.ask("lab/m", json!({ "stream": stream })).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(upstream.ended().await, ExchangeEnd::Played);
    }
    // Its connection is used again.
    assert_eq!(upstream.connections(), 1);
    assert_eq!(gateway.ask("lab/m", Value::Null).await.status(), 200);
}
