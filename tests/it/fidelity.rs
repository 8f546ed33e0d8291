//! Passthrough: caller and upstream of the same dialect get each other's bytes.

use gateway_tests::{Gateway, Script, Setup, Upstream, openai};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;

/// The providers `openai` and `lab` and the alias `best`, all at one upstream.
async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .provider("openai", &upstream.url())
        .set("providers.openai", "api_key", "sk-upstream")
        .set("aliases", "best", "openai/m-1");
    (upstream, setup.start().await)
}

/// The upstream sees `body` as the caller sent it, with `m-1` in place of the model it asked for.
async fn check(upstream: &Upstream, gateway: &Gateway, model: &str, body: &str) {
    let body = body.replace("MESSAGES", r#""messages":[{"role":"user","content":"x"}]"#);
    let reply = gateway.chat(body.replace("MODEL", model)).await;
    assert_eq!(reply.status(), 200, "{}: {body}", reply.text());
    assert_eq!(upstream.last().text(), body.replace("MODEL", "m-1"));
}

#[tokio::test]
async fn passthrough_changes_only_model_value() {
    let (upstream, gateway) = start().await;
    for model in ["openai/m-1", "best", "lab/m-1", "LAB/m-1"] {
        for body in [
            r#"{"model":"MODEL",MESSAGES}"#,
            r#" { "temperature" : 1.0, MESSAGES , "model" :	"MODEL" } "#,
            r#"{MESSAGES,"model":"MODEL","seed":9007199254740993,"x":18446744073709551616}"#,
            r#"{"model":"MODEL",MESSAGES,"n":1.0,"a":1E5,"b":-0,"c":0.10000000000000000000001}"#,
            r#"{"model":"MODEL",MESSAGES,"s":"\u0041\/\ud83d\ude00","t":"  é😀"}"#,
            r#"{"z":1,"model":"MODEL","a":{"z":[{},[],null,true],"model":"untouched"},MESSAGES}"#,
            r#"{"model":"MODEL","messages":[{"content":"x","x":1e300,"role":"user"}]}"#,
        ] {
            check(&upstream, &gateway, model, body).await;
        }
    }
}

#[tokio::test]
async fn escaped_model_member_is_recognized() {
    let (upstream, gateway) = start().await;
    let body = r#"{"mod\u0065l":"open\u0061i/m-1","messages":[{"role":"user","content":"x"}]}"#;
    assert_eq!(gateway.chat(body).await.status(), 200);
    assert_eq!(upstream.last().text(), body.replace(r"open\u0061i/m-1", "m-1"));
}

#[tokio::test]
async fn streamed_passthrough_adds_only_include_usage() {
    let (upstream, gateway) = start().await;
    let rest = r#","messages":[{"role":"user","content":"x"}],"stream":true"#;
    for (asked, sent) in [
        ("", r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":{"include_usage":true, "x":1}"#, ""),
    ] {
        let body = format!(r#"{{"model":"openai/m-1"{rest}{asked}}}"#);
        assert!(gateway.chat(body).await.event_text().ends_with("[DONE]"));
        let expected = format!(r#"{{"model":"m-1"{sent}{rest}{asked}}}"#);
        assert_eq!(upstream.last().text(), expected);
    }
}

/// JSON in any spelling: spacing, numbers, escapes.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| json!(text).to_string()),
        Just(r#""\u00e9\ud834\udd1e\/\b""#.to_owned()),
    ];
    let space = "[ \t\r\n]{0,2}";
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let item = (space, inner, space).prop_map(|(a, it, b)| format!("{a}{it}{b}"));
        prop_oneof![
            prop::collection::vec(item.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(item, 0..4).prop_map(|items| members(&items)),
        ]
    })
}

/// An object with these values, under names that differ.
fn members(values: &[String]) -> String {
    let members = values.iter().enumerate().map(|(at, value)| format!("\"key {at}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[test]
fn arbitrary_request_json_passes_unchanged() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (upstream, gateway) = runtime.block_on(start());
    let members = (any_json(), any_json(), any_json(), 0..3_usize);
    let cases = ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(cases).run(&members, |(a, b, c, place)| {
        let mut members =
            [format!("\"a\":{a}"), format!("\"b\":{b}"), format!("\"c\":{c}")].to_vec();
        members.insert(place, r#""model":"MODEL",MESSAGES"#.to_owned());
        let body = format!("{{{}}}", members.join(","));
        runtime.block_on(check(&upstream, &gateway, "openai/m-1", &body));
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn whole_response_passes_unchanged() {
    let (upstream, gateway) = start().await;
    for answer in [
        openai::whole("Hi"),
        openai::whole("Hi").replace(',', " ,\n\t"),
        openai::whole("Hi").replace("\"Hi\"", r#""\u0048\/ é""#),
        openai::whole("Hi").replacen(
            '{',
            r#"{"x":{"big":18446744073709551616,"small":1e-400},"#,
            1,
        ),
    ] {
        upstream.next(Script::json(200, &answer));
        let reply = gateway.ask("openai/m-1", json!({})).await;
        assert_eq!(reply.text(), answer);
        assert_eq!(reply.header("content-type"), "application/json");
    }
}

/// With these events from an upstream the caller sees the same.
async fn check_events(upstream: &Upstream, gateway: &Gateway, script: Script, expected: &[String]) {
    upstream.next(script);
    let asked = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let reply = gateway.ask("openai/m-1", asked).await;
    assert_eq!(reply.events(), expected);
}

#[tokio::test]
async fn streamed_response_passes_unchanged() {
    let (upstream, gateway) = start().await;
    let mut events = openai::streamed(&["a", "é😀\u{2028}", "data: [DONE]\n\n", "\r\n", ""]);
    events[1] = events[1].replace("\"a\"", r#""\u0061" , "x" : 1.0"#);
    check_events(&upstream, &gateway, Script::events(&events), &events).await;
    check_events(&upstream, &gateway, Script::events(&events).dripping(), &events).await;
    let joined = openai::written(&events);
    check_events(&upstream, &gateway, Script::streaming().chunk(joined).end(), &events).await;
}

#[tokio::test]
async fn sse_variants_are_parsed() {
    let (upstream, gateway) = start().await;
    let events = openai::streamed(&["a", "b"]);
    let written = |line: fn(&String) -> String| {
        let all = events.iter().map(line).collect::<Vec<_>>().concat();
        Script::streaming().chunk(all).end()
    };
    for script in [
        written(|event| format!("data: {event}\r\n\r\n")),
        written(|event| format!("data: {event}\r\r")),
        written(|event| format!("data:{event}\n\n")),
        written(|event| format!(": ping\n\nid: 1\nretry: 5\nevent: message\ndata: {event}\n\n")),
        written(|event| format!("data: {}\n\n", event.replacen(",\"", "\ndata: ,\"", 1))),
        Script::streaming().chunk("\u{feff}").chunk(events_without_last_line(&events)).end(),
    ] {
        upstream.next(script.clone());
        let reply = gateway.ask("openai/m-1", json!({ "stream": true })).await;
        assert_eq!(reply.event_text(), "ab[stop][DONE]", "{script:?}");
        assert!(!reply.text().contains('\r'));
    }
}

fn events_without_last_line(events: &[String]) -> String {
    openai::written(events).trim_end().to_owned()
}

#[tokio::test]
async fn usage_chunk_is_hidden_unless_requested() {
    let (upstream, gateway) = start().await;
    for model in ["openai/m-1", "lab/m-1"] {
        let reply = gateway.ask(model, json!({ "stream": true })).await;
        assert_eq!(reply.event_text(), "Hello.[stop][DONE]");
        assert!(!reply.text().contains("prompt_tokens"), "{}", reply.text());
    }
    assert_eq!(upstream.exchanges().len(), 2);
}
