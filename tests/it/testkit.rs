//! The testkit itself: what is believed of it elsewhere.

use gateway_tests::{
    BodyEnd, ExchangeEnd, RawConnection, Reply, Script, Upstream, openai, request,
};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};

async fn connect(upstream: &Upstream) -> RawConnection {
    RawConnection::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, upstream.port()))).await
}

async fn ask(upstream: &Upstream, stream: bool) -> RawConnection {
    let mut raw = connect(upstream).await;
    let body = openai::ask("m", json!({ "stream": stream }));
    raw.send(request("POST", "/v1/chat/completions", &[("X-A", "1")], body.as_bytes())).await;
    raw
}

/// Checks the caller's view of `script`; `None` for no reply.
async fn check(script: Script, said: &str, ending: Option<BodyEnd>) {
    let upstream = Upstream::start().await;
    upstream.next(script);
    let reply: Option<Reply> = ask(&upstream, true).await.try_reply().await;
    assert_eq!(reply.as_ref().map(|it| it.ending), ending);
    assert_eq!(reply.map(|it| it.event_text()).unwrap_or_default(), said);
    assert_eq!(upstream.ended().await, ExchangeEnd::Played);
}

#[tokio::test]
async fn scripted_upstream_has_openai_shape() {
    let upstream = Upstream::start().await;
    let mut raw = ask(&upstream, false).await;
    assert_eq!(raw.reply().await.json()["choices"][0]["message"]["content"], "Hello.");
    raw.send(request("POST", "/x", &[], br#"{"stream":true}"#)).await;
    assert_eq!(raw.reply().await.event_text(), "Hello.[stop][DONE]");
    let seen = upstream.exchanges();
    assert_eq!(seen[0].head.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(seen[0].head.header("x-a"), Some("1"));
    assert_eq!(seen[0].json()["model"], "m");
    assert_eq!(seen[1].text(), r#"{"stream":true}"#);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn script_can_close_connection() {
    let begun = || Script::streaming().event(&openai::says("a"));
    check(begun().close(), "a~", Some(BodyEnd::Cut)).await;
    check(begun().bytes("zz\r\n\r\n"), "a~", Some(BodyEnd::Broken)).await;
    check(begun().wait(20).reset(), "a~", Some(BodyEnd::Reset)).await;
    check(Script::new().close(), "", None).await;
    check(Script::new().bytes("HTTP/1.1 200 OK\r\nConte").close(), "", None).await;
}

#[tokio::test]
async fn script_can_drip_bytes() {
    let whole = Script::events(openai::streamed(&["a", "b"])).dripping();
    check(whole, "ab[stop][DONE]", Some(BodyEnd::Proper)).await;
}

#[tokio::test]
async fn testkit_reads_events_incrementally() {
    let upstream = Upstream::start().await;
    upstream.next(Script::streaming().event("1").chunk(": x\n\n").event("2").stall());
    let mut raw = ask(&upstream, true).await;
    let mut stream = raw.begin().await;
    for expected in ["data: 1", ": x", "data: 2"] {
        assert_eq!(stream.block().await.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn scripted_upstream_detects_disconnect() {
    let upstream = Upstream::start().await;
    upstream.always(Script::streaming().stall());
    for abort in [true, false] {
        let mut raw = ask(&upstream, true).await;
        raw.begin().await;
        if abort {
            raw.abort();
        } else {
            drop(raw);
        }
        assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)));
    }
}
