//! Large responses that are not streamed: passed on while they arrive, and booked to the token.

use gateway_tests::{
    BodyEnd, DataDirectory, ExchangeEnd, Gateway, MessageHead, RawConnection, Script, Setup,
    Upstream, openai, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

const MIB: usize = 1 << 20;

/// The head of a response whose length is not announced.
const CHUNKED: [(&str, &str); 2] =
    [("content-type", "application/json"), ("transfer-encoding", "chunked")];

/// The header that only a collected response has: its cost is known before its body is sent.
const COST: &str = "x-gateway-cost-usd";

/// A model of OpenAI, whose responses are not edited, and one of a compatible server, whose
/// responses are normalized.
const MODELS: [&str; 2] = ["openai/gpt-4o", "lab/m"];

/// A gateway before an upstream of all dialects.
fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("providers.openai", "base_url", &upstream.url())
        .set("providers.openai", "api_key", "sk-upstream")
        .set("providers.claude", "base_url", &upstream.url())
        .set("providers.claude", "kind", "anthropic")
        .client("a", "sk-a")
}

/// A response of `length` bytes of text, with 5 and 7 tokens.
fn large(length: usize) -> String {
    written(CHATS[0], &"x".repeat(length))
}

/// The head of a response that announces its length.
fn announced(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
}

/// A response whose length is not announced.
fn chunked(body: &str) -> Script {
    let head = Script::new().head(200, &CHUNKED);
    body.as_bytes().chunks(64 << 10).fold(head, Script::chunk).end()
}

/// A request of the client for a response of `model`, and nothing read yet.
async fn asking(gateway: &Gateway, model: &str, headers: &[(&str, &str)]) -> RawConnection {
    let headers = [&[("x-api-key", "sk-a")], headers].concat();
    let mut caller = gateway.connect().await;
    let (path, body) = if model.starts_with("claude") {
        let messages = json!([{ "role": "user", "content": "Hello" }]);
        let body = json!({ "model": model, "max_tokens": 100, "messages": messages });
        ("/v1/messages", body.to_string())
    } else {
        ("/v1/chat/completions", openai::ask(model, json!({})))
    };
    caller.send(request("POST", path, &headers, body.as_bytes())).await;
    caller
}

/// A response as its caller gets it.
struct ReceivedResponse {
    head: MessageHead,
    body: Vec<u8>,
    ending: BodyEnd,
}

async fn received(mut caller: RawConnection) -> ReceivedResponse {
    let mut stream = caller.begin().await;
    let body = stream.bytes(usize::MAX).await;
    ReceivedResponse { head: stream.head.clone(), body, ending: stream.ending() }
}

/// The usage that was booked, by outcome.
async fn booked(gateway: &Gateway, outcome: &str) -> Value {
    let outcomes = gateway.outcomes(1).await;
    assert_eq!(outcomes[0]["outcome"], outcome, "{outcomes:?}");
    let headers = [("x-api-key", "sk-a")];
    let usage = request("GET", "/v1/usage?group_by=outcome", &headers, b"");
    gateway.send(usage).await.json()["data"][0].clone()
}

#[tokio::test]
async fn large_response_passes_on_before_it_is_whole() {
    for model in MODELS {
        let upstream = Upstream::start().await;
        let gateway = setup(&upstream).start().await;
        let body = large(3 * MIB);
        let (first, rest) = body.split_at(MIB);
        upstream.next(Script::new().bytes(announced(&body)).bytes(first).wait(2_000).bytes(rest));
        let mut caller = asking(&gateway, model, &[]).await;
        let began = Instant::now();
        let mut stream = caller.begin().await;
        // Most of the first part is there while the second is not written yet.
        let mut came = stream.bytes(MIB / 2).await;
        assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
        came.extend(stream.bytes(usize::MAX).await);
        assert_eq!(stream.ending(), BodyEnd::Proper);
        let length = stream.head.header("content-length");
        // What is normalized has a length only in the end.
        assert_eq!(length, (model == MODELS[0]).then(|| body.len().to_string()).as_deref());
        let text: Value = serde_json::from_slice(&came).unwrap();
        assert_eq!(text["choices"][0]["message"]["content"].as_str().unwrap().len(), 3 * MIB);
        let row = booked(&gateway, "ok").await;
        assert_eq!((&row["input_tokens"], &row["output_tokens"]), (&json!(5), &json!(7)), "{row}");
    }
}

#[tokio::test]
async fn large_response_of_unknown_length_passes_on() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let body = large(3 * MIB);
    upstream.next(chunked(&body));
    let came = received(asking(&gateway, MODELS[0], &[]).await).await;
    assert_eq!(came.head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(came.ending, BodyEnd::Proper);
    assert!(came.body == body.as_bytes(), "{} of {} bytes", came.body.len(), body.len());
    let row = booked(&gateway, "ok").await;
    assert_eq!((&row["input_tokens"], &row["output_tokens"]), (&json!(5), &json!(7)), "{row}");
}

/// Responses of the chat dialect: usual ones, and those that are edited, before or behind the long
/// text `LONG`.
const CHATS: [&str; 11] = [
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":LONG},"finish_reason":"stop"}],USAGE}"#,
    r#"{ "id": "c", "object": "chat.completion",
  "created": 1, "model": "m", "choices": [ { "index": 0, "message": { "role": "assistant", "content": LONG, "refusal": null } , "logprobs": null, "finish_reason": "stop" } ], USAGE }
"#,
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":LONG},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":LONG},"finish_reason":"length"}],USAGE}"#,
    r#"{"id":"c","created":1,"model":"m","choices":[{"message":{"role":"assistant","content":LONG}}],USAGE}"#,
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m",USAGE,"choices":[{"index":0,"message":{"role":"assistant","content":LONG},"finish_reason":"stop"}]}"#,
    r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"content":LONG,"role":"assistant"}}],"created":1,"id":"c","model":"m","object":"x",USAGE}"#,
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"text","text":LONG}]},"finish_reason":"stop"}],USAGE}"#,
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","reasoning":LONG,"content":"a"},"finish_reason":"stop"}],USAGE}"#,
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","reasoning_details":[{"type":"reasoning.encrypted","data":"sealed"}],"content":LONG},"finish_reason":"stop"}],USAGE}"#,
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":LONG,"reasoning_details":[{"type":"reasoning.encrypted","data":LONG}]},"finish_reason":"stop"}],USAGE}"#,
    r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":LONG}}]},"finish_reason":"tool_calls"}],USAGE}"#,
];

/// Responses of the messages dialect.
const MESSAGES: [&str; 4] = [
    r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":LONG}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}}"#,
    r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"t","signature":"sealed"},{"type":"text","text":LONG}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}}"#,
    r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":LONG},{"type":"thinking","thinking":"t","signature":"sealed"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}}"#,
    r#"{"usage":{"input_tokens":5,"output_tokens":7},"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":LONG,"signature":LONG},{"type":"text","text":LONG}],"stop_reason":"end_turn","stop_sequence":null}"#,
];

const USAGE: &str = r#""usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}"#;

/// The response of a template.
fn written(template: &str, long: &str) -> String {
    template.replace("LONG", &json!(long).to_string()).replace("USAGE", USAGE)
}

/// Whatever a response looks like, it makes no difference to its caller whether it passes on.
#[tokio::test]
async fn passing_response_equals_collected_response() {
    let long = format!("\"{}\u{e9}\n", "x\\y\u{1f600}".repeat(MIB / 4));
    let upstream = Upstream::start().await;
    let passing = setup(&upstream).start().await;
    let collecting = setup(&upstream).write("admission", "passthrough_above", "0").start().await;
    let mut passed = Vec::new();
    for (model, bodies) in [(MODELS[0], &CHATS[..]), (MODELS[1], &CHATS), ("claude/m", &MESSAGES)] {
        for (number, template) in bodies.iter().enumerate() {
            let (body, mut came) = (written(template, &long), Vec::new());
            for gateway in [&passing, &collecting] {
                upstream.next(Script::json(200, &body));
                came.push(received(asking(gateway, model, &[]).await).await);
            }
            let [one, other] = came.try_into().unwrap_or_else(|_| panic!("two responses"));
            let name = format!("{model} {number}");
            assert_eq!((one.ending, other.ending), (BodyEnd::Proper, BodyEnd::Proper), "{name}");
            assert_eq!(one.head.word(1), other.head.word(1), "{name}");
            if one.body != other.body {
                let at = one.body.iter().zip(&other.body).position(|(a, b)| a != b);
                panic!("{name}: {} and {} bytes, first {at:?}", one.body.len(), other.body.len());
            }
            assert!(other.head.header(COST).is_some(), "{name}");
            if one.head.header(COST).is_none() {
                passed.push(name);
            }
        }
    }
    gateway_tests::print_measurement(&format!("passed on: {passed:?}"));
    assert!(passed.len() >= 18, "{passed:?}");
    for gateway in [&passing, &collecting] {
        let usage = request("GET", "/v1/usage", &[("x-api-key", "sk-a")], b"");
        let total = gateway.send(usage).await.json()["total"].clone();
        assert_eq!((&total["input_tokens"], &total["output_tokens"]), (&json!(130), &json!(182)));
    }
}

/// Checks a response of `length` that goes wrong after its beginning was passed on: the connection
/// ends abnormally, and the request is booked with its input.
async fn check_broken(script: Script, length: usize, outcome: &str) {
    for model in MODELS {
        let upstream = Upstream::start().await;
        let gateway = setup(&upstream).start().await;
        upstream.next(script.clone());
        let came = received(asking(&gateway, model, &[]).await).await;
        assert_eq!(came.head.word(1), "200");
        assert_ne!(came.ending, BodyEnd::Proper, "it looks complete");
        assert!(!came.body.is_empty() && came.body.len() < length, "{} bytes", came.body.len());
        let row = booked(&gateway, outcome).await;
        assert!(row["input_tokens"].as_u64().unwrap() > 0, "{row}");
    }
}

#[tokio::test]
async fn large_response_that_is_cut_never_looks_complete() {
    let body = large(3 * MIB);
    let begun = || Script::new().bytes(announced(&body)).bytes(&body[..2 * MIB]).wait(100);
    check_broken(begun().close(), body.len(), "upstream_cut").await;
    check_broken(begun().reset(), body.len(), "upstream_cut").await;
    let almost =
        Script::new().bytes(announced(&body)).bytes(&body[..body.len() - 1]).wait(100).close();
    check_broken(almost, body.len(), "upstream_cut").await;
    let chunks = Script::new().head(200, &CHUNKED).chunk(&body[..2 * MIB]).wait(100);
    check_broken(chunks.close(), body.len(), "upstream_cut").await;
}

#[tokio::test]
async fn large_response_that_turns_out_to_be_none_never_looks_complete() {
    let text = large(3 * MIB);
    let unclosed = format!("{} ", text.strip_suffix('}').unwrap());
    let garbage = format!("{text}]");
    for body in [unclosed, garbage] {
        check_broken(Script::json(200, &body), body.len(), "upstream_invalid_response").await;
    }
}

#[tokio::test]
async fn unread_large_response_leaves_its_rest_with_the_upstream() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    upstream.next(Script::json(200, large(24 * MIB)));
    let caller = asking(&gateway, MODELS[0], &[]).await;
    time::sleep(Duration::from_secs(1)).await;
    let held = upstream.exchanges()[0].sent;
    assert!(held < 8 * MIB, "{held} bytes were taken from the upstream");
    drop(caller);
    assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)));
    let row = booked(&gateway, "client_cancelled").await;
    assert!(row["input_tokens"].as_u64().unwrap() > 0, "{row}");
}

/// What needs a whole response still gets one, with all that belongs to it.
#[tokio::test]
async fn response_that_is_needed_whole_is_collected() {
    let upstream = Upstream::start().await;
    let data = DataDirectory::new();
    let setup = setup(&upstream).keeping(&data).write("cache", "enabled", "true");
    let gateway = setup.start().await;
    let body = large(2 * MIB);
    upstream.always(Script::json(200, &body));
    let bypass = ("cache-control", "no-store");
    for (headers, is_collected) in [
        (&[bypass][..], false),
        (&[bypass, ("idempotency-key", "key-of-a-large-response")], true),
        (&[], true),
    ] {
        let came = received(asking(&gateway, MODELS[0], headers).await).await;
        assert!(came.body == body.as_bytes(), "{} of {} bytes", came.body.len(), body.len());
        assert_eq!(came.head.header(COST).is_some(), is_collected, "{headers:?}");
    }
    // The same bytes once more, from what was kept.
    let again = [bypass, ("idempotency-key", "key-of-a-large-response")];
    let came = received(asking(&gateway, MODELS[0], &again).await).await;
    assert_eq!(came.head.header("idempotent-replayed"), Some("true"));
    assert!(came.body == body.as_bytes());
}

#[tokio::test]
async fn size_from_which_responses_pass_on_is_a_setting() {
    for (above, passes) in [("\"64KiB\"", true), ("\"512KiB\"", false), ("0", false)] {
        let upstream = Upstream::start().await;
        let setup = setup(&upstream).write("admission", "passthrough_above", above);
        let gateway = setup.start().await;
        let body = large(200 << 10);
        upstream.next(Script::json(200, &body));
        let came = received(asking(&gateway, MODELS[0], &[]).await).await;
        assert!(came.body == body.as_bytes());
        assert_eq!(came.head.header(COST).is_none(), passes, "{above}");
    }
}

/// To a caller of HTTP/1.0, a cut looks like the end.
#[tokio::test]
async fn caller_of_http_1_0_gets_a_collected_response() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let body = large(2 * MIB);
    upstream.next(Script::json(200, &body));
    let asked = openai::ask(MODELS[0], json!({}));
    let mut caller = gateway.connect().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nx-api-key: sk-a\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{asked}",
        asked.len()
    );
    caller.send(head).await;
    let came = received(caller).await;
    assert_eq!(came.head.header("content-length"), Some(&*body.len().to_string()));
    assert!(came.head.header(COST).is_some() && came.body == body.as_bytes());
}
