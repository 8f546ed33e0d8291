//! The web console without a browser: assets, access and the live feed.

use gateway_tests::{Gateway, RawConnection, Reply, Setup, StreamingReply, openai, request};
use serde_json::{Value, json};
use std::path::Path;

#[track_caller]
fn is_page(reply: &Reply, kind: &str) {
    assert_eq!(reply.status(), 200);
    assert!(reply.header("content-type").starts_with(kind), "{}", reply.header("content-type"));
    let policy = reply.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}

/// The files that a page asks for, and those that they ask for.
async fn walk(gateway: &Gateway, page: &str) -> usize {
    let first = gateway.get(page).await;
    is_page(&first, "text/html");
    let folder = page.trim_start_matches('/');
    let mut known: Vec<String> = Vec::new();
    let mut texts = vec![first.text().to_owned()];
    while let Some(text) = texts.pop() {
        let named = text.split('"').filter_map(|it| {
            let of_page = it.strip_prefix(folder).and_then(|it| it.strip_prefix('/'));
            of_page.or_else(|| it.strip_prefix("./"))
        });
        for name in named {
            if !known.iter().any(|it| it == name) && name.contains('.') {
                let reply = gateway.get(&format!("{page}/{name}")).await;
                is_page(
                    &reply,
                    if Path::new(name).extension().is_some_and(|it| it == "svg") {
                        "image/"
                    } else {
                        "text/"
                    },
                );
                texts.push(reply.text().to_owned());
                known.push(name.to_owned());
            }
        }
    }
    known.len()
}

#[tokio::test]
async fn console_pages_are_served_completely() {
    let gateway = Setup::new().start().await;
    assert!(walk(&gateway, "/console").await > 15);
    assert!(walk(&gateway, "/docs").await > 5);
    for path in ["/console/nothing.js", "/console/../main.js", "/console/a/b", "/docs/main.js"] {
        assert_eq!(gateway.get(path).await.status(), 404, "{path}");
    }
    assert_eq!(gateway.get("/").await.json()["docs"], "/docs");
}

#[tokio::test]
async fn console_can_be_disabled() {
    let setup = Setup::new().write("console", "enabled", "false");
    let gateway = setup.set("server", "environment", "production").start().await;
    for path in ["/console", "/console/main.js", "/console/feed", "/docs", "/docs/docs.js"] {
        let reply = gateway.get(path).await;
        assert_eq!((reply.status(), &reply.json()["error"]["code"]), (404, &json!("not_found")));
    }
    assert_eq!(gateway.get("/").await.json()["docs"], "disabled");
}

#[tokio::test]
async fn console_page_is_public_and_feed_needs_key() {
    let gateway = Setup::new().client("app", "sk-app-0123456789abcdef").start().await;
    assert_eq!(gateway.get("/console").await.status(), 200);
    assert_eq!(gateway.get("/console/feed").await.status(), 401);
}

/// Subscribes to the feed.
async fn watch(gateway: &Gateway, headers: &[(&str, &str)]) -> RawConnection {
    let mut raw = gateway.connect().await;
    raw.send(request("GET", "/console/feed", headers, b"")).await;
    raw
}

/// The next event of that name.
async fn next(stream: &mut StreamingReply<'_>, name: &str) -> Value {
    loop {
        let block = stream.block().await.expect("the feed has no end");
        let mut lines = block.lines();
        if lines.next() == Some(&*format!("event: {name}")) {
            let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
            return serde_json::from_str(data).unwrap();
        }
    }
}

#[tokio::test]
async fn console_feed_reports_request_lifecycle() {
    let gateway = Setup::new().start().await;
    let mut stream = watch(&gateway, &[]).await;
    let mut stream = stream.begin().await;
    let snapshot = next(&mut stream, "snapshot").await;
    assert_eq!(snapshot, json!({ "live": [], "recent": [] }));
    let reply = gateway.ask("fake/echo", json!({ "stream": true })).await;
    let began = next(&mut stream, "began").await;
    assert_eq!(began["request_id"], reply.header("x-request-id"));
    assert_eq!(
        (&began["path"], &began["provider"], &began["stream"]),
        (&json!("/v1/chat/completions"), &json!("fake"), &json!(true))
    );
    let ended = next(&mut stream, "ended").await;
    assert_eq!((&ended["request_id"], &ended["outcome"]), (&began["request_id"], &json!("ok")));
    assert!(ended["completion_tokens"].as_u64().unwrap() > 0);
    let failed = gateway.ask("fake/error-503", Value::Null).await;
    assert_eq!(failed.status(), 503);
    let ended = next(&mut stream, "ended").await;
    assert_eq!(ended["outcome"], failed.json()["error"]["code"]);
    // Whoever comes later sees what happened, and nothing of what was said.
    let mut later = watch(&gateway, &[]).await;
    let mut later = later.begin().await;
    let snapshot = next(&mut later, "snapshot").await;
    assert_eq!(snapshot["recent"].as_array().unwrap().len(), 2);
    assert!(!snapshot.to_string().contains("content"));
}

#[tokio::test]
async fn console_feed_is_limited_to_tenant() {
    let (ours, theirs) = ("sk-ours-0123456789abcdef", "sk-theirs-0123456789abcdef");
    let gateway = Setup::new().client("ours", ours).client("theirs", theirs).start().await;
    let ask = async |key: &str, id: &str| {
        let headers =
            [("x-api-key", key), ("content-type", "application/json"), ("x-request-id", id)];
        let body = openai::ask("fake/echo", Value::Null);
        let posted = request("POST", "/v1/chat/completions", &headers, body.as_ref());
        assert_eq!(gateway.send(posted).await.status(), 200);
    };
    let mut stream = watch(&gateway, &[("x-api-key", ours)]).await;
    let mut stream = stream.begin().await;
    next(&mut stream, "snapshot").await;
    ask(theirs, "request-of-theirs").await;
    ask(ours, "request-of-ours").await;
    let began = next(&mut stream, "began").await;
    assert_eq!(began["request_id"], "request-of-ours");
}

#[tokio::test]
async fn console_feed_does_not_block_shutdown() {
    let mut gateway = Setup::new().start().await;
    let mut stream = watch(&gateway, &[]).await;
    let mut stream = stream.begin().await;
    next(&mut stream, "snapshot").await;
    gateway.terminate();
    assert!(gateway.stopped().await.success());
}
