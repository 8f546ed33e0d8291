//! The gateway's tools without a model: which there are, and running one.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, platform::PlatformStub, request};
use serde_json::{Value, json};

async fn post(gateway: &Gateway, headers: &[(&str, &str)], body: &Value) -> Reply {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    let body = body.to_string();
    gateway.send(request("POST", "/v1/tools/execute", &headers, body.as_bytes())).await
}

async fn start(platform: &PlatformStub) -> Gateway {
    Setup::new().with_platform(platform).start().await
}

#[tokio::test]
async fn tool_list_is_returned() {
    let platform = PlatformStub::start().await;
    let gateway = start(&platform).await;
    let list = gateway.get("/v1/tools").await.json();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    for name in [
        "echo",
        "calculator",
        "search_corpus",
        "semantic_search",
        "get_chunk",
        "hybrid_search",
        "similar_chapters",
        "embed",
        "compute_similarity",
        "extract_keywords",
        "extract_terms",
        "generate_embeddings",
        "cross_reference",
        "enrich_metadata",
        "review_code",
        "analyze_architecture",
        "generate_documentation",
    ] {
        assert!(names.contains(&&json!(name)), "{name} is missing in {names:?}");
        let one = gateway.get(&format!("/v1/tools/{name}")).await.json();
        assert_eq!(one["parameters"], one["inputSchema"]);
        assert_eq!(one["parameters"]["type"], "object");
        assert!(list.as_array().unwrap().contains(&one));
    }
    let object = gateway.get("/v1/tools?format=object").await.json();
    assert_eq!(object["tools"], list);
    let unknown = gateway.get("/v1/tools/nothing").await;
    assert_eq!(unknown.status_and_code(), "404 not_found");
    assert!(unknown.json()["detail"].is_string());
}

/// Checks a call; `told` is the status and code of a failure, or the result.
async fn check(gateway: &Gateway, body: Value, told: &str) {
    let reply = post(gateway, &[], &body).await;
    let said = if reply.status() == 200 {
        let body = reply.json();
        let code = body["error_code"].as_str().unwrap_or_default().to_owned();
        if body["success"] == true { body["result"].to_string() } else { code }
    } else {
        assert!(reply.json()["detail"].is_string(), "{}", reply.text());
        reply.status_and_code()
    };
    assert_eq!(said, told, "{body}");
}

#[tokio::test]
async fn tool_can_be_called_directly() {
    let platform = PlatformStub::newer().await;
    let gateway = start(&platform).await;
    let echo = json!({ "name": "echo", "arguments": { "message": "hi" } });
    check(&gateway, echo, r#"{"echoed":"hi"}"#).await;
    let sum = json!({ "tool_name": "calculator", "arguments": { "a": 1, "b": 2 } });
    check(&gateway, sum, r#"{"a":1,"b":2,"operation":"add","result":3}"#).await;
    let chunk = |id: &str| json!({ "name": "get_chunk", "arguments": { "chunk_id": id } });
    let found = r#"{"chunk_id":"c1","content":"The sea rises twice a day.","metadata":{}}"#;
    check(&gateway, chunk("c1"), found).await;
    check(&gateway, chunk("missing"), "404 not_found").await;
    let named = json!({ "name": "echo", "arguments": { "message": "" }, "tool_call_id": "call_7" });
    let reply = post(&gateway, &[], &named).await.json();
    assert_eq!(reply["tool_call_id"], "call_7");
    assert_eq!(reply["error"], Value::Null);
}

#[tokio::test]
async fn invalid_tool_call_is_rejected() {
    let platform = PlatformStub::newer().await;
    let gateway = start(&platform).await;
    for (body, told) in [
        (json!({ "name": "nothing" }), "404 not_found"),
        (json!({ "arguments": {} }), "422 unprocessable"),
        (json!({ "name": "echo" }), "422 invalid_arguments"),
        (json!({ "name": "echo", "arguments": { "message": 1 } }), "422 invalid_arguments"),
        (
            json!({ "name": "echo", "arguments": { "message": "", "x": 1 } }),
            "422 invalid_arguments",
        ),
        (
            json!({ "name": "calculator", "arguments": { "a": true, "b": 1 } }),
            "422 invalid_arguments",
        ),
        (
            json!({ "name": "hybrid_search", "arguments": { "query": "q", "bloom_tier_filter": [99] } }),
            "422 invalid_arguments",
        ),
        (
            json!({ "name": "echo", "arguments": { "message": "" }, "session_id": "0123456789012345678901" }),
            "404 session_not_found",
        ),
    ] {
        check(&gateway, body, told).await;
    }
    assert!(platform.semantic_search.asked().is_empty());
}

#[tokio::test]
async fn tool_failure_has_error_status() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(500, r#"{"detail":"canary"}"#));
    let url = format!("http://127.0.0.1:{}", upstream.port());
    let gateway = Setup::new().set("services", "ai_agents_url", &url).start().await;
    let review = json!({ "name": "review_code", "arguments": { "code": "x" } });
    let reply = post(&gateway, &[], &review).await;
    assert_eq!(reply.status(), 200);
    let told = reply.json();
    assert_eq!((&told["success"], &told["result"]), (&json!(false), &Value::Null));
    assert_eq!(told["error_code"], "upstream_status");
    assert!(!reply.text().contains("canary"), "{}", reply.text());
    let metrics = gateway.get("/metrics").await;
    let counted = r#"llm_gateway_tool_calls_total{tool="review_code",outcome="upstream_status"} 1"#;
    assert!(metrics.text().contains(counted), "{}", metrics.text());
}

#[tokio::test]
async fn session_context_is_sent_with_tool_call() {
    let platform = PlatformStub::newer().await;
    let gateway = start(&platform).await;
    let context = json!({ "context": { "taxonomy": "Sea_taxonomy", "tier_filter": [1, 2] } });
    let context = context.to_string();
    let created = gateway.send(request("POST", "/v1/sessions", &[], context.as_bytes())).await;
    let call = json!({
        "name": "similar_chapters", "arguments": { "chapter_id": "c1" },
        "session_id": created.json()["id"],
    });
    assert_eq!(post(&gateway, &[], &call).await.json()["success"], true);
    assert_eq!(
        platform.semantic_search.log(),
        [
            r#"POST /v1/search/similar-chapters {"chapter_id":"c1","taxonomy":"Sea_taxonomy","tier_filter":[1,2]}"#
        ]
    );
}

#[tokio::test]
async fn configured_tool_needs_no_code() {
    let upstream = Upstream::start().await;
    upstream.always(Script::json(200, r#"{"title":"Tides"}"#));
    let url = format!("http://127.0.0.1:{}", upstream.port());
    let gateway = Setup::new()
        .set("services.others", "library", &url)
        .set("[tools]", "name", "book")
        .set("[tools]", "description", "Finds a book.")
        .set("[tools]", "service", "library")
        .set("[tools]", "method", "GET")
        .set("[tools]", "path", "/v1/books/{isbn}")
        .set(
            "[tools]",
            "parameters",
            r#"{"type":"object","properties":{"isbn":{"type":"string"}},"required":["isbn"]}"#,
        )
        .start()
        .await;
    let call = json!({ "name": "book", "arguments": { "isbn": "../a?b#c\r\nd" } });
    check(&gateway, call, r#"{"title":"Tides"}"#).await;
    assert_eq!(upstream.last().head.word(1), "/v1/books/..%2Fa%3Fb%23c%0D%0Ad");
    let listed = gateway.get("/v1/tools/book").await.json();
    assert_eq!(listed["parameters"]["required"], json!(["isbn"]));
}

#[tokio::test]
async fn tool_endpoints_require_key() {
    let gateway = Setup::new().client("app", "sk-app").start().await;
    assert_eq!(gateway.get("/v1/tools").await.status_and_code(), "401 invalid_api_key");
    let call = json!({ "name": "echo", "arguments": { "message": "" } });
    assert_eq!(post(&gateway, &[], &call).await.status_and_code(), "401 invalid_api_key");
    let key = [("Authorization", "Bearer sk-app")];
    assert_eq!(post(&gateway, &key, &call).await.status(), 200);
}
