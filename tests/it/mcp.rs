//! The gateway's tools for clients of the Model Context Protocol, and the tools of servers that
//! speak it for the gateway's models.

use gateway_tests::{
    Exchange, Gateway, Reply, Script, Setup, Upstream, UpstreamDialect, platform::PlatformStub,
    request,
};
use rmcp::{
    ServiceExt as _,
    model::CallToolRequestParams,
    service::ServiceError,
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};
use tokio::time::{self, Instant};

const KEY: &str = "sk-app";

fn transport(gateway: &Gateway) -> StreamableHttpClientTransportConfig {
    // Another test may have done it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    StreamableHttpClientTransportConfig::with_uri(format!("http://{}/mcp", gateway.address()))
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

#[tokio::test]
async fn mcp_client_can_list_and_call_tools() {
    let platform = PlatformStub::newer().await;
    let gateway = Setup::new().with_platform(&platform).client("app", KEY).start().await;
    let config = transport(&gateway).auth_header(KEY);
    let client = ().serve(StreamableHttpClientTransport::from_config(config)).await.unwrap();
    let info = client.peer_info().unwrap();
    assert_eq!(info.server_info.as_ref().unwrap().name, "llm-gateway");
    let tools = client.list_all_tools().await.unwrap();
    let listed = json!(tools.iter().map(|tool| &tool.name).collect::<Vec<_>>());
    assert_eq!((tools.len(), &listed[0], &listed[1]), (17, &json!("echo"), &json!("calculator")));
    let search = CallToolRequestParams::new("semantic_search")
        .with_arguments(object(json!({ "query": "tides", "taxonomy": "Sea_taxonomy" })));
    let found = client.call_tool(search).await.unwrap();
    assert_eq!(found.is_error, Some(false));
    let structure = found.structured_content.unwrap();
    assert_eq!(structure["results"][0]["id"], "tides_ch4");
    let text: Value = serde_json::from_str(&found.content[0].as_text().unwrap().text).unwrap();
    assert_eq!(text, structure);
    assert_eq!(
        platform.semantic_search.log(),
        [r#"POST /v1/search {"query":"tides","taxonomy":"Sea_taxonomy"}"#]
    );
    let wrong = CallToolRequestParams::new("echo").with_arguments(object(json!({ "x": 1 })));
    let failed = client.call_tool(wrong).await.unwrap();
    assert_eq!(failed.is_error, Some(true));
    assert!(failed.content[0].as_text().unwrap().text.contains("invalid_arguments"));
    let unknown = client.call_tool(CallToolRequestParams::new("nothing")).await;
    assert!(matches!(unknown, Err(ServiceError::McpError(_))), "{unknown:?}");
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn mcp_client_without_key_is_rejected() {
    let gateway = Setup::new().client("app", KEY).start().await;
    let transport = StreamableHttpClientTransport::from_config(transport(&gateway));
    assert!(().serve(transport).await.is_err());
    assert_eq!(gateway.get("/mcp").await.status(), 401);
}

async fn post(gateway: &Gateway, body: &str) -> Reply {
    let headers = [("Content-Type", "application/json")];
    gateway.send(request("POST", "/mcp", &headers, body.as_bytes())).await
}

#[tokio::test]
async fn mcp_message_is_answered_or_accepted() {
    let gateway = Setup::new().start().await;
    for (body, told) in [
        (
            r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":"a","result":{}}"#,
        ),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, ""),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"unknown method"}}"#,
        ),
    ] {
        let reply = post(&gateway, body).await;
        assert_eq!(reply.status(), if told.is_empty() { 202 } else { 200 });
        assert_eq!(reply.text(), told, "{body}");
    }
    let broken = post(&gateway, "{").await;
    assert_eq!((broken.status(), &broken.json()["error"]["code"]), (400, &json!(-32700)));
}

#[tokio::test]
async fn unsupported_mcp_version_is_rejected() {
    let gateway = Setup::new().start().await;
    let told = async |version: &str, method: &str| {
        let headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", version)];
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} }).to_string();
        let reply = gateway.send(request("POST", "/mcp", &headers, body.as_bytes())).await;
        (reply.status(), reply.json()["error"]["code"].clone())
    };
    for version in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        assert_eq!(told(version, "ping").await, (200, Value::Null), "{version}");
    }
    for version in ["2199-01-01", "1", "latest"] {
        assert_eq!(told(version, "ping").await, (400, json!(-32600)), "{version}");
        assert_eq!(
            told(version, "initialize").await,
            (200, Value::Null),
            "it is still agreed upon"
        );
    }
}

/// Waits until `gateway` has the tool `name`.
async fn has(gateway: &Gateway, name: &str) {
    let deadline = Instant::now() + gateway_tests::PATIENCE;
    while gateway.get(&format!("/v1/tools/{name}")).await.status() != 200 {
        assert!(Instant::now() < deadline, "no tool {name}: {}", gateway.stdout());
        time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn model_calls_tools_of_mcp_server() {
    let (platform, upstream) = (PlatformStub::newer().await, Upstream::start().await);
    let server = Setup::new().with_platform(&platform).client("gateway", KEY).start().await;
    let gateway = Setup::before(&upstream)
        .set("mcp.lab", "url", &format!("http://{}/mcp", server.address()))
        .write("mcp.lab", "headers", &format!("{{ Authorization = \"Bearer {KEY}\" }}"))
        .write("mcp.lab", "tools", "[\"semantic*\", \"echo\"]")
        .start()
        .await;
    has(&gateway, "lab_semantic_search").await;
    has(&gateway, "lab_echo").await;
    assert_eq!(gateway.get("/v1/tools/lab_calculator").await.status(), 404, "it is not allowed");
    for stream in [false, true] {
        let search = ("call_1", "lab_semantic_search", json!({ "query": "tides" }));
        let wrong = ("call_2", "lab_echo", json!({}));
        upstream.next(UpstreamDialect::Chat.turn(stream, "", &[search, wrong]));
        upstream.next(UpstreamDialect::Chat.turn(stream, "High tide.", &[]));
        let ask = gateway_tests::openai::ask("lab/m", json!({ "stream": stream }));
        let headers = [
            ("Content-Type", "application/json"),
            ("x-gateway-tools", "lab_semantic_search, lab_echo"),
        ];
        let reply =
            gateway.send(request("POST", "/v1/chat/completions", &headers, ask.as_bytes())).await;
        assert!(reply.text().contains("High tide."), "{}", reply.text());
        let told = upstream.last().json();
        let results = &told["messages"];
        assert!(results[2]["content"].as_str().unwrap().contains("tides_ch4"), "{told}");
        assert!(results[3]["content"].as_str().unwrap().contains("error"), "{told}");
    }
    assert_eq!(platform.semantic_search.asked().len(), 2);
    let schema = gateway.get("/v1/tools/lab_semantic_search").await.json();
    assert_eq!(schema["parameters"]["required"], json!(["query"]));
}

#[tokio::test]
async fn unavailable_mcp_server_does_not_block_requests() {
    let upstream = Upstream::start().await;
    let away = Upstream::start().await.port();
    let gateway = Setup::before(&upstream)
        .set("mcp.lab", "url", &format!("http://127.0.0.1:{away}/mcp"))
        .write("tool_calls", "offered", "[\"lab_search\", \"echo\"]")
        .start()
        .await;
    let ask = gateway_tests::openai::ask("lab/m", json!({}));
    assert_eq!(gateway.chat(ask).await.status(), 200);
    let offered = &upstream.last().json()["tools"];
    assert_eq!(offered.as_array().map(Vec::len), Some(1), "{offered}");
}

/// What a server of tools answers; the older ones know no request that stands alone.
fn tool_server(body: &[u8], is_older: bool) -> Script {
    let body: Value = serde_json::from_slice(body).unwrap();
    let stands_alone =
        body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string();
    if stands_alone && is_older {
        let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32600, "message": "initialize first" } });
        return Script::json(400, error.to_string());
    }
    let result = match body["method"].as_str().unwrap_or_default() {
        "initialize" => {
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": { "name": "s", "version": "1" } })
        }
        "tools/list" => json!({ "tools": [{ "name": "measure", "inputSchema": {
            "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" }, "n": {} },
        } }] }),
        "tools/call" => {
            let result = r#"{"content":[],"structuredContent":{"a":0.830000000000000071,"b":12345678901234567890123}}"#;
            return Script::json(200, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
        }
        _ => return Script::whole(202, &[], ""),
    };
    let answer = json!({ "jsonrpc": "2.0", "id": body["id"], "result": result });
    Script::json(200, answer.to_string())
}

async fn measure(server: &Upstream) -> Reply {
    let gateway = Setup::new()
        .set("mcp.lab", "url", &format!("http://127.0.0.1:{}/mcp", server.port()))
        .start()
        .await;
    has(&gateway, "lab_measure").await;
    let body = r#"{"name":"lab_measure","arguments":{"region":"eu","n":12345678901234567890123}}"#;
    let headers = [("Content-Type", "application/json")];
    gateway.send(request("POST", "/v1/tools/execute", &headers, body.as_bytes())).await
}

#[tokio::test]
async fn results_and_arguments_of_mcp_tools_keep_every_digit() {
    let server = Upstream::start().await;
    server.numbered(|_, body| tool_server(body, false));
    let reply = measure(&server).await;
    let text = reply.text();
    assert_eq!(reply.status(), 200, "{text}");
    assert!(
        text.contains("0.830000000000000071") && text.contains("12345678901234567890123"),
        "{text}"
    );
    let sent = called(&server);
    assert!(sent.text().contains(r#""n":12345678901234567890123"#), "{}", sent.text());
}

#[tokio::test]
async fn mcp_server_is_asked_in_the_version_that_it_knows() {
    let newer = Upstream::start().await;
    newer.numbered(|_, body| tool_server(body, false));
    assert_eq!(measure(&newer).await.status(), 200);
    let call = called(&newer);
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "measure"),
        ("mcp-param-region", "eu"),
    ] {
        assert_eq!(call.head.header(name), Some(value), "{name}");
    }
    let is_handshake = |it: &Exchange| it.json()["method"] == "initialize";
    assert!(!newer.exchanges().iter().any(is_handshake), "there is no handshake");
    let older = Upstream::start().await;
    older.numbered(|_, body| tool_server(body, true));
    assert_eq!(measure(&older).await.status(), 200);
    let alone = |it: &&Exchange| it.head.header("mcp-protocol-version") == Some("2026-07-28");
    let exchanges = older.exchanges();
    assert_eq!(exchanges.iter().filter(alone).count(), 1, "what a server knows is remembered");
    let call = called(&older);
    assert_eq!(call.head.header("mcp-protocol-version"), Some("2025-06-18"));
}

/// The request that called a tool.
fn called(server: &Upstream) -> Exchange {
    let mut exchanges = server.exchanges();
    exchanges.retain(|it| it.json()["method"] == "tools/call");
    exchanges.pop().expect("a call")
}

/// Posts a request that stands alone, with what its headers must say.
async fn send_stateless(
    gateway: &Gateway,
    method: &str,
    mut params: Value,
    changed: &[(&str, &str)],
) -> Reply {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", method),
    ];
    if !name.is_empty() {
        headers.push(("Mcp-Name", &name));
    }
    for (name, value) in changed {
        headers.retain(|(it, _)| it != name);
        headers.push((name, value));
    }
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
    gateway.send(request("POST", "/mcp", &headers, body.as_bytes())).await
}

#[tokio::test]
async fn requests_that_stand_alone_are_served_beside_older_ones() {
    let gateway = Setup::new().start().await;
    let found = send_stateless(&gateway, "server/discover", json!({}), &[]).await.json();
    assert_eq!(found["result"]["resultType"], "complete");
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-06-18")));
    let list = send_stateless(&gateway, "tools/list", json!({}), &[]).await.json();
    assert_eq!(list["result"]["tools"][0]["name"], "echo");
    assert_eq!(
        (&list["result"]["cacheScope"], list["result"]["ttlMs"].is_u64()),
        (&json!("private"), true)
    );
    assert_eq!(
        list["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "llm-gateway"
    );
    let text = json!({ "name": "echo", "arguments": { "message": "hi" } });
    let called = send_stateless(&gateway, "tools/call", text.clone(), &[]).await;
    assert_eq!(called.status(), 200, "{}", called.text());
    assert_eq!(called.json()["result"]["resultType"], "complete");
    for (method, params, changed, status, code) in [
        ("tools/call", text.clone(), ("Mcp-Name", "other"), 400, -32020),
        ("tools/call", text, ("Mcp-Method", "tools/list"), 400, -32020),
        ("resources/subscribe", json!({}), ("X-Other", "1"), 404, -32601),
        ("ping", json!({}), ("X-Other", "1"), 404, -32601),
    ] {
        let reply = send_stateless(&gateway, method, params, &[changed]).await;
        assert_eq!(
            (reply.status(), &reply.json()["error"]["code"]),
            (status, &json!(code)),
            "{method}"
        );
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2199-01-01"}}}"#;
    let reply = post(&gateway, body).await;
    assert_eq!((reply.status(), &reply.json()["error"]["code"]), (400, &json!(-32020)));
    let headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", "2199-01-01")];
    let reply = gateway.send(request("POST", "/mcp", &headers, body.as_bytes())).await;
    assert_eq!((reply.status(), &reply.json()["error"]["code"]), (400, &json!(-32022)));
    assert!(
        reply.json()["error"]["data"]["supported"]
            .as_array()
            .unwrap()
            .contains(&json!("2026-07-28"))
    );
}

/// Bodies that another parser may read differently, or not at all, are refused.
#[tokio::test]
async fn ambiguous_and_deep_messages_are_refused() {
    let gateway = Setup::new().start().await;
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let post = async |path: &str, body: &str| {
        gateway.send(request("POST", path, &[], body.as_bytes())).await
    };
    let deep_message =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{deep}}}}}"#);
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#;
    for body in [twice, &deep_message] {
        let reply = post("/mcp", body).await;
        assert_eq!((reply.status(), &reply.json()["error"]["code"]), (400, &json!(-32700)));
    }
    let deep_call = format!(r#"{{"name":"echo","arguments":{{"message":{deep}}}}}"#);
    let twice = r#"{"name":"echo","arguments":{"message":"a","message":"b"}}"#;
    for body in [twice, &deep_call] {
        let reply = post("/v1/tools/execute", body).await;
        assert_eq!(reply.status(), 422, "{}", reply.text());
    }
    let usual = r#"{"name":"echo","arguments":{"message":"a"}}"#;
    assert_eq!(post("/v1/tools/execute", usual).await.status(), 200);
}
