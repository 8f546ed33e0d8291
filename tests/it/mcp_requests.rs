//! Requests of MCP servers to clients that have a session: for sampling, for input, for roots.

use gateway_tests::{
    Exchange, Gateway, PATIENCE, RawConnection, Reply, Script, Setup, Upstream, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

const ALICE: &str = "gw-key-of-alice-0000000000000000";
const BOB: &str = "gw-key-of-bob-000000000000000000";

/// A server that knows its clients from a handshake. Its tool asks the client, ends the stream, and
/// has the result on the resumed one.
fn server(_: usize, body: &[u8]) -> Script {
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        // The stream is resumed by a request without a body.
        let result = json!({ "content": [{ "type": "text", "text": "done" }] });
        return Script::events(
            [json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string()],
        );
    };
    let params = &message["params"];
    if params["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string() {
        let error = json!({ "code": -32600, "message": "initialize first" });
        return Script::json(
            400,
            json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string(),
        );
    }
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => {
            let result = json!({
                "protocolVersion": "2025-11-25", "capabilities": { "logging": {}, "tools": {} },
                "serverInfo": { "name": "s", "version": "1" },
            });
            let reply = json!({ "jsonrpc": "2.0", "id": 0, "result": result }).to_string();
            let headers = [("content-type", "application/json"), ("mcp-session-id", "upstream-1")];
            return Script::whole(200, &headers, reply);
        }
        "tools/list" => {
            json!({ "tools": [{ "name": "ask", "inputSchema": { "type": "object" } }] })
        }
        "tools/call" => return asking(params["arguments"]["method"].as_str().unwrap_or_default()),
        "logging/setLevel" => json!({}),
        _ => return Script::whole(202, &[], ""),
    };
    Script::json(
        200,
        json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string(),
    )
}

/// A stream with a log message and a request, which ends before the response.
fn asking(method: &str) -> Script {
    question(method).end()
}

/// The same stream, so far without an end.
fn question(method: &str) -> Script {
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "asking" } });
    let params = json!({ "message": "Name?", "n": 1.0 });
    let asked = json!({ "jsonrpc": "2.0", "id": "of-server", "method": method, "params": params });
    let first = format!("event: message\nid: e1\nretry: 10\ndata: {note}\n\n");
    Script::streaming().chunk(first).event(&asked.to_string())
}

async fn start(setup: impl FnOnce(Setup) -> Setup) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.numbered(server);
    let setup = setup(Setup::new());
    let gateway = setup.set("mcp.lab", "url", &upstream.url()).start().await;
    let deadline = Instant::now() + PATIENCE;
    let is_listed = || {
        upstream
            .exchanges()
            .iter()
            .any(|it| it.text().contains("templates/list") && it.ended.is_some())
    };
    while !is_listed() {
        assert!(Instant::now() < deadline, "{:#?}", upstream.exchanges());
        time::sleep(Duration::from_millis(20)).await;
    }
    time::sleep(Duration::from_millis(50)).await;
    (upstream, gateway)
}

/// A message of a client with a session.
fn message(key: &str, session: &str, body: &Value) -> Vec<u8> {
    let authorization = format!("Bearer {key}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &*authorization),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Session-Id", session),
    ];
    request(
        "POST",
        "/mcp",
        &headers[..if session.is_empty() { 3 } else { 4 }],
        body.to_string().as_bytes(),
    )
}

/// Begins a session of a client with these capabilities, and returns its id.
async fn begin(gateway: &Gateway, key: &str, capabilities: Value) -> String {
    let info = json!({ "name": "c", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info });
    let begun = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let reply = gateway.send(message(key, "", &begun)).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.header("mcp-session-id").to_owned()
}

/// Calls the tool, which makes a request of this method.
async fn call(gateway: &Gateway, key: &str, session: &str, method: &str) -> RawConnection {
    let params = json!({ "name": "lab_ask", "arguments": { "method": method } });
    let called = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params });
    let mut connection = gateway.connect().await;
    connection.send(message(key, session, &called)).await;
    connection
}

fn data(block: &str) -> Value {
    let data = block.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    serde_json::from_str(data).expect("JSON")
}

async fn answer(
    gateway: &Gateway,
    (key, session): (&str, &str),
    id: &Value,
    result: &Value,
) -> Reply {
    let body = json!({ "jsonrpc": "2.0", "id": id, "result": result });
    gateway.send(message(key, session, &body)).await
}

/// The messages that the server got in the session of the call, in order.
fn in_session(upstream: &Upstream) -> Vec<Exchange> {
    let exchanges = upstream.exchanges();
    let called = |it: &Exchange| it.text().contains("tools/call") && !it.text().contains("_meta");
    let at = exchanges.iter().position(called).expect("a call");
    let in_session = |it: &Exchange| it.head.header("mcp-session-id") == Some("upstream-1");
    exchanges.into_iter().skip(at.saturating_sub(3)).filter(in_session).collect()
}

fn elicitation() -> Value {
    json!({ "elicitation": { "form": {} } })
}

#[tokio::test]
async fn request_of_server_reaches_client_and_its_reply_the_server() {
    let (upstream, gateway) = start(|setup| setup).await;
    for (capability, method, result) in [
        (
            "elicitation",
            "elicitation/create",
            json!({ "action": "accept", "content": { "n": 1.5 } }),
        ),
        ("sampling", "sampling/createMessage", json!({ "role": "assistant", "model": "m" })),
        ("roots", "roots/list", json!({ "roots": [] })),
    ] {
        let session = begin(&gateway, "any", json!({ capability: {} })).await;
        let mut connection = call(&gateway, "any", &session, method).await;
        let mut stream = connection.begin().await;
        let note = data(&stream.block().await.unwrap());
        assert_eq!(note["params"]["data"], "asking");
        let asked = data(&stream.block().await.unwrap());
        assert_eq!(
            (&asked["method"], &asked["params"]["message"]),
            (&json!(method), &json!("Name?"))
        );
        assert_ne!(asked["id"], "of-server", "ids of two servers may be the same");
        let reply = answer(&gateway, ("any", &session), &asked["id"], &result).await;
        assert_eq!(reply.status(), 202, "{}", reply.text());
        let last = data(&stream.block().await.unwrap());
        assert_eq!(
            (&last["id"], &last["result"]["content"][0]["text"]),
            (&json!(9), &json!("done"))
        );
        let exchanges = in_session(&upstream);
        let replied = exchanges.iter().position(|it| it.text().contains("of-server"));
        let replied = replied.expect("a reply");
        let expected = json!({ "jsonrpc": "2.0", "id": "of-server", "result": result });
        assert!(
            exchanges.iter().any(|it| !it.body.is_empty() && it.json() == expected),
            "{method}"
        );
        let resumed = exchanges.iter().position(|it| it.head.header("last-event-id") == Some("e1"));
        assert!(resumed.expect("a resumed stream") > replied);
        let again = answer(&gateway, ("any", &session), &asked["id"], &result).await;
        assert_eq!(again.status(), 400, "the request has its reply");
    }
}

#[tokio::test]
async fn client_s_capabilities_are_declared_to_the_server() {
    let (upstream, gateway) = start(|setup| setup).await;
    let session =
        begin(&gateway, "any", json!({ "roots": { "listChanged": true }, "experimental": {} }))
            .await;
    let reply = call(&gateway, "any", &session, "elicitation/create").await.reply().await;
    assert!(reply.text().contains("done"), "{}", reply.text());
    assert!(
        !reply.text().contains("elicitation/create"),
        "it is not asked what it does not support"
    );
    let exchanges = upstream.exchanges();
    let begun = exchanges.iter().rfind(|it| it.text().contains("\"initialize\""));
    let declared = begun.expect("a handshake").json()["params"]["capabilities"].clone();
    assert_eq!(declared, json!({ "roots": { "listChanged": true } }));
    let refused = exchanges.iter().find(|it| it.text().contains("of-server")).expect("a reply");
    assert_eq!(refused.json()["error"]["code"], -32601, "{}", refused.text());
}

#[tokio::test]
async fn client_without_session_is_not_asked() {
    let (upstream, gateway) = start(|setup| setup).await;
    for session in ["", "foreign-session"] {
        let reply = call(&gateway, "any", session, "roots/list").await.reply().await;
        assert!(reply.text().contains("done"), "{}", reply.text());
        assert!(!reply.text().contains("roots/list"), "{}", reply.text());
    }
    let begun = upstream.exchanges().into_iter().rfind(|it| it.text().contains("\"initialize\""));
    assert_eq!(begun.expect("a handshake").json()["params"]["capabilities"], json!({}));
}

#[tokio::test]
async fn reply_of_another_client_or_session_is_refused() {
    let (_upstream, gateway) =
        start(|setup| setup.client("alice", ALICE).second_client("bob", BOB, &[])).await;
    let session = begin(&gateway, ALICE, elicitation()).await;
    let other = begin(&gateway, ALICE, elicitation()).await;
    let mut connection = call(&gateway, ALICE, &session, "elicitation/create").await;
    let mut stream = connection.begin().await;
    stream.block().await.unwrap();
    let id = data(&stream.block().await.unwrap())["id"].clone();
    let result = json!({ "action": "decline" });
    for (who, id) in
        [((BOB, &*session), &id), ((ALICE, &*other), &id), ((ALICE, &*session), &json!("gw-0"))]
    {
        assert_eq!(answer(&gateway, who, id, &result).await.status(), 400, "{who:?}");
    }
    assert_eq!(answer(&gateway, ("wrong", &session), &id, &result).await.status(), 401);
    assert_eq!(answer(&gateway, (ALICE, &session), &id, &result).await.status(), 202);
    assert_eq!(data(&stream.block().await.unwrap())["id"], 9);
}

#[tokio::test]
async fn reply_is_delivered_after_a_reload() {
    let upstream = Upstream::start().await;
    upstream.numbered(server);
    let setup = Setup::new().set("mcp.lab", "url", &upstream.url());
    let gateway = setup.clone().start().await;
    upstream.until(|all| all.iter().any(|it| it.text().contains("templates/list"))).await;
    time::sleep(Duration::from_millis(100)).await;
    let session = begin(&gateway, "any", elicitation()).await;
    let mut connection = call(&gateway, "any", &session, "elicitation/create").await;
    let mut stream = connection.begin().await;
    stream.block().await.unwrap();
    let id = data(&stream.block().await.unwrap())["id"].clone();
    setup.set("aliases", "best", "fake/echo").overwrite(&gateway);
    gateway.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    while gateway.ask("best", Value::Null).await.status() != 200 {
        assert!(Instant::now() < deadline, "{}", gateway.stdout());
    }
    assert_eq!(
        answer(&gateway, ("any", &session), &id, &json!({ "action": "cancel" })).await.status(),
        202
    );
    assert_eq!(data(&stream.block().await.unwrap())["id"], 9);
}

#[tokio::test]
async fn log_level_of_session_reaches_the_server() {
    let (upstream, gateway) = start(|setup| setup).await;
    let session = begin(&gateway, "any", json!({})).await;
    let set = |level: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": { "level": level } });
    for (session, level, code) in [(&*session, "verbose", -32602), ("", "debug", -32600)] {
        let refused = gateway.send(message("any", session, &set(level))).await.json();
        assert_eq!(refused["error"]["code"], code, "{refused}");
    }
    let accepted = gateway.send(message("any", &session, &set("warning"))).await.json();
    assert_eq!(accepted["result"], json!({}), "{accepted}");
    let other = begin(&gateway, "any", json!({})).await;
    call(&gateway, "any", &other, "roots/list").await.reply().await;
    assert!(
        !upstream.exchanges().iter().any(|it| it.text().contains("setLevel")),
        "of another session"
    );
    call(&gateway, "any", &session, "roots/list").await.reply().await;
    let exchanges = upstream.exchanges();
    let at = exchanges.iter().position(|it| it.text().contains("setLevel")).expect("a level");
    assert_eq!(exchanges[at].json()["params"]["level"], "warning");
    assert!(exchanges[at + 1].text().contains("tools/call"), "{}", exchanges[at + 1].text());
}

/// A server that asks on the stream that belongs to no request, and takes half a second for a call.
fn asking_elsewhere(number: usize, body: &[u8]) -> Script {
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        return question("elicitation/create").stall();
    };
    if message["method"] == "tools/call" && message["params"]["_meta"].is_null() {
        let result = json!({ "content": [{ "type": "text", "text": "late" }] });
        let last = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        return Script::new().wait(500).then_all(Script::json(200, last.to_string()));
    }
    server(number, body)
}

#[tokio::test]
async fn request_on_the_stream_of_the_session_reaches_the_client() {
    let (upstream, gateway) = start(|setup| setup).await;
    upstream.numbered(asking_elsewhere);
    let session = begin(&gateway, "any", elicitation()).await;
    let mut connection = call(&gateway, "any", &session, "").await;
    let mut stream = connection.begin().await;
    stream.block().await.unwrap();
    let asked = data(&stream.block().await.unwrap());
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let result = json!({ "action": "accept", "content": {} });
    let reply = answer(&gateway, ("any", &session), &asked["id"], &result).await;
    assert_eq!(reply.status(), 202, "{}", reply.text());
    let last = data(&stream.block().await.unwrap());
    assert_eq!(last["result"]["content"][0]["text"], "late", "{last}");
    let replied = upstream.exchanges().into_iter().find(|it| it.text().contains("of-server"));
    assert_eq!(replied.expect("a reply").json()["result"], result);
}
