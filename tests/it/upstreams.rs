//! Upstreams that fail before their answer begins.

use gateway_tests::{ExchangeEnd, Gateway, PROMPTLY, Script, Setup, Upstream, openai};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time;

const SECRET: &str = "canary-of-the-upstream";

struct Bench {
    upstream: Upstream,
    gateway: Gateway,
}

impl Bench {
    async fn start() -> Self {
        let upstream = Upstream::start().await;
        let setup = Setup::before(&upstream)
            .provider("openai", &upstream.url())
            .set("providers.openai", "api_key", "sk-upstream")
            .timeout("first_token", "400ms")
            .hurried("400ms");
        let gateway = setup.start().await;
        Self { upstream, gateway }
    }

    /// Checks the caller's view of `script`, streamed or not, edited or not; afterwards the
    /// upstream serves as if nothing had happened.
    async fn check(&self, script: Script, told: &str) {
        for (model, stream) in
            [("lab/m", false), ("lab/m", true), ("openai/m", false), ("openai/m", true)]
        {
            self.check_one(model, stream, script.clone(), told).await;
        }
    }

    async fn check_whole(&self, script: Script, told: &str) {
        self.check_one("lab/m", false, script.clone(), told).await;
        self.check_one("openai/m", false, script, told).await;
    }

    async fn check_stream(&self, script: Script, told: &str) {
        self.check_one("lab/m", true, script.clone(), told).await;
        self.check_one("openai/m", true, script, told).await;
    }

    async fn check_one(&self, model: &str, stream: bool, script: Script, told: &str) {
        let before = self.upstream.exchanges().len();
        self.upstream.next(script.clone());
        let reply = self.gateway.ask(model, json!({ "stream": stream })).await;
        assert_eq!(reply.status_and_code(), told, "{model} {stream} {script:?}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/json");
        assert!(!reply.text().contains(SECRET), "{}", reply.text());
        assert!(reply.json()["error"]["retryable"].is_boolean());
        assert_eq!(self.upstream.exchanges().len(), before + 1, "asked once: {script:?}");
        let after = self.gateway.ask(model, Value::Null).await;
        assert_eq!(after.json()["choices"][0]["message"]["content"], "Hello.", "{script:?}");
    }

    /// The last request came over another connection than the one before.
    fn not_used_again(&self) {
        let all = self.upstream.exchanges();
        let [.., spoilt, next] = all.as_slice() else { panic!("{all:?}") };
        assert_ne!(spoilt.connection, next.connection, "{all:?}");
    }
}

/// A refusal of OpenAI's.
fn refusal(status: u16, code: &str) -> Script {
    Script::json(status, openai::error("some_error", code, SECRET))
}

#[tokio::test]
async fn upstream_error_is_mapped_to_gateway_error() {
    let bench = Bench::start().await;
    bench.check(refusal(401, "invalid_api_key"), "502 upstream_auth").await;
    bench.check(refusal(401, ""), "502 upstream_auth").await;
    let revoked = openai::error("x", "", "this API key was revoked");
    bench.check(Script::json(403, revoked), "502 upstream_auth").await;
    bench.check(Script::whole(403, &[], ""), "502 upstream_auth").await;
    bench.check(refusal(500, "x"), "502 upstream_error").await;
    bench.check(refusal(502, "x"), "502 upstream_error").await;
    bench.check(refusal(503, "x"), "503 upstream_overloaded").await;
    bench.check(refusal(529, "x"), "503 upstream_overloaded").await;
    bench.check(refusal(504, "x"), "504 upstream_timeout").await;
    bench.check(refusal(402, "x"), "429 insufficient_quota").await;
    bench.check(refusal(429, "insufficient_quota"), "429 insufficient_quota").await;
    let page = format!("<html>{SECRET}</html>");
    let page = Script::whole(502, &[("content-type", "text/html")], page);
    bench.check(page, "502 upstream_error").await;
    bench.check(Script::whole(500, &[], ""), "502 upstream_error").await;
    bench.check(Script::json(500, "{\"error\":{\"mess"), "502 upstream_error").await;
}

#[tokio::test]
async fn invalid_request_keeps_upstream_message() {
    let bench = Bench::start().await;
    let error = openai::error("invalid_request_error", "unsupported_value", "no such voice");
    bench.upstream.next(Script::json(400, error));
    let reply = bench.gateway.ask("openai/m", Value::Null).await;
    assert_eq!(reply.status_and_code(), "400 unsupported_value");
    assert_eq!(reply.json()["error"]["message"], "no such voice");
}

#[tokio::test]
async fn retry_after_is_forwarded() {
    let bench = Bench::start().await;
    for (advice, told) in [("7", "7"), ("0.5", "1"), ("nonsense", ""), ("-1", "")] {
        let headers = [("content-type", "application/json"), ("retry-after", advice)];
        let error = openai::error("rate_limit_error", "rate_limit_exceeded", "slow down");
        bench.upstream.next(Script::whole(429, &headers, error));
        let reply = bench.gateway.ask("lab/m", Value::Null).await;
        assert_eq!(reply.status_and_code(), "429 rate_limit_exceeded");
        assert_eq!(reply.header("retry-after"), told, "{advice}");
    }
}

#[tokio::test]
async fn invalid_upstream_response_is_an_error() {
    let bench = Bench::start().await;
    let whole = |kind: &str, body: &str| Script::whole(200, &[("content-type", kind)], body);
    let told = "502 upstream_invalid_response";
    for body in
        ["", " ", "null", "[]", "\"x\"", "1", "{", "{}", "{\"a\":1}", "{\"choices\":7}", "x"]
    {
        bench.check(whole("application/json", body), told).await;
    }
    bench.check(whole("text/html", "<html>Welcome</html>"), told).await;
    bench.check_whole(whole("application/json", "{\"choices\":[]} trailing"), told).await;
    bench.check_whole(whole("application/json", "\u{feff}"), told).await;
    let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
    bench.check(Script::whole(200, &gzip, b"\x1f\x8b\x08\0"), told).await;
    let broken = [b"{\"choices\":[{\"message\":{\"content\":\"".as_slice(), b"\xff\"}}]}"].concat();
    bench.check_whole(Script::json(200, broken), told).await;
}

#[tokio::test]
async fn error_body_with_success_status_is_an_error() {
    let bench = Bench::start().await;
    let error = openai::error("server_error", "server_error", SECRET);
    bench.check(Script::json(200, &error), "502 upstream_error").await;
    bench.check_stream(Script::events([&error]), "502 upstream_error").await;
    let overloaded = openai::error("overloaded_error", "", SECRET);
    bench.check_stream(Script::events([&overloaded]), "503 upstream_overloaded").await;
    let begun = [openai::opening(), error];
    bench.check_stream(Script::events(begun), "502 upstream_error").await;
}

#[tokio::test]
async fn no_content_response_is_an_error() {
    let bench = Bench::start().await;
    for (status, told) in [
        (204, "502 upstream_invalid_response"),
        (304, "502 upstream_redirect"),
        (300, "502 upstream_redirect"),
    ] {
        bench.upstream.next(Script::new().head(status, &[]).close());
        let reply = bench.gateway.ask("lab/m", Value::Null).await;
        assert_eq!(reply.status_and_code(), told, "{status}");
        assert_eq!(bench.gateway.ask("lab/m", Value::Null).await.status_and_code(), "200");
    }
    // Of what kind an answer is said to be makes no difference: many say something else.
    for kind in ["text/plain", "application/octet-stream"] {
        let answer = Script::whole(200, &[("content-type", kind)], openai::whole("Hello."));
        bench.upstream.next(answer);
        let reply = bench.gateway.ask("lab/m", Value::Null).await;
        assert_eq!(
            (reply.status_and_code().as_str(), reply.header("content-type")),
            ("200", "application/json")
        );
    }
}

#[tokio::test]
async fn upstream_redirect_is_not_followed() {
    let bench = Bench::start().await;
    let elsewhere = Upstream::start().await;
    let url = format!("{}/chat/completions", elsewhere.url());
    for status in [301, 302, 303, 307, 308] {
        let headers = [("location", url.as_str())];
        bench.check(Script::whole(status, &headers, ""), "502 upstream_redirect").await;
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn proxy_environment_variables_are_ignored() {
    let (upstream, proxy) = (Upstream::start().await, Upstream::start().await);
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let mut setup = Setup::before(&upstream);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        setup = setup.env(name, &url);
    }
    let gateway = setup.start().await;
    assert_eq!(gateway.ask("lab/m", Value::Null).await.status(), 200);
    assert_eq!((upstream.connections(), proxy.connections()), (1, 0));
}

#[tokio::test]
async fn unreachable_upstream_is_an_error() {
    let gateway = Setup::new().provider("lab", "http://127.0.0.1:9/v1").start().await;
    for stream in [false, true] {
        let reply = gateway.ask("lab/m", json!({ "stream": stream })).await;
        assert_eq!(reply.status_and_code(), "502 upstream_unreachable");
    }
    let gateway = Setup::new().provider("lab", "http://no-such-host.invalid/v1").start().await;
    let told = gateway.ask("lab/m", Value::Null).await.status_and_code();
    assert!(["502 upstream_dns", "502 upstream_unreachable"].contains(&&*told), "{told}");
}

#[tokio::test]
async fn connection_reset_before_response_is_an_error() {
    for (script, stream) in [
        (Script::new().close(), false),
        (Script::new().close(), true),
        (Script::new().reset(), false),
        (Script::new().reset(), true),
    ] {
        // Of its own, so that the connection is new.
        let bench = Bench::start().await;
        bench.check_one("lab/m", stream, script, "502 upstream_reset").await;
    }
    let bench = Bench::start().await;
    bench.check(Script::new().bytes("HTTP/1.1 200 O").close(), "502 upstream_reset").await;
    bench
        .check(Script::new().bytes("HTTP/1.1 200 OK\r\ncontent-ty").reset(), "502 upstream_reset")
        .await;
}

#[tokio::test]
async fn unanswered_request_on_reused_connection_is_sent_once_more() {
    let bench = Bench::start().await;
    for (script, stream) in [(Script::new().close(), false), (Script::new().reset(), true)] {
        assert_eq!(bench.gateway.ask("lab/m", Value::Null).await.status(), 200);
        let before = bench.upstream.exchanges().len();
        bench.upstream.next(script.clone());
        let reply = bench.gateway.ask("lab/m", json!({ "stream": stream })).await;
        assert_eq!(reply.status(), 200, "{script:?}: {}", reply.text());
        assert_eq!(bench.upstream.exchanges().len(), before + 2, "sent twice: {script:?}");
        bench.not_used_again();
        // The second time is the last.
        bench.upstream.next(script.clone());
        bench.upstream.next(script.clone());
        let reply = bench.gateway.ask("lab/m", json!({ "stream": stream })).await;
        assert_eq!(reply.status_and_code(), "502 upstream_reset", "{script:?}");
        assert_eq!(bench.upstream.exchanges().len(), before + 4, "sent twice: {script:?}");
    }
}

#[tokio::test]
async fn non_http_response_is_an_error() {
    let bench = Bench::start().await;
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "\r\n\r\n\r\n",
    ] {
        bench.upstream.next(Script::new().bytes(bytes).close());
        let reply = bench.gateway.ask("lab/m", Value::Null).await;
        assert!(
            reply.status_and_code().starts_with("502 upstream_"),
            "{bytes:?}: {}",
            reply.status_and_code()
        );
        assert_eq!(bench.gateway.ask("lab/m", Value::Null).await.status(), 200);
    }
}

#[tokio::test]
async fn malformed_response_head_is_an_error() {
    let bench = Bench::start().await;
    let head = |lines: &str| Script::new().bytes(format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
    let many = (0..1000).map(|at| format!("x-{at}: 1\r\n")).collect::<Vec<_>>().concat();
    for lines in [
        many,
        format!("x: {}\r\n", "v".repeat(200 << 10)),
        "x: a\rset-cookie: b\r\n".to_owned(),
        "x: a\0b\r\n".to_owned(),
        "x y: 1\r\n".to_owned(),
    ] {
        bench.check(head(&lines).stall(), "502 upstream_protocol").await;
        // They say nothing more until they are hung up on.
        bench.upstream.ended().await;
    }
    bench.check(Script::new().bytes("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "502 upstream_protocol").await;
}

/// Each line is soon there, and all of them never are.
#[tokio::test]
async fn endless_response_head_is_an_error() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).timeout("connect", "300ms").start().await;
    let begun = Script::new().bytes("HTTP/1.1 200 OK\r\n");
    let dripped = (0..400).fold(begun, |script, _| script.bytes("x: y\r\n").wait(50));
    for stream in [false, true] {
        upstream.next(dripped.clone());
        let reply = gateway.ask("lab/m", json!({ "stream": stream })).await;
        assert_eq!(reply.status_and_code(), "502 upstream_protocol");
        assert!(matches!(upstream.ended().await, ExchangeEnd::Left(_)), "it is hung up on");
    }
    assert_eq!(gateway.ask("lab/m", Value::Null).await.status(), 200);
}

#[tokio::test]
async fn endless_interim_responses_are_an_error() {
    let bench = Bench::start().await;
    let more_to_come = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(20_000);
    bench.check(Script::new().bytes(&more_to_come).stall(), "502 upstream_protocol").await;
    bench.upstream.ended().await;
}

#[tokio::test]
async fn interim_response_is_skipped() {
    let bench = Bench::start().await;
    let hints = Script::new().bytes("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(3));
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
        openai::whole("Hello.").len(),
        openai::whole("Hello.")
    );
    bench.upstream.next(hints.bytes(answer));
    assert_eq!(bench.gateway.ask("lab/m", Value::Null).await.status_and_code(), "200");
    let switched = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    bench.check(Script::new().bytes(switched).stall(), "502 upstream_protocol").await;
    bench.upstream.ended().await;
}

#[tokio::test]
async fn silent_upstream_is_disconnected() {
    let bench = Bench::start().await;
    for stream in [false, true] {
        bench.upstream.next(Script::new().stall());
        let reply = bench.gateway.ask("lab/m", json!({ "stream": stream })).await;
        assert_eq!(reply.status_and_code(), "504 upstream_timeout");
        let ExchangeEnd::Left(after) = bench.upstream.ended().await else {
            panic!("it waits still")
        };
        let deadline = Duration::from_millis(400);
        // The clock of the one begins a little later than that of the other.
        assert!(after + PROMPTLY > deadline && after < deadline + 4 * PROMPTLY, "{after:?}");
    }
}

#[tokio::test]
async fn encoded_response_is_an_error() {
    let bench = Bench::start().await;
    // A megabyte of what would be a gigabyte of zeros.
    let bomb =
        [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &[0xec, 0xc1, 0x01].repeat(350_000)].concat();
    for encoding in ["gzip", "br", "zstd", "deflate", "x-unknown", "gzip, gzip"] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        bench.check(Script::whole(200, &headers, &bomb), "502 upstream_invalid_response").await;
    }
}

#[tokio::test]
async fn truncated_whole_response_is_an_error() {
    let bench = Bench::start().await;
    let answer = openai::whole("Hello.");
    let head = |length: usize| {
        let length = length.to_string();
        Script::new()
            .head(200, &[("content-type", "application/json"), ("content-length", &length)])
    };
    for cut in [0, 1, answer.len() / 2, answer.len() - 1] {
        let begun = head(answer.len()).bytes(&answer[..cut]);
        bench.check_whole(begun.clone().close(), "502 upstream_cut").await;
        bench.check_whole(begun.reset(), "502 upstream_cut").await;
    }
    // Nobody can tell what was to come.
    bench.check_whole(head(answer.len() + 1).bytes(&answer).close(), "502 upstream_cut").await;
    let chunked = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let begun = Script::new().head(200, &chunked).chunk(&answer);
    bench.check_whole(begun.clone().close(), "502 upstream_cut").await;
    bench.check_whole(begun.bytes("zz\r\n"), "502 upstream_cut").await;
}

#[tokio::test]
async fn bytes_after_response_end_close_connection() {
    let bench = Bench::start().await;
    let answer = openai::whole("one");
    let more = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let script = Script::json(200, &answer).bytes(more);
    for _ in 0..5 {
        bench.upstream.next(script.clone());
        let first = bench.gateway.ask("lab/m", Value::Null).await.json();
        assert_eq!(first["choices"][0]["message"]["content"], "one");
        let second = bench.gateway.ask("lab/m", Value::Null).await.json();
        assert_eq!(second["choices"][0]["message"]["content"], "Hello.");
        bench.not_used_again();
    }
}

/// A response with both length and chunks: a reader of only one of them sees a different body.
#[tokio::test]
async fn conflicting_response_framing_is_an_error() {
    let bench = Bench::start().await;
    let headers = [("content-length", "5"), ("transfer-encoding", "chunked")];
    let begun = Script::new().head(200, &headers).chunk(openai::whole("one"));
    for script in [begun.clone().end(), begun.end().bytes("HTTP/1.1 200 OK\r\n\r\n")] {
        bench.check_whole(script, "502 upstream_protocol").await;
        bench.not_used_again();
    }
}

#[tokio::test]
async fn silent_response_body_times_out() {
    let bench = Bench::start().await;
    bench.check(Script::new().stall(), "504 upstream_timeout").await;
    bench
        .check(Script::new().bytes("HTTP/1.1 200 OK\r\nConte").stall(), "504 upstream_timeout")
        .await;
    let begun = Script::streaming().event(&openai::opening());
    bench.check_stream(Script::streaming().stall(), "504 upstream_timeout").await;
    bench.check_stream(begun.stall(), "504 upstream_timeout").await;
    let length = [("content-type", "application/json"), ("content-length", "1000")];
    let begun = Script::new().head(200, &length).bytes("{");
    bench.check_whole(begun.stall(), "504 upstream_timeout").await;
}

#[tokio::test]
async fn stale_pooled_connection_is_replaced() {
    let bench = Bench::start().await;
    let answer = Script::json(200, openai::whole("Hello."));
    for number in 0..100 {
        // Some are closed with the answer, and some a little later.
        let script = if number % 2 == 0 { answer.clone().wait(5) } else { answer.clone() };
        bench.upstream.next(script.close());
        let reply = bench.gateway.ask("lab/m", Value::Null).await;
        assert_eq!(
            (reply.status_and_code().as_str(), reply.header("x-gateway-attempts")),
            ("200", "")
        );
        bench.upstream.ended().await;
        // The gateway learns of it while the connection is idle.
        time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((bench.upstream.exchanges().len(), bench.upstream.connections()), (100, 100));
}

#[tokio::test]
async fn whole_response_to_streamed_request_is_converted() {
    let bench = Bench::start().await;
    for model in ["lab/m", "openai/m"] {
        bench.upstream.next(Script::json(200, openai::whole("Hello.")));
        let reply = bench.gateway.ask(model, json!({ "stream": true })).await;
        assert_eq!(reply.event_text(), "Hello.[stop][DONE]");
    }
}
