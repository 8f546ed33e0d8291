//! Streams that stall, fail and surprise; and how early a caller sees what there is to see.

use gateway_tests::{Gateway, Script, Setup, Upstream, openai};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

async fn start(change: impl FnOnce(Setup) -> Setup) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).provider("openai", &upstream.url()).set(
        "providers.openai",
        "api_key",
        "sk-upstream",
    );
    let gateway = change(setup).start().await;
    (upstream, gateway)
}

const BOTH: [&str; 2] = ["openai/m", "lab/m"];

/// Checks the result of `script`, with and without edits of the response.
async fn check(upstream: &Upstream, gateway: &Gateway, script: Script, said: &str) {
    for model in BOTH {
        upstream.next(script.clone());
        let reply = gateway.ask(model, json!({ "stream": true })).await;
        assert_eq!(reply.event_text(), said, "{model}: {}", reply.text());
    }
}

/// A stream that has said `a`.
fn begun() -> Script {
    Script::streaming().event(&openai::opening()).event(&openai::says("a"))
}

#[tokio::test]
async fn stalled_stream_fails_at_idle_deadline() {
    let (upstream, gateway) = start(|it| it.timeout("idle", "200ms")).await;
    let began = Instant::now();
    check(&upstream, &gateway, begun().stall(), "a<upstream_stalled>").await;
    assert!((400..5_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    upstream.ended().await;
}

#[tokio::test]
async fn comments_extend_idle_deadline() {
    let (upstream, gateway) = start(|it| it.timeout("idle", "400ms")).await;
    let pinged = (0..6).fold(begun(), |script, _| script.wait(100).chunk(": ping\n\n"));
    let script = pinged.event(&openai::says("b")).event(&openai::stops()).event("[DONE]").end();
    check(&upstream, &gateway, script, "ab[stop][DONE]").await;
}

#[tokio::test]
async fn stream_has_total_deadline() {
    let (upstream, gateway) = start(|it| {
        let it = it.timeout("first_byte", "300ms").timeout("idle", "300ms");
        it.timeout("first_token", "300ms").timeout("stream_total", "400ms")
    })
    .await;
    let endless = (0..200).fold(begun(), |script, _| script.wait(20).event(&openai::says(".")));
    for model in BOTH {
        upstream.next(endless.clone());
        let reply = gateway.ask(model, json!({ "stream": true })).await;
        assert!(reply.event_text().ends_with(".<upstream_stalled>"), "{}", reply.event_text());
    }
}

#[tokio::test]
async fn upstream_error_event_ends_stream() {
    let (upstream, gateway) = start(|it| it).await;
    let overloaded = openai::error("overloaded_error", "", "busy");
    let limited = openai::error("rate_limit_error", "rate_limit_exceeded", "slow down");
    for (error, code) in [(overloaded, "upstream_overloaded"), (limited, "rate_limit_exceeded")] {
        let after = begun().event(&error).event(&openai::says("b")).event("[DONE]").end();
        check(&upstream, &gateway, after, &format!("a<{code}>")).await;
        let named = begun().chunk(format!("event: error\ndata: {error}\n\n")).end();
        check(&upstream, &gateway, named, &format!("a<{code}>")).await;
    }
    upstream.next(begun().event("{\"choices\":[{\"delta\"").end());
    let reply = gateway.ask("lab/m", json!({ "stream": true })).await;
    assert_eq!(reply.event_text(), "a<upstream_invalid_response>");
}

#[tokio::test]
async fn events_after_finish_are_ignored() {
    let (upstream, gateway) = start(|it| it).await;
    let finished = || begun().event(&openai::stops());
    check(&upstream, &gateway, finished().end(), "a[stop][DONE]").await;
    check(&upstream, &gateway, finished().event(&openai::usage()).end(), "a[stop][DONE]").await;
    check(&upstream, &gateway, finished().event("[DONE]").stall(), "a[stop][DONE]").await;
    check(&upstream, &gateway, finished().event("[DONE]").close(), "a[stop][DONE]").await;
    let more = finished().event("[DONE]").event(&openai::says("b")).end();
    check(&upstream, &gateway, more, "a[stop][DONE]").await;
}

#[tokio::test]
async fn usage_after_finish_is_awaited_briefly() {
    let (upstream, gateway) = start(|it| it).await;
    upstream.next(begun().event(&openai::stops()).stall());
    let began = Instant::now();
    let reply = gateway.ask("openai/m", json!({ "stream": true })).await;
    assert_eq!(reply.event_text(), "a[stop][DONE]");
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn event_size_is_limited() {
    let (upstream, gateway) = start(|it| it).await;
    let text = "x".repeat(2 << 20);
    let large = begun().event(&openai::says(&text)).event(&openai::stops()).event("[DONE]").end();
    check(&upstream, &gateway, large, &format!("a{text}[stop][DONE]")).await;
    let endless =
        (0..20).fold(begun().chunk("data: \""), |script, _| script.chunk("x".repeat(1 << 20)));
    upstream.next(endless.stall());
    let reply = gateway.ask("lab/m", json!({ "stream": true })).await;
    assert_eq!(reply.event_text(), "a<upstream_invalid_response>");
}

#[tokio::test]
async fn text_with_sse_markers_is_preserved() {
    let (upstream, gateway) = start(|it| it).await;
    let text = "\n\ndata: [DONE]\n\n\r\nevent: x\r\n\u{2028}\u{85}\0";
    let events = openai::streamed(&[text]);
    for model in BOTH {
        upstream.next(Script::events(&events));
        let reply = gateway.ask(model, json!({ "stream": true })).await;
        assert_eq!(reply.event_text(), format!("{text}[stop][DONE]"), "{model}");
        assert!(!reply.text().contains('\r'));
    }
}

#[tokio::test]
async fn stream_parses_byte_by_byte() {
    let (upstream, gateway) = start(|it| it).await;
    let script = Script::events(openai::streamed(&["é😀", "\u{2028}b"])).dripping();
    check(&upstream, &gateway, script, "é😀\u{2028}b[stop][DONE]").await;
}

#[tokio::test]
async fn response_head_waits_for_first_output() {
    let (upstream, gateway) = start(|it| it.timeout("head_hold", "20s")).await;
    let error = openai::error("server_error", "server_error", "late");
    for model in BOTH {
        let late = Script::streaming().event(&openai::opening()).wait(50).event(&error).end();
        upstream.next(late);
        let reply = gateway.ask(model, json!({ "stream": true })).await;
        assert_eq!(reply.status_and_code(), "502 upstream_error", "{model}");
    }
}

#[tokio::test]
async fn response_head_is_sent_after_hold_limit() {
    let (upstream, gateway) =
        start(|it| it.timeout("head_hold", "50ms").timeout("keep_alive_comment", "100ms")).await;
    upstream.always(Script::streaming().event(&openai::opening()).stall());
    for model in BOTH {
        let began = Instant::now();
        let mut raw = gateway.asking(model, json!({ "stream": true })).await;
        let mut stream = raw.begin().await;
        assert!(stream.head.line.contains("200"), "{}", stream.head.line);
        assert!(began.elapsed() >= Duration::from_millis(50));
        let mut blocks = Vec::new();
        while blocks.iter().filter(|it| *it == ": keep-alive").count() < 2 {
            blocks.push(stream.block().await.unwrap());
        }
        assert!(began.elapsed() >= Duration::from_millis(200), "{blocks:?}");
    }
}

#[tokio::test]
async fn keepalive_comments_are_sent_while_waiting() {
    let (_upstream, gateway) =
        start(|it| it.timeout("head_hold", "50ms").timeout("keep_alive_comment", "50ms")).await;
    let mut raw = gateway.asking("fake/slow-300ms", json!({ "stream": true })).await;
    let mut stream = raw.begin().await;
    let mut blocks = Vec::new();
    while let Some(block) = stream.block().await {
        blocks.push(block);
    }
    assert!(blocks.iter().filter(|it| it.starts_with(':')).count() >= 2, "{blocks:?}");
    assert_eq!(blocks.last().map(String::as_str), Some("data: [DONE]"));
}

#[tokio::test]
async fn chunks_are_forwarded_immediately() {
    let (upstream, gateway) = start(|it| it).await;
    for model in BOTH {
        upstream.next(begun().wait(150).event(&openai::stops()).event("[DONE]").end());
        let mut raw = gateway.asking(model, json!({ "stream": true })).await;
        let mut stream = raw.begin().await;
        let mut blocks = vec![Instant::now()];
        while let Some(block) = stream.block().await {
            if !block.contains("role") {
                blocks.push(Instant::now());
            }
        }
        let gap = blocks[2] - blocks[1];
        assert!(gap >= Duration::from_millis(100), "{model}: {gap:?}");
    }
}

#[tokio::test]
async fn broken_upstream_stream_fails_whole_response() {
    let (_upstream, gateway) = start(|it| it).await;
    assert_eq!(gateway.ask("fake/cut-3", Value::Null).await.status_and_code(), "502 upstream_cut");
    assert_eq!(
        gateway.ask("fake/truncate-3", Value::Null).await.status_and_code(),
        "502 upstream_truncated"
    );
}
