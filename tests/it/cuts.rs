//! Streams cut at every position: the caller can always detect it.

use gateway_tests::{BodyEnd, Gateway, Reply, Script, Setup, Upstream, cuts, openai};
use serde_json::{Value, json};

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).provider("openai", &upstream.url()).set(
        "providers.openai",
        "api_key",
        "sk-upstream",
    );
    (upstream, setup.start().await)
}

/// The bytes of a streamed answer, short as there are many places to cut it, and where its finish
/// ends.
fn recorded() -> (Vec<u8>, usize) {
    let chunk =
        |choice: &str| format!(r#"{{"id":"1","model":"m","choices":[{{"index":0,{choice}}}]}}"#);
    let events = [
        chunk(r#""delta":{"role":"assistant"}"#),
        chunk(r#""delta":{"content":"Hé"}"#),
        chunk(r#""delta":{"content":"llo 😀."}"#),
        chunk(r#""delta":{},"finish_reason":"stop""#),
        openai::usage(),
        "[DONE]".to_owned(),
    ];
    (openai::written(&events).into_bytes(), openai::written(&events[..4]).len())
}

/// Returns the defect of a reply to a response that broke before its finish: it must be incomplete,
/// must carry an error, and must be readable.
fn fault(reply: &Reply) -> Option<&'static str> {
    let retryable = |error: &Value| error["error"]["retryable"] == true;
    if reply.status() != 200 {
        let fair = reply.status() == 502 && retryable(&reply.json());
        return (!fair).then_some("a status that does not fit");
    }
    let Some(Ok(last)) = reply.events().last().map(|it| serde_json::from_str::<Value>(it)) else {
        return Some("the last event is no error");
    };
    if reply.ending != BodyEnd::Proper || !reply.text().ends_with("\n\n") {
        return Some("no proper end");
    }
    if reply.text().contains("[DONE]") || reply.text().contains("\"stop\"") {
        return Some("an invented end");
    }
    let told = last["error"]["code"].is_string() && retryable(&last);
    (!told).then_some("no code, or not retryable")
}

async fn check(model: &str, at: impl Iterator<Item = usize>, is_whole: bool) {
    let (upstream, gateway) = start().await;
    let (body, _) = recorded();
    for at in at {
        for script in cuts(&body, at) {
            upstream.next(script.clone());
            let reply = gateway.ask(model, json!({ "stream": true })).await;
            let said = reply.event_text();
            if is_whole {
                assert_eq!(said, "Héllo \u{1f600}.[stop][DONE]", "cut at {at}: {script:?}");
                continue;
            }
            if let Some(fault) = fault(&reply) {
                panic!("{fault}, cut at {at}: {script:?}: {}", reply.text());
            }
            let text = said.split('<').next().unwrap();
            assert!(reply.status() != 200 || "Héllo \u{1f600}.".starts_with(text), "{said}");
        }
    }
}

#[tokio::test]
async fn stream_cut_before_finish_is_an_error() {
    check("openai/m", 0..recorded().1 - 2, false).await;
}

#[tokio::test]
async fn normalized_stream_cut_before_finish_is_an_error() {
    check("lab/m", 0..recorded().1 - 2, false).await;
}

#[tokio::test]
async fn stream_cut_after_finish_is_complete() {
    let (body, finish) = recorded();
    check("openai/m", (finish..=body.len()).step_by(7), true).await;
    check("lab/m", (finish..=body.len()).step_by(7), true).await;
}

#[tokio::test]
async fn stream_end_before_finish_is_an_error() {
    let (upstream, gateway) = start().await;
    let events = openai::streamed(&["Hel", "lo."]);
    for model in ["openai/m", "lab/m"] {
        for end in 0..events.len() {
            upstream.next(Script::events(&events[..end]));
            let reply = gateway.ask(model, json!({ "stream": true })).await;
            let told =
                if reply.status() == 200 { reply.event_text() } else { reply.status_and_code() };
            let expected = [
                "502 upstream_truncated",
                "502 upstream_truncated",
                "Hel<upstream_truncated>",
                "Hello.<upstream_truncated>",
                "Hello.[stop][DONE]",
                "Hello.[stop][DONE]",
            ];
            assert_eq!(told, expected[end], "{model} {end}");
        }
    }
}

#[tokio::test]
async fn truncated_stream_with_done_marker_is_an_error() {
    let (upstream, gateway) = start().await;
    for model in ["openai/m", "lab/m"] {
        upstream.next(Script::events([openai::opening(), openai::says("a"), "[DONE]".to_owned()]));
        let reply = gateway.ask(model, json!({ "stream": true })).await;
        assert_eq!(reply.event_text(), "a<upstream_truncated>", "{model}");
    }
}
