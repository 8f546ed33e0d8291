//! Rejected bodies and their errors. None reaches an upstream.

use gateway_tests::{Gateway, Setup, Upstream, request};

const SECRET: &str = "canary-of-the-prompt";

struct Bench {
    upstream: Upstream,
    gateway: Gateway,
}

impl Bench {
    async fn start() -> Self {
        let upstream = Upstream::start().await;
        let setup = Setup::before(&upstream).set("server", "max_body_bytes", "64KiB");
        let gateway = setup.start().await;
        Self { upstream, gateway }
    }

    /// Checks the result of sending `body` with these headers.
    async fn check_sent(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>, told: &str) {
        let body = body.as_ref();
        let reply = self.gateway.send(request("POST", PATH, headers, body)).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        assert_eq!(reply.status_and_code(), told, "{shown} {headers:?}: {}", reply.text());
        if told.starts_with('4') {
            assert!(!reply.text().contains(SECRET), "{}", reply.text());
            assert_eq!(reply.header("content-type"), "application/json");
            assert_eq!(self.upstream.exchanges().len(), 0, "{shown}");
        }
    }

    async fn check(&self, body: impl AsRef<[u8]>, told: &str) {
        self.check_sent(&[], body, told).await;
    }
}

const PATH: &str = "/v1/chat/completions";
const GOOD: &str = r#"{"model":"lab/m","messages":[{"role":"user","content":"x"}]}"#;

/// A good request with this member besides.
fn with(member: &str) -> String {
    GOOD.replacen('{', &format!("{{{member},"), 1)
}

#[tokio::test]
async fn non_json_body_is_rejected() {
    let bench = Bench::start().await;
    let prompt = format!("{{\"model\":\"lab/m\",\"messages\":[\"{SECRET}\"");
    for body in [
        "",
        " ",
        "null",
        "1",
        "\"text\"",
        "[]",
        r#"["lab/m",0.5]"#,
        "{",
        "}",
        "{\"model\"",
        &prompt,
        &format!("\u{feff}{GOOD}"),
        &format!("{GOOD}{GOOD}"),
        &format!("{GOOD},"),
        &format!("{GOOD}x"),
        &format!("// x\n{GOOD}"),
        &format!("{GOOD}\0"),
        &with(r#""a":1,"#),
        &with(r#""a":[1,]"#),
        &with(r#""a":NaN"#),
        &with(r#""a":Infinity"#),
        &with(r#""a":-"#),
        &with(r#""a":01"#),
        &with(r#""a":1."#),
        &with(r#""a":.5"#),
        &with(r#""a":+1"#),
        &with(r#""a":0x1"#),
        &with(r#""a":1e400"#),
        &with(r#""a":1e"#),
        &with(r#""a":tru"#),
        &with(r#""a":'x'"#),
        &with("a:1"),
        &with(r#""a":"\ud800""#),
        &with(r#""a":"\udc00\ud800""#),
        &with(r#""a":"\x41""#),
        &with(r#""a":"\u12g4""#),
        &with("\"a\":\"\n\""),
        &with("\"a\":\"\0\""),
        &with(r#""a":"x"#),
        &with(r#""a" 1"#),
        &with(r#""a"::1"#),
        &with(r#""a":{]"#),
        &with("1:1"),
    ] {
        bench.check(body, "400 invalid_json").await;
    }
    for bytes in [&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"] {
        let (before, after) = GOOD.split_at(GOOD.len() - 4);
        let body = [before.as_bytes(), bytes, after.as_bytes()].concat();
        bench.check(body, "400 invalid_json").await;
    }
}

#[tokio::test]
async fn body_error_names_location() {
    let bench = Bench::start().await;
    let reply = bench.gateway.chat(format!("{{\n  \"{SECRET}\": nope}}")).await;
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("line 2") && message.contains("column"), "{message}");
}

#[tokio::test]
async fn deeply_nested_body_is_rejected() {
    let bench = Bench::start().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested =
            |depth: usize| with(&format!("\"a\":{}1{}", open.repeat(depth), close.repeat(depth)));
        bench.check(nested(64), "400 json_too_deep").await;
        bench.check(nested(129), "400 json_too_deep").await;
        bench.check(nested(9_000), "400 json_too_deep").await;
        bench.check(with(&format!("\"a\":{}", open.repeat(9_000))), "400 json_too_deep").await;
    }
    bench.check(with(&format!("\"a\":{}{}", "[".repeat(62), "]".repeat(62))), "200").await;
}

#[tokio::test]
async fn duplicate_member_is_rejected() {
    let bench = Bench::start().await;
    for member in [
        r#""model":"lab/other""#,
        r#""\u006dodel":"lab/other""#,
        r#""mode\u006C":"lab/other""#,
        r#""a":{"b":1,"b":2}"#,
        r#""a":[[{"b":1,"c":2,"\u0062":3}]]"#,
        r#""a":{"":1,"":2}"#,
    ] {
        bench.check(with(member), "400 duplicate_key").await;
    }
    let twice = r#"{"model":"lab/m","messages":[{"role":"user","role":"system","content":"x"}]}"#;
    bench.check(twice, "400 duplicate_key").await;
    bench.check(with(r#""a":{"b":{"b":1}},"b":1"#), "200").await;
}

#[tokio::test]
async fn wrong_member_type_is_rejected() {
    let bench = Bench::start().await;
    for body in [
        r#"{"messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":null,"messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":1,"messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"","messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":["lab/m"],"messages":[{"role":"user","content":"x"}]}"#,
        &with(r#""stream":"true""#),
        &with(r#""stream":1"#),
        &with(r#""stream":[]"#),
        &with(r#""stream_options":1"#),
        &with(r#""stream_options":{"include_usage":"yes"}"#),
        &with(r#""session_id":7"#),
    ] {
        bench.check(body, "400 invalid_parameter").await;
    }
    bench.check(with(r#""stream":null,"stream_options":null,"session_id":null"#), "200").await;
}

#[tokio::test]
async fn missing_messages_are_rejected() {
    let bench = Bench::start().await;
    for messages in ["", r#","messages":[]"#, r#","messages":null"#, r#","messages":{}"#] {
        let body = format!(r#"{{"model":"lab/m"{messages}}}"#);
        let reply = bench.gateway.chat(&body).await;
        assert_eq!(reply.status(), 400, "{body}");
        assert_eq!(reply.json()["error"]["param"], "messages");
    }
    assert_eq!(bench.upstream.exchanges().len(), 0);
}

#[tokio::test]
async fn unknown_session_is_not_found() {
    let bench = Bench::start().await;
    bench.check(with(r#""session_id":"none""#), "404 session_not_found").await;
}

#[tokio::test]
async fn malformed_model_name_is_not_found() {
    let bench = Bench::start().await;
    for name in [
        "nope",
        "http://evil/",
        "../etc/passwd",
        r"a\r\nX-Evil: 1",
        r"\u0000",
        r"\u200b",
        r"\u202e",
        "/",
        "lab",
        "unknown/m",
        &"x".repeat(1024),
    ] {
        bench.check(GOOD.replace("lab/m", name), "404 model_not_found").await;
    }
}

#[tokio::test]
async fn unsupported_content_type_is_rejected() {
    let bench = Bench::start().await;
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/jsonp",
        "x",
    ] {
        let told = "415 unsupported_media_type";
        bench.check_sent(&[("Content-Type", kind)], GOOD, told).await;
    }
    for encoding in ["gzip", "br", "zstd", "deflate", "gzip, gzip", "identity, gzip", "x"] {
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", encoding)];
        bench.check_sent(&headers, GOOD, "415 unsupported_encoding").await;
    }
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        bench.check_sent(&[("Content-Type", kind)], GOOD, "200").await;
    }
}

#[tokio::test]
async fn oversized_body_is_rejected_before_reading() {
    let bench = Bench::start().await;
    let mut raw = bench.gateway.connect().await;
    raw.send(format!("POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 65537\r\n\r\n")).await;
    assert_eq!(raw.reply().await.status_and_code(), "413 request_too_large");
    raw.closed().await;
    let fits = with(&format!("\"a\":\"{}\"", "x".repeat(65_536 - GOOD.len() - 7)));
    assert_eq!(fits.len(), 65_536);
    bench.check(fits, "200").await;
}

#[tokio::test]
async fn oversized_chunked_body_is_rejected_at_limit() {
    let bench = Bench::start().await;
    let mut raw = bench.gateway.connect().await;
    raw.send(format!("POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"))
        .await;
    for _ in 0..5 {
        raw.send(format!("4000\r\n{}\r\n", " ".repeat(0x4000))).await;
    }
    assert_eq!(raw.reply().await.status_and_code(), "413 request_too_large");
}

#[tokio::test]
async fn oversized_expected_body_gets_no_continue() {
    let bench = Bench::start().await;
    let head = |length: usize| {
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let mut raw = bench.gateway.connect().await;
    raw.send(head(70_000)).await;
    assert_eq!(raw.reply().await.status_and_code(), "413 request_too_large");
    let mut raw = bench.gateway.connect().await;
    raw.send(head(GOOD.len())).await;
    assert_eq!(raw.reply().await.status(), 100);
    raw.send(GOOD).await;
    assert_eq!(raw.reply().await.status(), 200);
}
