//! The prompts, resources and tools of MCP servers, for clients of the protocol.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, request};
use serde_json::{Value, json};
use tokio::time::{self, Instant};

const VERSION: &str = "2026-07-28";
const ALICE: &str = "gw-key-of-alice-0000000000000000";
const BOB: &str = "gw-key-of-bob-000000000000000000";

/// A server of tools, prompts and resources that stands alone.
fn server(_: usize, body: &[u8]) -> Script {
    let message: Value = serde_json::from_slice(body).expect("a message");
    let params = &message["params"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "tools/list" => json!({ "tools": [{
            "name": "look", "title": "Look", "inputSchema": { "type": "object" },
            "outputSchema": { "type": "object" }, "annotations": { "readOnlyHint": true },
        }] }),
        "prompts/list" => json!({ "prompts": [{ "name": "greet", "title": "Greet" }] }),
        "resources/list" => {
            json!({ "resources": [{ "uri": "doc://one", "name": "one" }], "ttlMs": 5 })
        }
        "resources/templates/list" => {
            json!({ "resourceTemplates": [{ "uriTemplate": "doc://page/{n}", "name": "page" }] })
        }
        "resources/read" => json!({ "contents": [{ "uri": params["uri"], "text": "words" }] }),
        "prompts/get" => json!({ "messages": [], "description": params["name"] }),
        "completion/complete" => json!({ "completion": { "values": [params["ref"]["name"]] } }),
        "tools/call" => return called(&message),
        _ => {
            let error = json!({ "code": -32601, "message": "no" });
            return Script::json(
                404,
                json!({ "jsonrpc": "2.0", "id": 1, "error": error }).to_string(),
            );
        }
    };
    answered(&result.to_string())
}

fn answered(result: &str) -> Script {
    Script::json(200, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#))
}

/// The answer to a call, by its argument `case`.
fn called(message: &Value) -> Script {
    let params = &message["params"];
    match params["arguments"]["case"].as_str().unwrap_or_default() {
        "image" => answered(
            r#"{"content":[{"type":"image","data":"QQ==","mimeType":"image/png"}],"structuredContent":{"n":0.830000000000000071,"m":12345678901234567890123}}"#,
        ),
        "input" if params["inputResponses"].is_null() => answered(
            r#"{"resultType":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{}}},"requestState":"sealed"}"#,
        ),
        "input" => answered(
            &json!({ "content": [{ "type": "text", "text": format!("{} {}", params["requestState"], params["inputResponses"]["who"]["content"]["name"]) }] }).to_string(),
        ),
        "capability" => {
            let error = json!({ "code": -32021, "message": "sampling", "data": { "requiredCapabilities": { "sampling": {} } } });
            Script::json(400, json!({ "jsonrpc": "2.0", "id": 1, "error": error }).to_string())
        }
        "progress" => {
            let note = |n: u32| {
                let token = &params["_meta"]["progressToken"];
                json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": n } })
            };
            let last = json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [] } });
            let events = [note(1), note(2), last].map(|event| event.to_string());
            Script::events(events)
        }
        _ => answered(
            &json!({ "content": [{ "type": "text", "text": params["_meta"].to_string() }] }).to_string(),
        ),
    }
}

async fn start(setup: impl FnOnce(Setup) -> Setup) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.numbered(server);
    let setup = setup(Setup::new());
    let gateway = setup.set("mcp.lab", "url", &upstream.url()).start().await;
    // The lists are read after the start.
    let deadline = Instant::now() + gateway_tests::PATIENCE;
    let has_templates = || {
        let exchanges = upstream.exchanges();
        let last = exchanges.last().map(|it| it.text().to_owned()).unwrap_or_default();
        last.contains("templates") && exchanges.iter().all(|it| it.ended.is_some())
    };
    while !has_templates() {
        assert!(Instant::now() < deadline, "{:#?}", upstream.exchanges());
        time::sleep(std::time::Duration::from_millis(20)).await;
    }
    time::sleep(std::time::Duration::from_millis(50)).await;
    (upstream, gateway)
}

/// Asks in the version that stands alone.
async fn ask(gateway: &Gateway, key: &str, method: &str, params: Value) -> Reply {
    let mut params = params;
    let own = |name: &str| format!("io.modelcontextprotocol/{name}");
    let mut meta = params["_meta"].as_object().cloned().unwrap_or_default();
    meta.insert(own("protocolVersion"), VERSION.into());
    meta.entry(own("clientCapabilities")).or_insert(json!({ "roots": {} }));
    params["_meta"] = meta.into();
    let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default().to_owned();
    let body =
        json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params }).to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &*format!("Bearer {key}")),
        ("MCP-Protocol-Version", VERSION),
        ("Mcp-Method", method),
        ("Mcp-Name", &*name),
    ];
    gateway.send(request("POST", "/mcp", &headers, body.as_bytes())).await
}

async fn call(gateway: &Gateway, case: &str, besides: Value) -> Reply {
    let mut params = json!({ "name": "lab_look", "arguments": { "case": case } });
    for (name, value) in besides.as_object().into_iter().flatten() {
        params[name] = value.clone();
    }
    ask(gateway, "any", "tools/call", params).await
}

#[tokio::test]
async fn features_of_servers_are_listed_as_they_were_written() {
    let (_upstream, gateway) = start(|setup| setup).await;
    for (method, member, expected) in [
        ("prompts/list", "prompts", json!([{ "name": "lab_greet", "title": "Greet" }])),
        ("resources/list", "resources", json!([{ "uri": "doc://one", "name": "one" }])),
        (
            "resources/templates/list",
            "resourceTemplates",
            json!([{ "uriTemplate": "doc://page/{n}", "name": "page" }]),
        ),
    ] {
        let reply = ask(&gateway, "any", method, json!({})).await;
        assert_eq!(
            (reply.status(), &reply.json()["result"][member]),
            (200, &expected),
            "{}",
            reply.text()
        );
        assert!(reply.json()["result"]["ttlMs"].is_number(), "{}", reply.text());
    }
    let tools = ask(&gateway, "any", "tools/list", json!({})).await.json();
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    let look = tools.iter().find(|it| it["name"] == "lab_look").expect("the server's tool");
    assert_eq!(
        (&look["title"], &look["annotations"]["readOnlyHint"]),
        (&json!("Look"), &json!(true))
    );
    assert_eq!(look["outputSchema"], json!({ "type": "object" }));
}

#[tokio::test]
async fn prompt_resource_and_completion_come_from_their_server() {
    let (upstream, gateway) = start(|setup| setup).await;
    let prompt = ask(&gateway, "any", "prompts/get", json!({ "name": "lab_greet" })).await.json();
    assert_eq!((&prompt["id"], &prompt["result"]["description"]), (&json!("a"), &json!("greet")));
    assert_eq!(upstream.last().head.header("mcp-name"), Some("greet"));
    for uri in ["doc://one", "doc://page/7"] {
        let read = ask(&gateway, "any", "resources/read", json!({ "uri": uri })).await.json();
        assert_eq!(read["result"]["contents"][0], json!({ "uri": uri, "text": "words" }));
    }
    let about = json!({ "ref": { "type": "ref/prompt", "name": "lab_greet" }, "argument": { "name": "a", "value": "b" } });
    let completed = ask(&gateway, "any", "completion/complete", about).await.json();
    assert_eq!(completed["result"]["completion"]["values"], json!(["greet"]));
    let count = upstream.exchanges().len();
    let unknown =
        ask(&gateway, "any", "resources/read", json!({ "uri": "doc://two" })).await.json();
    assert_eq!(
        (&unknown["error"]["code"], &unknown["error"]["data"]["uri"]),
        (&json!(-32602), &json!("doc://two"))
    );
    let unknown = ask(&gateway, "any", "prompts/get", json!({ "name": "greet" })).await.json();
    assert_eq!(unknown["error"]["code"], -32602);
    assert_eq!(upstream.exchanges().len(), count);
}

#[tokio::test]
async fn features_are_those_that_the_key_may_use() {
    let (upstream, gateway) = start(|setup| {
        let only = [("tools", "[\"lab_look\", \"lab_greet\"]")];
        setup.client("alice", ALICE).second_client("bob", BOB, &only)
    })
    .await;
    for (key, prompts, resources) in [(ALICE, 1, 1), (BOB, 1, 0)] {
        let listed = ask(&gateway, key, "prompts/list", json!({})).await.json();
        assert_eq!(listed["result"]["prompts"].as_array().unwrap().len(), prompts, "{listed}");
        let listed = ask(&gateway, key, "resources/list", json!({})).await.json();
        assert_eq!(listed["result"]["resources"].as_array().unwrap().len(), resources, "{listed}");
    }
    let count = upstream.exchanges().len();
    let refused = ask(&gateway, BOB, "resources/read", json!({ "uri": "doc://one" })).await.json();
    assert_eq!(refused["error"]["code"], -32602);
    assert_eq!(upstream.exchanges().len(), count);
    assert_eq!(ask(&gateway, "wrong", "prompts/list", json!({})).await.status(), 401);
}

#[tokio::test]
async fn result_of_a_server_is_passed_on_to_the_digit() {
    let (_upstream, gateway) = start(|setup| setup).await;
    let reply = call(&gateway, "image", json!({})).await;
    for part in [
        r#"[{"type":"image","data":"QQ==","mimeType":"image/png"}]"#,
        r#"{"n":0.830000000000000071,"m":12345678901234567890123}"#,
    ] {
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    }
}

#[tokio::test]
async fn caller_s_capabilities_and_meta_reach_the_server() {
    let (_upstream, gateway) = start(|setup| setup).await;
    let meta = json!({ "_meta": { "own.example/x": 1, "io.modelcontextprotocol/clientInfo": { "name": "me", "version": "1" } } });
    let reply = call(&gateway, "meta", meta).await.json();
    let meta: Value =
        serde_json::from_str(reply["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(meta["own.example/x"], 1);
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "me");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({ "roots": {} }));
}

#[tokio::test]
async fn request_for_input_reaches_the_caller_and_its_response_the_server() {
    let (_upstream, gateway) = start(|setup| setup).await;
    let first = call(&gateway, "input", json!({})).await.json();
    assert_eq!(first["result"]["resultType"], "input_required", "{first}");
    assert_eq!(first["result"]["inputRequests"]["who"]["method"], "elicitation/create");
    let state = first["result"]["requestState"].clone();
    let responses = json!({ "who": { "action": "accept", "content": { "name": "Ann" } } });
    let second = json!({ "requestState": state, "inputResponses": responses });
    let second = call(&gateway, "input", second).await.json();
    assert_eq!(second["result"]["resultType"], "complete", "{second}");
    assert_eq!(second["result"]["content"][0]["text"], r#""sealed" "Ann""#);
}

#[tokio::test]
async fn error_of_a_server_is_passed_on_with_its_status() {
    let (_upstream, gateway) = start(|setup| setup).await;
    let reply = call(&gateway, "capability", json!({})).await;
    let error = reply.json()["error"].clone();
    assert_eq!((reply.status(), &error["code"]), (400, &json!(-32021)), "{error}");
    assert_eq!(error["data"], json!({ "requiredCapabilities": { "sampling": {} } }));
}

#[tokio::test]
async fn progress_of_a_tool_is_streamed_before_its_result() {
    let (_upstream, gateway) = start(|setup| setup).await;
    let reply = call(&gateway, "progress", json!({ "_meta": { "progressToken": "p" } })).await;
    assert!(reply.header("content-type").starts_with("text/event-stream"), "{}", reply.text());
    let events: Vec<Value> =
        reply.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert_eq!(events.len(), 3, "{}", reply.text());
    for (event, progress) in events.iter().zip(1..3) {
        assert_eq!(event["method"], "notifications/progress");
        assert_eq!(
            (&event["params"]["progressToken"], &event["params"]["progress"]),
            (&json!("p"), &json!(progress))
        );
    }
    assert_eq!(
        (&events[2]["id"], &events[2]["result"]["resultType"]),
        (&json!("a"), &json!("complete"))
    );
}

#[tokio::test]
async fn client_of_an_older_version_gets_the_same() {
    let (_upstream, gateway) = start(|setup| setup).await;
    let params = json!({ "name": "lab_look", "arguments": { "case": "image" } });
    let body =
        json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string();
    let headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", "2025-06-18")];
    let reply = gateway.send(request("POST", "/mcp", &headers, body.as_bytes())).await;
    assert_eq!(reply.json()["result"]["content"][0]["type"], "image", "{}", reply.text());
    assert!(reply.json()["result"]["_meta"].is_null());
    let begun = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-06-18" } });
    let begun = gateway
        .send(request("POST", "/mcp", &headers[..1], begun.to_string().as_bytes()))
        .await
        .json();
    for name in ["tools", "prompts", "resources", "completions"] {
        assert!(begun["result"]["capabilities"][name].is_object(), "{name}: {begun}");
    }
}

#[tokio::test]
async fn input_for_a_client_with_a_session_is_requested_on_its_stream() {
    let (upstream, gateway) = start(|setup| setup).await;
    let older = |session: &str, body: &Value| {
        let headers = [
            ("Content-Type", "application/json"),
            ("MCP-Protocol-Version", "2025-11-25"),
            ("Mcp-Session-Id", session),
        ];
        request("POST", "/mcp", &headers, body.to_string().as_bytes())
    };
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} } });
    let begun = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let session = gateway.send(older("none", &begun)).await.header("mcp-session-id").to_owned();
    let params = json!({ "name": "lab_look", "arguments": { "case": "input" } });
    let called = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    let mut connection = gateway.connect().await;
    connection.send(older(&session, &called)).await;
    let mut stream = connection.begin().await;
    let data = |block: String| -> Value {
        serde_json::from_str(block.lines().find_map(|it| it.strip_prefix("data: ")).unwrap())
            .unwrap()
    };
    let asked = data(stream.block().await.unwrap());
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let result = json!({ "action": "accept", "content": { "name": "Ann" } });
    let reply = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
    assert_eq!(gateway.send(older(&session, &reply)).await.status(), 202);
    let last = data(stream.block().await.unwrap());
    assert_eq!(last["result"]["content"][0]["text"], r#""sealed" "Ann""#, "{last}");
    let repeated = upstream.last().json();
    let meta = &repeated["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({ "elicitation": {} }));
}
