//! Access to gateway tools: clients, limits and origins.

use gateway_tests::{
    Gateway, RawConnection, Reply, Script, Setup, Upstream, UpstreamDialect, openai, port, request,
};
use serde_json::{Value, json};
use std::net::SocketAddr;

const KEY: &str = "sk-app";
const TOKEN: &str = "operators-token-0123456789abcdef0123";

/// A caller with `key`.
struct KeyedCaller<'a> {
    gateway: &'a Gateway,
    key: &'a str,
}

impl KeyedCaller<'_> {
    fn request(&self, at: &str, besides: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.key);
        let own = [("Authorization", &*bearer), ("Content-Type", "application/json")];
        let (method, path) = at.split_once(' ').unwrap();
        request(method, path, &[&own, besides].concat(), body)
    }

    async fn send(&self, at: &str, besides: &[(&str, &str)], body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.gateway.send(self.request(at, besides, body.as_bytes())).await
    }

    async fn execute(&self, name: &str) -> String {
        let body = json!({ "name": name, "arguments": { "message": "hi" } });
        self.send("POST /v1/tools/execute", &[], &body).await.status_and_code()
    }

    /// The result of a method of the Model Context Protocol, or the failure.
    async fn mcp(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let told = self.send("POST /mcp", &[], &body).await.json();
        if told["error"].is_null() { told["result"].clone() } else { told["error"].clone() }
    }

    /// A client that has `echo` alone meets no other tool.
    async fn check(&self, upstream: &Upstream) {
        let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
        let names = |list: &Value| list.as_array().unwrap().iter().map(name).collect::<Vec<_>>();
        let listed = self.send("GET /v1/tools", &[], &Value::Null).await.json();
        assert_eq!(names(&listed), ["echo"]);
        let one = self.send("GET /v1/tools/calculator", &[], &Value::Null).await;
        assert_eq!(one.status_and_code(), "404 not_found");
        assert_eq!(self.execute("echo").await, "200");
        assert_eq!(self.execute("calculator").await, "404 not_found");
        assert_eq!(names(&self.mcp("tools/list", json!({})).await["tools"]), ["echo"]);
        let echo = json!({ "name": "echo", "arguments": { "message": "hi" } });
        assert_eq!(self.mcp("tools/call", echo).await["isError"], false);
        let sum = json!({ "name": "calculator", "arguments": { "a": 1, "b": 2 } });
        assert_eq!(self.mcp("tools/call", sum).await["code"], -32602);
        self.check_chat(upstream).await;
    }

    /// The same of a chat: what it may not use can neither be offered nor described, and what a
    /// model makes up is not run.
    async fn check_chat(&self, upstream: &Upstream) {
        let chat = async |offered: &[(&str, &str)], besides: Value| {
            let body: Value = serde_json::from_str(&openai::ask("lab/m", besides)).unwrap();
            self.send("POST /v1/chat/completions", offered, &body).await
        };
        let refused = chat(&[("x-gateway-tools", "echo, calculator")], json!({})).await;
        assert_eq!(refused.status_and_code(), "400 tool_not_found");
        let before = upstream.exchanges().len();
        let sum = ("c1", "calculator", json!({ "a": 1, "b": 2 }));
        upstream.next(UpstreamDialect::Chat.turn(false, "", std::slice::from_ref(&sum)));
        let schema = json!({ "type": "object" });
        let function = json!({ "name": "calculator", "parameters": schema });
        let described = json!({ "tools": [{ "type": "function", "function": function }] });
        let handed = chat(&[], described).await.json();
        let call = &handed["choices"][0]["message"]["tool_calls"][0];
        assert_eq!(call["function"]["name"], "calculator", "it is the caller's own: {handed}");
        upstream.next(UpstreamDialect::Chat.turn(
            false,
            "",
            &[("c2", "echo", json!({ "message": "hi" }))],
        ));
        upstream.next(UpstreamDialect::Chat.turn(false, "Done.", &[]));
        let done = chat(&[("x-gateway-tools", "echo")], json!({})).await.json();
        assert_eq!(done["choices"][0]["message"]["content"], "Done.", "{done}");
        let asked = upstream.exchanges().split_off(before);
        assert_eq!(asked.len(), 3, "nothing was run but the echo");
        let offered = asked[1].json()["tools"].clone();
        assert_eq!(offered.as_array().unwrap().len(), 1, "{offered}");
    }
}

#[tokio::test]
async fn client_sees_only_allowed_tools() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        // Offered to all, which is no leave to use it.
        .write("tool_calls", "offered", "[\"calculator\"]")
        .client("app", KEY)
        .write("[clients]", "tools", "[\"echo\"]");
    let gateway = setup.start().await;
    KeyedCaller { gateway: &gateway, key: KEY }.check(&upstream).await;
}

#[tokio::test]
async fn virtual_key_sees_only_its_tools() {
    let upstream = Upstream::start().await;
    let operators: SocketAddr = ([127, 0, 0, 1], port::free()).into();
    let setup = Setup::before(&upstream)
        .set("server", "auth", "on")
        .set("admin", "listen", &operators.to_string())
        .set("admin", "token", TOKEN);
    let gateway = setup.start().await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
    let grant = json!({ "client": "app", "tools": ["echo"] }).to_string();
    let mut raw = RawConnection::connect(operators).await;
    raw.send(request("POST", "/admin/keys", &headers, grant.as_bytes())).await;
    let made = raw.reply().await.json();
    let key = made["key"].as_str().unwrap();
    KeyedCaller { gateway: &gateway, key }.check(&upstream).await;
}

/// A gateway before a service that does not answer the tool `wait` first, and then does; with one
/// client, of which these settings are true, and these of `[admission]`.
async fn before_a_slow_service(
    limits: &[(&str, &str)],
    admission: &[(&str, &str)],
) -> (Upstream, Gateway) {
    let service = Upstream::start().await;
    service.next(Script::new().stall());
    service.always(Script::json(200, "{}"));
    let mut setup = Setup::new()
        .set("services.others", "slow", &format!("http://127.0.0.1:{}", service.port()))
        .set("[tools]", "name", "wait")
        .set("[tools]", "description", "Waits.")
        .set("[tools]", "service", "slow")
        .set("[tools]", "path", "/v1/waits")
        .set("[tools]", "parameters", r#"{"type":"object"}"#)
        .client("app", KEY);
    for (name, value) in limits {
        setup = setup.write("[clients]", name, value);
    }
    for (name, value) in admission {
        setup = setup.write("admission", name, value);
    }
    (service, setup.start().await)
}

const RUN: &str = r#"{"name":"wait","arguments":{}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}"#;

/// Checks that, while a tool runs, another call gets `told` at both endpoints, and that none does
/// after its caller has disconnected.
async fn check_places(limits: &[(&str, &str)], admission: &[(&str, &str)], told: &str) {
    let (service, gateway) = before_a_slow_service(limits, admission).await;
    let asker = KeyedCaller { gateway: &gateway, key: KEY };
    let run = asker.request("POST /v1/tools/execute", &[], RUN.as_bytes());
    let call = asker.request("POST /mcp", &[], CALL.as_bytes());
    let mut raw = gateway.connect().await;
    raw.send(&run).await;
    service.arrived(1).await;
    assert_eq!(gateway.send(&run).await.status_and_code(), told);
    assert_eq!(gateway.send(&call).await.status_and_code(), told);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(asker.send("POST /mcp", &[], &ping).await.status(), 200, "it runs nothing");
    assert_eq!(asker.send("GET /v1/tools", &[], &Value::Null).await.status(), 200);
    assert_eq!(service.exchanges().len(), 1, "what is refused goes nowhere");
    drop(raw);
    service.ended().await;
    // The service sees first that the caller has left.
    let deadline = tokio::time::Instant::now() + gateway_tests::PATIENCE;
    while gateway.send(&run).await.status() != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the place is not given back");
    }
    assert_eq!(gateway.send(&call).await.status(), 200);
}

#[tokio::test]
async fn tool_call_uses_client_slot() {
    let limits = [("max_concurrent", "1")];
    check_places(&limits, &[], "429 too_many_requests_at_once").await;
}

#[tokio::test]
async fn tool_call_uses_tenant_slot() {
    check_places(&[], &[("max_per_tenant", "1")], "429 tenant_overloaded").await;
}

#[tokio::test]
async fn tool_call_uses_gateway_slot() {
    let admission = [("max_concurrent_requests", "1"), ("queue", "0")];
    check_places(&[], &admission, "503 overloaded").await;
}

#[tokio::test]
async fn tool_calls_are_rate_limited() {
    let setup = Setup::new()
        .client("app", KEY)
        .write("[clients]", "requests_per_minute", "6")
        .write("[clients]", "burst", "2");
    let gateway = setup.start().await;
    let asker = KeyedCaller { gateway: &gateway, key: KEY };
    assert_eq!(asker.execute("echo").await, "200");
    let echo = json!({ "name": "echo", "arguments": { "message": "hi" } });
    assert_eq!(asker.mcp("tools/call", echo).await["isError"], false);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let refused = asker.send("POST /mcp", &[], &body).await;
    assert_eq!(refused.status_and_code(), "429 rate_limit_exceeded");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(asker.execute("echo").await, "429 rate_limit_exceeded");
}

/// Returns the reply to a page of `origin` at `/mcp`.
async fn from_page(gateway: &Gateway, origin: &str) -> String {
    let headers = [("Content-Type", "application/json"), ("Origin", origin)];
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    gateway.send(request("POST", "/mcp", &headers, body)).await.status_and_code()
}

#[tokio::test]
async fn cross_origin_tool_call_is_rejected() {
    let local = Setup::new().start().await;
    // Its name may lead here by now: that is what makes it dangerous.
    for page in ["http://rebound.example", "http://rebound.example:8080", "null"] {
        assert_eq!(from_page(&local, page).await, "403 origin_not_allowed", "{page}");
    }
    let setup = Setup::new().write("server", "cors_origins", "[\"https://app.example\"]");
    let named = setup.start().await;
    assert_eq!(from_page(&named, "https://app.example").await, "200");
    assert_eq!(from_page(&named, "http://localhost:6274").await, "403 origin_not_allowed");
}
