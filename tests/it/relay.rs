//! Requests that are relayed: on every endpoint of the table, as the gateway's own API description lists
//! it, the caller's bytes reach the provider of the model, and limits, budgets, fallback and the access
//! list hold as they do for chats.

use gateway_tests::{ExchangeEnd, Gateway, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

const KEY: &str = "sk-relay";

/// A relayed endpoint, and an example of a request to it.
struct Row {
    path: String,
    content_type: &'static str,
    body: fn(&Self, &str) -> Vec<u8>,
    example: Value,
}

impl Row {
    /// A request for `model`, with further header fields.
    fn request(&self, model: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let bearer = format!("Bearer {KEY}");
        let own = [("Authorization", &*bearer), ("content-type", self.content_type)];
        request("POST", &self.path, &[&own, fields].concat(), &(self.body)(self, model))
    }
}

/// The example with this model.
fn json_body(row: &Row, model: &str) -> Vec<u8> {
    let mut body = row.example.clone();
    body["model"] = model.into();
    body.to_string().into_bytes()
}

/// The boundary of the forms.
const FORM: &str = "multipart/form-data; boundary=b0undary";

/// A field of a form.
fn field(name: &str, value: &str) -> String {
    format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

/// A field with a file.
fn file(name: &str, content: &str) -> String {
    format!(
        "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{content}\r\n"
    )
}

/// A form whose first field is the model: as a provider gets it, wherever the caller had it.
fn form_body(row: &Row, model: &str) -> Vec<u8> {
    let name = row.example.as_str().unwrap();
    let file = file(name, "bytes\r\n--b0und of a file");
    format!("{}{file}--b0undary--\r\n", field("model", model)).into_bytes()
}

/// Every relayed endpoint that the gateway describes.
async fn rows(gateway: &Gateway) -> Vec<Row> {
    let document = gateway.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let rows = paths.iter().filter_map(|(path, item)| {
        let operation = &item["post"];
        let content = &operation["requestBody"]["content"];
        if operation["tags"] != json!(["relayed"]) {
            return None;
        }
        let path = path.clone();
        let form = &content["multipart/form-data"]["schema"]["required"][0];
        if form.is_string() {
            let (content_type, body) = (FORM, form_body as fn(&Row, &str) -> Vec<u8>);
            return Some(Row { path, content_type, body, example: form.clone() });
        }
        let example = content["application/json"]["example"].clone();
        Some(Row { path, content_type: "application/json", body: json_body, example })
    });
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() >= 9, "{}", rows.len());
    rows
}

/// A client before the priced model `m` of the provider `lab`.
fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .set("[models]", "upstream", "upstream-m")
        .write("[models]", "price", "{ input = 1000000, output = 1000000 }")
        .client("app", KEY)
}

/// A reply that reports seven tokens.
fn answer() -> Script {
    Script::json(200, r#"{"data":[{}],"usage":{"input_tokens":5,"output_tokens":2}}"#)
}

async fn send(gateway: &Gateway, bytes: Vec<u8>) -> Reply {
    gateway.send(bytes).await
}

/// The sum of what the client has used.
async fn total(gateway: &Gateway) -> Value {
    let headers = [("x-api-key", KEY)];
    gateway.send(request("GET", "/v1/usage", &headers, b"")).await.json()["total"].clone()
}

#[tokio::test]
async fn every_relayed_endpoint_reaches_the_provider_and_is_accounted() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let mut expected = 0.0;
    for (number, row) in (1..).zip(rows(&gateway).await) {
        upstream.next(answer());
        let reply = send(&gateway, row.request("m", &[])).await;
        assert_eq!(reply.status_and_code(), "200", "{}", row.path);
        assert_eq!(reply.header("x-gateway-provider"), "lab");
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.json()["usage"]["input_tokens"], 5);
        let sent = upstream.last();
        let below = row.path.trim_start_matches("/v1").trim_start_matches("/v2");
        assert_eq!(sent.head.word(1), format!("/v1{below}"));
        assert!(sent.body == (row.body)(&row, "upstream-m"), "{}", row.path);
        assert_eq!(sent.head.header("authorization"), None, "the caller's key stays here");
        let outcomes = gateway.outcomes(number).await;
        let outcome = outcomes.last().unwrap();
        assert_eq!((&outcome["path"], &outcome["outcome"]), (&json!(row.path), &json!("ok")));
        let total = total(&gateway).await;
        assert_eq!(total["requests"], number, "{total}");
        let cost = total["cost_usd"].as_f64().unwrap();
        expected += 7.0;
        assert!((cost - expected).abs() < 1e-6, "{total}");
    }
}

#[tokio::test]
async fn access_list_holds_on_every_relayed_endpoint() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).write("[clients]", "models", "[\"other\"]").start().await;
    for row in rows(&gateway).await {
        let reply = send(&gateway, row.request("m", &[])).await;
        assert_eq!(reply.status_and_code(), "403 model_not_allowed", "{}", row.path);
        let named = [("x-gateway-model", "m")];
        let reply = send(&gateway, row.request("other", &named)).await;
        assert_eq!(reply.status_and_code(), "403 model_not_allowed", "{}", row.path);
        let keyless = request("POST", &row.path, &[], b"{}");
        assert_eq!(
            send(&gateway, keyless).await.status_and_code(),
            "401 invalid_api_key",
            "{}",
            row.path
        );
    }
    assert!(upstream.exchanges().is_empty());
}

#[tokio::test]
async fn header_names_the_model_on_every_relayed_endpoint() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).write("[clients]", "models", "[\"m\"]").start().await;
    for row in rows(&gateway).await {
        upstream.next(answer());
        let reply = send(&gateway, row.request("other", &[("x-gateway-model", "m")])).await;
        assert_eq!(reply.status_and_code(), "200", "{}", row.path);
        assert!(upstream.last().body == (row.body)(&row, "upstream-m"), "{}", row.path);
    }
}

#[tokio::test]
async fn rate_limit_holds_on_every_relayed_endpoint() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream).write("[clients]", "requests_per_minute", "1");
    let described = rows(&setup.clone().start().await).await;
    for row in described {
        let gateway = setup.clone().start().await;
        upstream.next(answer());
        assert_eq!(
            send(&gateway, row.request("m", &[])).await.status_and_code(),
            "200",
            "{}",
            row.path
        );
        let refused = send(&gateway, row.request("m", &[])).await;
        assert_eq!(refused.status_and_code(), "429 rate_limit_exceeded", "{}", row.path);
        assert_eq!(refused.header("x-ratelimit-limit-requests"), "1");
    }
}

#[tokio::test]
async fn budget_holds_on_every_relayed_endpoint() {
    let upstream = Upstream::start().await;
    // What one reply costs; the reservation of a request is more than nothing.
    let setup = setup(&upstream).write("[clients]", "daily_budget_usd", "1000");
    let gateway = setup.start().await;
    for row in rows(&gateway).await {
        let reply = send(&gateway, row.request("lab/unpriced", &[])).await;
        assert_eq!(reply.status_and_code(), "429 unpriced_model", "{}", row.path);
    }
    upstream.always(Script::json(200, r#"{"usage":{"input_tokens":999,"output_tokens":1}}"#));
    let described = rows(&gateway).await;
    let (first, others) = described.split_first().unwrap();
    assert_eq!(send(&gateway, first.request("m", &[])).await.status_and_code(), "200");
    gateway.outcomes(1).await;
    for row in others {
        let reply = send(&gateway, row.request("m", &[])).await;
        assert_eq!(reply.status_and_code(), "429 budget_exceeded", "{}", row.path);
    }
    assert_eq!(upstream.exchanges().len(), 1);
}

#[tokio::test]
async fn fallback_and_breaker_hold_on_every_relayed_endpoint() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let setup = Setup::tenacious()
        .write("resilience", "retry_max_attempts", "1")
        .provider("one", &one.url())
        .provider("two", &two.url())
        .route("best", r#"["one/a", "two/b"]"#)
        .client("app", KEY);
    let gateway = setup.start().await;
    one.always(Script::json(500, openai::error("x", "x", "x")));
    for row in rows(&gateway).await {
        two.next(answer());
        let reply = send(&gateway, row.request("best", &[])).await;
        assert_eq!(reply.status_and_code(), "200", "{}", row.path);
        assert_eq!(reply.header("x-gateway-provider"), "two");
        assert_eq!(reply.header("x-gateway-fallback-from"), "one/a");
        assert!(two.last().body == (row.body)(&row, "b"), "{}", row.path);
    }
    // Failures of any endpoint open the circuit of the model for all of them.
    let calls = one.exchanges().len();
    let described = rows(&gateway).await;
    for _ in 0..10 {
        two.next(answer());
        assert_eq!(
            send(&gateway, described[0].request("best", &[])).await.status_and_code(),
            "200"
        );
    }
    assert!(one.exchanges().len() < calls + 10, "the circuit opened");
}

#[tokio::test]
async fn refusals_have_the_callers_dialect_on_every_relayed_endpoint() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).provider("claude", &upstream.url());
    let gateway = gateway.set("providers.claude", "kind", "anthropic").start().await;
    for row in rows(&gateway).await {
        let refusal = json!({ "message": "no such size", "param": "size", "code": "bad_size" });
        upstream.next(Script::json(400, json!({ "error": refusal }).to_string()));
        let reply = send(&gateway, row.request("m", &[])).await;
        assert_eq!(reply.status(), 400, "{}", row.path);
        let error = &reply.json()["error"];
        assert_eq!((&error["message"], &error["param"]), (&json!("no such size"), &json!("size")));
        let reply = send(&gateway, row.request("claude/x", &[])).await;
        assert_eq!(reply.status_and_code(), "400 unsupported_model", "{}", row.path);
        let reply = send(&gateway, row.request("nowhere-1", &[])).await;
        assert_eq!(reply.status_and_code(), "404 model_not_found", "{}", row.path);
        let reply = send(&gateway, row.request("m", &[("x-gateway-model", "")])).await;
        assert_eq!(reply.status_and_code(), "400 invalid_parameter", "{}", row.path);
    }
}

#[tokio::test]
async fn disconnect_cancels_upstream_on_every_relayed_endpoint() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    for (number, row) in (1..).zip(rows(&gateway).await) {
        upstream.next(Script::new().stall());
        let mut raw = gateway.connect().await;
        raw.send(row.request("m", &[])).await;
        upstream.arrived(number).await;
        drop(raw);
        assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)), "{}", row.path);
        let outcomes = gateway.outcomes(number).await;
        assert_eq!(outcomes.last().unwrap()["outcome"], "client_cancelled", "{}", row.path);
    }
}

/// What a request to `path` for the model `m` at this price costs, with this reply, in dollars.
async fn cost(price: &str, path: &str, body: Value, reply: Script) -> f64 {
    let upstream = Upstream::start().await;
    upstream.always(reply);
    let gateway = setup(&upstream).write("[models]", "price", price).start().await;
    let headers = [("x-api-key", KEY)];
    let reply = gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await;
    assert_eq!(reply.status_and_code(), "200");
    gateway.outcomes(1).await;
    total(&gateway).await["cost_usd"].as_f64().unwrap()
}

#[tokio::test]
async fn units_other_than_tokens_have_their_price() {
    let sound = || Script::whole(200, &[("content-type", "audio/mpeg")], b"ID3 sound");
    let images = "/v1/images/generations";
    let two = json!({ "model": "m", "prompt": "p", "n": 2 });
    let made =
        || Script::json(200, r#"{"created":1,"data":[{"url":"a"},{"url":"b"},{"url":"c"}]}"#);
    let text = "x".repeat(500);
    let speech = json!({ "model": "m", "input": text, "voice": "v" });
    let query = json!({ "model": "m", "query": "q", "documents": ["a"] });
    for (price, path, body, reply, expected) in [
        // The images of the reply count, whatever was asked for.
        ("{ per_image = 0.04 }", images, two.clone(), made(), 0.12),
        // One whose images cannot be counted is owed as it was asked for.
        ("{ per_image = 0.04 }", images, two, Script::json(200, "{}"), 0.08),
        ("{ per_1k_characters = 0.015 }", "/v1/audio/speech", speech, sound(), 0.0075),
        ("{ per_request = 0.002 }", "/v1/rerank", query, Script::json(200, "{}"), 0.002),
    ] {
        let cost = cost(price, path, body, reply).await;
        assert!((cost - expected).abs() < 1e-9, "{price}: {cost}");
    }
}

#[tokio::test]
async fn sound_passes_on_as_it_arrives() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let fields = [("content-type", "audio/mpeg"), ("transfer-encoding", "chunked")];
    upstream.next(Script::new().head(200, &fields).chunk(b"\xff\xf3first").stall());
    let body = json!({ "model": "m", "input": "a text", "voice": "v" }).to_string();
    let mut raw = gateway.connect().await;
    let headers = [("x-api-key", KEY)];
    raw.send(request("POST", "/v1/audio/speech", &headers, body.as_bytes())).await;
    let mut stream = raw.begin().await;
    assert_eq!(stream.head.header("content-type"), Some("audio/mpeg"));
    assert_eq!(stream.bytes(7).await, b"\xff\xf3first");
}

#[tokio::test]
async fn usage_of_a_streamed_image_is_booked() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let usage = json!({ "input_tokens": 5, "output_tokens": 2 });
    let event = json!({ "type": "image_generation.completed", "b64_json": "x".repeat(100 << 10), "usage": usage });
    upstream.next(Script::events([event.to_string()]));
    let body = json!({ "model": "m", "prompt": "p", "stream": true }).to_string();
    let headers = [("x-api-key", KEY)];
    let reply =
        gateway.send(request("POST", "/v1/images/generations", &headers, body.as_bytes())).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!(reply.events().len(), 1);
    assert_eq!(upstream.last().head.header("accept"), Some("text/event-stream"));
    gateway.outcomes(1).await;
    assert_eq!(total(&gateway).await["cost_usd"], 7.0);
}

#[tokio::test]
async fn reply_that_breaks_off_is_not_complete() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let fields = [("content-type", "audio/mpeg"), ("content-length", "100")];
    upstream.next(Script::new().head(200, &fields).bytes("begun").wait(200).close());
    let body = json!({ "model": "m", "input": "a text", "voice": "v" }).to_string();
    let mut raw = gateway.connect().await;
    let headers = [("x-api-key", KEY)];
    raw.send(request("POST", "/v1/audio/speech", &headers, body.as_bytes())).await;
    let received = String::from_utf8_lossy(&raw.closed().await).into_owned();
    assert!(received.ends_with("begun"), "{received}");
    let outcomes = gateway.outcomes(1).await;
    assert_eq!(outcomes[0]["outcome"], "upstream_cut");
}

/// A request with a form to `path`.
fn form(path: &str, fields: &[(&str, &str)], parts: &[String]) -> Vec<u8> {
    let own = [("x-api-key", KEY), ("content-type", FORM)];
    let body = format!("{}--b0undary--\r\n", parts.concat());
    request("POST", path, &[&own, fields].concat(), body.as_bytes())
}

const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

#[tokio::test]
async fn large_form_passes_on_while_it_arrives() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    upstream.always(answer());
    let sound = "0123456789abcdef".repeat(3 << 16);
    let last = field("model", "another");
    let parts = [field("model", "m"), file("file", &sound), last, field("language", "de")];
    let reply = send(&gateway, form(TRANSCRIPTIONS, &[], &parts)).await;
    assert_eq!(reply.status_and_code(), "200");
    let sent = upstream.last();
    assert_eq!(sent.head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(sent.head.header("content-length"), None);
    assert_eq!(sent.head.header("content-type"), Some(FORM));
    let parts = [field("model", "upstream-m"), file("file", &sound), field("language", "de")];
    let expected = format!("{}--b0undary--\r\n", parts.concat());
    assert!(sent.body == expected.as_bytes(), "the form is the same but for its model");
}

#[tokio::test]
async fn memory_of_a_large_upload_is_bounded() {
    const MIB: usize = 1 << 20;
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    upstream.always(answer());
    let resident = || {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", gateway.pid())).unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    assert_eq!(
        send(&gateway, form(TRANSCRIPTIONS, &[], &[field("model", "m")])).await.status_and_code(),
        "200"
    );
    let before = resident();
    let part = "--b0undary\r\nContent-Disposition: form-data; name=file\r\n\r\n";
    let (head, tail) = (field("model", "m") + part, "\r\n--b0undary--\r\n");
    let length = head.len() + 128 * MIB + tail.len();
    let fields = format!(
        "POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {KEY}\r\n\
         content-type: {FORM}\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut raw = gateway.connect().await;
    raw.send(format!("{fields}{head}")).await;
    let piece = vec![b'x'; MIB];
    let mut most = 0;
    for _ in 0..128 {
        raw.send(&piece).await;
        most = most.max(resident());
    }
    raw.send(tail).await;
    assert_eq!(raw.reply().await.status_and_code(), "200");
    assert!(upstream.last().body.len() > 128 * MIB);
    let growth = most.saturating_sub(before);
    assert!(growth < 8 * MIB, "grew by {growth}");
}

#[tokio::test]
async fn model_of_a_form_is_found_behind_a_file() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    upstream.always(answer());
    let small = [file("file", "sound"), field("model", "m")];
    let reply = send(&gateway, form(TRANSCRIPTIONS, &[], &small)).await;
    assert_eq!(reply.status_and_code(), "200");
    let expected = [field("model", "upstream-m"), file("file", "sound"), "--b0undary--\r\n".into()];
    assert!(upstream.last().body == expected.concat().as_bytes());
    let large = [file("file", &"0123456789abcdef".repeat(3 << 16)), field("model", "other")];
    let refused = send(&gateway, form(TRANSCRIPTIONS, &[], &large)).await;
    assert_eq!(refused.status_and_code(), "400 invalid_parameter");
    assert!(refused.text().contains("x-gateway-model"), "{}", refused.text());
    let named = [("x-gateway-model", "m")];
    assert_eq!(send(&gateway, form(TRANSCRIPTIONS, &named, &large)).await.status_and_code(), "200");
    let sent = upstream.last().body;
    assert!(sent.starts_with(field("model", "upstream-m").as_bytes()));
    assert!(!sent.windows(5).any(|five| five == b"other"), "no other model is believed");
}

#[tokio::test]
async fn form_that_cannot_be_read_is_refused() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).write("server", "max_upload_bytes", "4096").start().await;
    let ask = async |content_type: &str, body: &str| {
        let fields = [("x-api-key", KEY), ("content-type", content_type)];
        send(&gateway, request("POST", TRANSCRIPTIONS, &fields, body.as_bytes()))
            .await
            .status_and_code()
    };
    let model = field("model", "m");
    assert_eq!(ask("application/json", "{}").await, "415 unsupported_media_type");
    assert_eq!(ask("multipart/form-data", &model).await, "415 unsupported_media_type");
    assert_eq!(ask(FORM, "--b0undary").await, "400 invalid_body");
    assert_eq!(ask(FORM, "--b0undary--").await, "400 invalid_parameter");
    assert_eq!(ask(FORM, &model).await, "400 invalid_body");
    assert_eq!(ask(FORM, &format!("{model}{}", "x".repeat(5000))).await, "413 request_too_large");
    assert!(upstream.exchanges().is_empty());
}

#[tokio::test]
async fn upload_that_was_begun_is_not_sent_again() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let setup = Setup::tenacious()
        .provider("one", &one.url())
        .provider("two", &two.url())
        .route("best", r#"["one/a", "two/b"]"#)
        .client("app", KEY);
    let gateway = setup.start().await;
    one.always(Script::json(503, openai::error("x", "x", "x")));
    two.always(answer());
    let sound = "0123456789abcdef".repeat(3 << 16);
    let large = [field("model", "best"), file("file", &sound)];
    let reply = send(&gateway, form(TRANSCRIPTIONS, &[], &large)).await;
    assert_eq!(reply.status(), 503, "{}", reply.text());
    assert_eq!((one.exchanges().len(), two.exchanges().len()), (1, 0));
    let small = [field("model", "best"), file("file", "sound")];
    let reply = send(&gateway, form(TRANSCRIPTIONS, &[], &small)).await;
    assert_eq!(
        (reply.status_and_code().as_str(), reply.header("x-gateway-provider")),
        ("200", "two")
    );
}

#[tokio::test]
async fn caller_that_leaves_its_upload_cancels_the_upstream() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream).start().await;
    let begun =
        form(TRANSCRIPTIONS, &[], &[field("model", "m"), file("file", &"x".repeat(3 << 20))]);
    let mut raw = gateway.connect().await;
    raw.send(&begun[..2 << 20]).await;
    drop(raw);
    let outcomes = gateway.outcomes(1).await;
    assert_ne!(outcomes[0]["outcome"], "ok");
    assert!(upstream.exchanges().is_empty(), "no request became whole");
}

#[tokio::test]
async fn seconds_of_a_transcription_have_their_price() {
    let upstream = Upstream::start().await;
    let price = "{ per_second = 0.0001 }";
    let gateway = setup(&upstream).write("[models]", "price", price).start().await;
    let mut expected = 0.0;
    for (number, (reply, seconds)) in (1..).zip([
        (r#"{"text":"a","usage":{"type":"duration","seconds":12.5}}"#, 12.5),
        (r#"{"text":"a","duration":3}"#, 3.0),
        // One second for each 16 kB of the request: of 64,000 bytes and what is around them.
        (r#"{"text":"a"}"#, 4.02),
    ]) {
        upstream.next(Script::json(200, reply));
        let parts = [field("model", "m"), file("file", &"x".repeat(64_000))];
        let reply = send(&gateway, form(TRANSCRIPTIONS, &[], &parts)).await;
        assert_eq!(reply.status_and_code(), "200");
        gateway.outcomes(number).await;
        expected += seconds * 0.0001;
        let cost = total(&gateway).await["cost_usd"].as_f64().unwrap();
        assert!((cost - expected).abs() < 1e-5, "{cost} instead of {expected}");
    }
}
