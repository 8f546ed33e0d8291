//! What MCP servers announce to clients that have a session: changes of resources that the client
//! has subscribed to, and of lists.

use gateway_tests::{
    Exchange, Gateway, PATIENCE, RawConnection, Reply, Script, Setup, StreamingReply, Upstream,
    request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

const ALICE: &str = "gw-key-of-alice-0000000000000000";
const BOB: &str = "gw-key-of-bob-000000000000000000";
const URI: &str = "lab://sample";

fn reply(message: &Value, result: &Value) -> Script {
    Script::json(
        200,
        json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string(),
    )
}

/// A server with a resource and these capabilities. Its stream announces `announced` once.
fn server(body: &[u8], capabilities: &Value, announced: &[&Value]) -> Script {
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        // The stream, or the end of a session.
        let events = announced.iter().map(ToString::to_string);
        return events.fold(Script::streaming(), |script, it| script.event(&it)).stall();
    };
    if message["params"]["_meta"].is_object() {
        let error = json!({ "code": -32600, "message": "initialize first" });
        return Script::json(
            400,
            json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string(),
        );
    }
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => {
            let info = json!({ "name": "s", "version": "1" });
            let result = json!({
                "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info,
            });
            let reply = json!({ "jsonrpc": "2.0", "id": 0, "result": result }).to_string();
            let headers = [("content-type", "application/json"), ("mcp-session-id", "upstream-1")];
            Script::whole(200, &headers, reply)
        }
        "tools/list" => reply(&message, &json!({ "tools": [] })),
        "prompts/list" => reply(&message, &json!({ "prompts": [] })),
        "resources/list" => {
            reply(&message, &json!({ "resources": [{ "uri": URI, "name": "sample" }] }))
        }
        "resources/subscribe" | "resources/unsubscribe" => reply(&message, &json!({})),
        _ => Script::whole(202, &[], ""),
    }
}

fn updated() -> Value {
    let params = json!({ "uri": URI, "n": 1.0 });
    json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": params })
}

/// A server that announces that its resource has changed.
fn updating(_: usize, body: &[u8]) -> Script {
    server(body, &json!({ "resources": { "subscribe": true } }), &[&updated()])
}

/// A server without subscriptions.
fn plain(_: usize, body: &[u8]) -> Script {
    server(body, &json!({ "resources": {} }), &[])
}

/// A server that has a second prompt after it has announced that its prompts have changed.
fn changing(number: usize, body: &[u8]) -> Script {
    let announced = json!({ "jsonrpc": "2.0", "method": "notifications/prompts/list_changed" });
    let message = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if body.is_empty() {
        return Script::streaming().wait(700).event(&announced.to_string()).stall();
    }
    // The first list is among the first requests.
    if message["method"] == "prompts/list" && message["params"].is_null() && number > 12 {
        return reply(&message, &json!({ "prompts": [{ "name": "more" }] }));
    }
    server(body, &json!({ "prompts": { "listChanged": true } }), &[])
}

async fn start(script: fn(usize, &[u8]) -> Script, setup: Setup) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.numbered(script);
    let gateway = setup.set("mcp.lab", "url", &upstream.url()).start().await;
    upstream
        .until(|all| {
            all.iter().any(|it| it.text().contains("templates/list") && it.ended.is_some())
        })
        .await;
    time::sleep(Duration::from_millis(50)).await;
    (upstream, gateway)
}

fn headers<'a>(authorization: &'a str, session: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Authorization", authorization),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    headers.extend((!session.is_empty()).then_some(("Mcp-Session-Id", session)));
    headers
}

/// Posts a request of a session.
async fn ask(gateway: &Gateway, (key, session): (&str, &str), method: &str, uri: &str) -> Reply {
    let authorization = format!("Bearer {key}");
    let params = json!({
        "uri": uri, "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" },
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let headers = headers(&authorization, session);
    gateway.send(request("POST", "/mcp", &headers, body.to_string().as_bytes())).await
}

async fn begin(gateway: &Gateway, key: &str) -> String {
    let reply = ask(gateway, (key, ""), "initialize", "").await;
    let resources = &reply.json()["result"]["capabilities"]["resources"];
    assert_eq!(resources, &json!({ "subscribe": true, "listChanged": true }), "{}", reply.text());
    reply.header("mcp-session-id").to_owned()
}

/// Opens the stream of a session.
async fn listen(gateway: &Gateway, key: &str, session: &str) -> RawConnection {
    let authorization = format!("Bearer {key}");
    let mut connection = gateway.connect().await;
    connection.send(request("GET", "/mcp", &headers(&authorization, session), b"")).await;
    connection
}

/// The next message on a stream.
async fn next(stream: &mut StreamingReply<'_>) -> Value {
    loop {
        let block = stream.block().await.expect("an event");
        if let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) {
            return serde_json::from_str(data).expect("JSON");
        }
    }
}

/// The requests of a method that the server got in a session.
fn asked(upstream: &Upstream, method: &str) -> Vec<Exchange> {
    let is_asked = |it: &Exchange| it.text().contains(&format!("\"{method}\""));
    upstream.exchanges().into_iter().filter(is_asked).collect()
}

async fn until_asked(upstream: &Upstream, method: &str, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while asked(upstream, method).len() < count {
        assert!(Instant::now() < deadline, "{method}: {:#?}", upstream.exchanges());
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn update_of_resource_reaches_its_subscriber() {
    let (upstream, gateway) =
        start(updating, Setup::new().client("alice", ALICE).second_client("bob", BOB, &[])).await;
    let (session, other) = (begin(&gateway, ALICE).await, begin(&gateway, BOB).await);
    let subscribed = ask(&gateway, (ALICE, &session), "resources/subscribe", URI).await;
    assert_eq!(subscribed.json()["result"], json!({}), "{}", subscribed.text());
    let posted = asked(&upstream, "resources/subscribe");
    assert_eq!(posted[0].json()["params"], json!({ "uri": URI }));
    assert_eq!(posted[0].head.header("mcp-session-id"), Some("upstream-1"));
    let mut connection = listen(&gateway, ALICE, &session).await;
    let mut stream = connection.begin().await;
    assert_eq!(next(&mut stream).await, updated(), "also if it came before the stream was open");

    let again = ask(&gateway, (BOB, &other), "resources/subscribe", URI).await;
    assert_eq!(again.json()["result"], json!({}), "{}", again.text());
    assert_eq!(asked(&upstream, "resources/subscribe").len(), 1, "the server has one client");
    let ended = ask(&gateway, (ALICE, &session), "resources/unsubscribe", URI).await;
    assert_eq!(ended.json()["result"], json!({}), "{}", ended.text());
    assert!(asked(&upstream, "resources/unsubscribe").is_empty(), "another is subscribed");
    ask(&gateway, (BOB, &other), "resources/unsubscribe", URI).await;
    until_asked(&upstream, "resources/unsubscribe", 1).await;
}

#[tokio::test]
async fn subscription_is_refused_where_the_server_has_none() {
    let (_upstream, gateway) = start(plain, Setup::new()).await;
    let session = begin(&gateway, "any").await;
    for (session, uri, code) in
        [(&*session, URI, -32601), (&*session, "lab://other", -32602), ("", URI, -32600)]
    {
        let refused = ask(&gateway, ("any", session), "resources/subscribe", uri).await.json();
        assert_eq!(refused["error"]["code"], code, "{refused}");
    }
}

#[tokio::test]
async fn change_of_list_is_read_and_announced() {
    let (_upstream, gateway) = start(changing, Setup::new()).await;
    let session = begin(&gateway, "any").await;
    let mut connection = listen(&gateway, "any", &session).await;
    let mut stream = connection.begin().await;
    assert_eq!(next(&mut stream).await["method"], "notifications/prompts/list_changed");
    let prompts = ask(&gateway, ("any", &session), "prompts/list", "").await.json();
    assert_eq!(prompts["result"]["prompts"][0]["name"], "lab_more", "{prompts}");
}

#[tokio::test]
async fn stream_belongs_to_a_session_and_ends_with_it() {
    let (_upstream, gateway) = start(plain, Setup::new().client("alice", ALICE)).await;
    let session = begin(&gateway, ALICE).await;
    for (key, session, status) in
        [(ALICE, "", 400), (ALICE, "foreign", 404), ("wrong", &*session, 401)]
    {
        assert_eq!(listen(&gateway, key, session).await.reply().await.status(), status, "{key}");
    }
    let stateless =
        [("Authorization", &*format!("Bearer {ALICE}")), ("MCP-Protocol-Version", "2026-07-28")];
    assert_eq!(gateway.send(request("GET", "/mcp", &stateless, b"")).await.status(), 405);
    let mut older = listen(&gateway, ALICE, &session).await;
    let mut older = older.begin().await;
    older.block().await.expect("a comment");
    let mut newer = listen(&gateway, ALICE, &session).await;
    let mut newer = newer.begin().await;
    newer.block().await.expect("a comment");
    assert_eq!(older.block().await, None, "the newer stream has taken its place");
    let authorization = format!("Bearer {ALICE}");
    let ended = request("DELETE", "/mcp", &headers(&authorization, &session), b"");
    assert_eq!(gateway.send(ended).await.status(), 204);
    assert_eq!(newer.block().await, None);
    assert_eq!(ask(&gateway, (ALICE, &session), "tools/list", "").await.status(), 404);
    assert_eq!(listen(&gateway, ALICE, &session).await.reply().await.status(), 404);
}

#[tokio::test]
async fn stream_ends_when_the_gateway_stops() {
    let (_upstream, mut gateway) = start(plain, Setup::new()).await;
    let session = begin(&gateway, "any").await;
    let mut connection = listen(&gateway, "any", &session).await;
    let mut stream = connection.begin().await;
    stream.block().await.expect("a comment");
    gateway.terminate();
    assert_eq!(stream.block().await, None);
    assert!(gateway.stopped().await.success());
}
