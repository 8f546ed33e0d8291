//! Headers on the way to an upstream are built, never copied.

use gateway_tests::{Gateway, Setup, Upstream, openai, request};
use serde_json::{Value, json};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .write("server", "cors_origins", "[\"https://app.example\"]")
        .set("providers.lab", "api_key", "sk-lab")
        .set("providers.lab.headers", "X-Team", "blue")
        .client("app", "sk-app");
    (upstream, setup.start().await)
}

/// The headers that the upstream sees, in order of their names.
async fn upstream_headers(
    upstream: &Upstream,
    gateway: &Gateway,
    headers: &[(&str, &str)],
    ask: Value,
) -> String {
    let headers = [&[("Authorization", "Bearer sk-app")], headers].concat();
    let body = openai::ask("lab/m", ask);
    let reply =
        gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let exchange = upstream.last();
    assert_eq!(exchange.head.line, "POST /v1/chat/completions HTTP/1.1");
    let lines = exchange.head.headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let mut lines: Vec<_> = lines.collect();
    lines.sort_unstable();
    let host = format!("127.0.0.1:{}", upstream.port());
    lines.join("\n").replace(&host, "HOST").replace(&exchange.body.len().to_string(), "LENGTH")
}

#[tokio::test]
async fn upstream_request_has_only_listed_headers() {
    let (upstream, gateway) = start().await;
    let abuse = [
        ("X-Request-Id", "request-1"),
        ("traceparent", TRACE),
        ("tracestate", "a=b"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("User-Agent", "spy/1.0"),
        ("Accept", "text/html"),
        ("Accept-Encoding", "gzip, br"),
        ("Connection", "keep-alive, authorization, x-request-id, x-team"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("Proxy-Authorization", "Basic eA=="),
        ("X-Api-Key", "sk-app"),
        ("Api-Key", "sk-evil"),
        ("X_Api_Key", "sk-evil"),
        ("X-Team", "red"),
        ("OpenAI-Organization", "org-evil"),
        ("OpenAI-Beta", "x"),
        ("Anthropic-Beta", "x"),
        ("Anthropic-Version", "x"),
        ("Cookie", "session=1"),
        ("Forwarded", "for=1.2.3.4"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Forwarded-Host", "evil"),
        ("X-Real-Ip", "1.2.3.4"),
        ("Origin", "https://app.example"),
        ("Referer", "https://app.example/secret"),
        ("X-Custom-Host", "evil"),
        ("Idempotency-Key", "1"),
    ];
    let expected = format!(
        "accept-encoding: identity\naccept: application/json\nauthorization: Bearer sk-lab\n\
         content-length: LENGTH\ncontent-type: application/json\nhost: HOST\n\
         traceparent: {TRACE}\ntracestate: a=b\nuser-agent: llm-gateway\n\
         x-request-id: request-1\nx-team: blue"
    );
    assert_eq!(
        sorted(&upstream_headers(&upstream, &gateway, &abuse, json!({})).await),
        sorted(&expected)
    );
}

#[tokio::test]
async fn streamed_request_accepts_event_stream() {
    let (upstream, gateway) = start().await;
    let named = [("X-Request-Id", "request-1"), ("traceparent", "nonsense")];
    let seen = upstream_headers(&upstream, &gateway, &named, json!({ "stream": true })).await;
    assert!(seen.contains("accept: text/event-stream\n"), "{seen}");
    assert!(!seen.contains("traceparent"), "{seen}");
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn request_trailers_are_ignored() {
    let (upstream, gateway) = start().await;
    let body = openai::ask("lab/m", json!({}));
    let mut raw = gateway.connect().await;
    raw.send(format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-app\r\n\
         Content-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nTrailer: X-Team, Authorization\r\n\r\n\
         {:x}\r\n{body}\r\n0\r\nX-Team: red\r\nAuthorization: Bearer sk-evil\r\nHost: evil\r\n\
         Content-Length: 1\r\n\r\n",
        body.len()
    ))
    .await;
    assert_eq!(raw.reply().await.status(), 200);
    let seen = format!("{:?}", upstream.last());
    assert!(!seen.contains("red") && !seen.contains("evil"), "{seen}");
}

#[tokio::test]
async fn request_body_cannot_select_upstream_url() {
    let (upstream, gateway) = start().await;
    let elsewhere = Upstream::start().await;
    let url = elsewhere.url();
    for name in ["api_base", "base_url", "api_key", "custom_llm_provider", "user_config", "url"] {
        upstream_headers(&upstream, &gateway, &[], json!({ name: url })).await;
    }
    let image = json!([{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": format!("{url}/picture.png") } },
    ] }]);
    upstream_headers(&upstream, &gateway, &[], json!({ "messages": image })).await;
    assert_eq!(elsewhere.connections(), 0);
}
