//! The requests that services get, tool by tool.

use crate::bench::{call, context, executor, run, word};
use gateway_core::{Function, Json, ToolContext, ToolKind, ToolSpec, Tools as _};
use gateway_tests::platform::{PlatformStub, ServiceStub};
use gateway_tools::ToolSettings;
use serde_json::{Value, json};

async fn sent(
    platform: &PlatformStub,
    name: &str,
    arguments: Value,
) -> (&'static str, Vec<String>) {
    let outcome = run(&executor(platform, &[]), name, &arguments).await;
    (word(&outcome), log(platform))
}

fn log(platform: &PlatformStub) -> Vec<String> {
    let services = [&platform.semantic_search, &platform.ai_agents, &platform.code_orchestrator];
    services.into_iter().flat_map(ServiceStub::log).collect()
}

/// Asked with `arguments`, the tool sends exactly these requests to the services as they are, and
/// the last of them is answered.
async fn check(name: &str, arguments: Value, expected: &[&str]) {
    let platform = PlatformStub::start().await;
    assert_eq!(
        sent(&platform, name, arguments).await,
        ("ok", expected.iter().map(|it| (*it).to_owned()).collect())
    );
}

/// The same, over services of a newer version.
async fn check_newer(name: &str, arguments: Value, expected: &str) {
    let platform = PlatformStub::newer().await;
    assert_eq!(sent(&platform, name, arguments).await, ("ok", vec![expected.to_owned()]));
}

#[tokio::test]
async fn search_corpus_sends_query() {
    check("search_corpus", json!({ "query": "tides" }), &[r#"POST /v1/search {"query":"tides"}"#])
        .await;
    check(
        "search_corpus",
        json!({ "query": "tides", "top_k": 5, "collection": "chapters" }),
        &[r#"POST /v1/search {"collection":"chapters","limit":5,"query":"tides"}"#],
    )
    .await;
}

#[tokio::test]
async fn semantic_search_sends_query() {
    check_newer(
        "semantic_search",
        json!({ "query": "tides", "taxonomy": "Sea_taxonomy", "tier_filter": [1, 2] }),
        r#"POST /v1/search {"query":"tides","taxonomy":"Sea_taxonomy","tier_filter":[1,2]}"#,
    )
    .await;
}

#[tokio::test]
async fn search_without_taxonomy_support_gets_no_taxonomy() {
    check(
        "semantic_search",
        json!({ "query": "tides", "taxonomy": "Sea_taxonomy", "tier_filter": [1] }),
        &[
            r#"POST /v1/search {"query":"tides","taxonomy":"Sea_taxonomy","tier_filter":[1]}"#,
            r#"POST /v1/search {"query":"tides"}"#,
        ],
    )
    .await;
    check(
        "hybrid_search",
        json!({ "query": "tides", "taxonomy": "Sea_taxonomy", "tier_filter": [1] }),
        &[
            r#"POST /v1/search/hybrid {"query":"tides","taxonomy":"Sea_taxonomy","tier_filter":[1]}"#,
            r#"POST /v1/search/hybrid {"query":"tides","tier_filter":[1]}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn hybrid_search_sends_query() {
    check(
        "hybrid_search",
        json!({ "query": "q", "alpha": 0.5, "bloom_tier_boost": false, "focus_areas": ["sea"] }),
        &[r#"POST /v1/search/hybrid {"alpha":0.5,"focus_areas":["sea"],"query":"q","tier_boost":false}"#],
    )
    .await;
    check_newer(
        "hybrid_search",
        json!({ "query": "q", "bloom_tier_filter": [0, 6], "quality_tier_filter": [3] }),
        r#"POST /v1/search/hybrid {"bloom_tier_filter":[0,6],"quality_tier_filter":[3],"query":"q"}"#,
    )
    .await;
}

#[tokio::test]
async fn get_chunk_requests_chunk_by_id() {
    check_newer("get_chunk", json!({ "chunk_id": "a/b" }), "GET /v1/chunks/a%2Fb null").await;
    check_newer(
        "get_chunk",
        json!({ "chunk_id": "c1", "include_context": true, "context_window": 2 }),
        "GET /v1/chunks/c1?context_window=2&include_context=true null",
    )
    .await;
}

#[tokio::test]
async fn missing_chunk_differs_from_missing_path() {
    let newer = PlatformStub::newer().await;
    let chunk = json!({ "chunk_id": "missing" });
    assert_eq!(sent(&newer, "get_chunk", chunk).await.0, "not_found");
    let platform = PlatformStub::start().await;
    let chapter = json!({ "chapter_id": "c" });
    assert_eq!(sent(&platform, "similar_chapters", chapter).await.0, "upstream_status");
}

#[tokio::test]
async fn similar_chapters_sends_chapter() {
    check_newer(
        "similar_chapters",
        json!({ "chapter_id": "c", "limit": 3 }),
        r#"POST /v1/search/similar-chapters {"chapter_id":"c","limit":3}"#,
    )
    .await;
}

#[tokio::test]
async fn embedding_positions_are_detected() {
    check("embed", json!({ "texts": ["a"] }), &[r#"POST /v1/embed {"text":["a"]}"#]).await;
    let newer = PlatformStub::newer().await;
    let (outcome, asked) = sent(&newer, "embed", json!({ "texts": ["a"], "model": "m" })).await;
    assert_eq!(outcome, "ok");
    assert_eq!(
        asked,
        [
            r#"POST /v1/embed {"model":"m","text":["a"]}"#,
            r#"POST /v1/embeddings {"model":"m","texts":["a"]}"#,
        ]
    );
    check(
        "generate_embeddings",
        json!({ "texts": ["a"] }),
        &[r#"POST /v1/embeddings {"texts":["a"]}"#],
    )
    .await;
}

#[tokio::test]
async fn text_tools_call_their_services() {
    check(
        "compute_similarity",
        json!({ "text1": "a", "text2": "b" }),
        &[r#"POST /v1/similarity {"text1":"a","text2":"b"}"#],
    )
    .await;
    check(
        "extract_keywords",
        json!({ "corpus": ["a"], "top_k": 3 }),
        &[r#"POST /api/v1/keywords {"corpus":["a"],"top_k":3}"#],
    )
    .await;
    check(
        "extract_terms",
        json!({ "query": "a", "max_terms": 3 }),
        &[
            r#"POST /api/v1/extract {"options":{"max_terms":3},"query":"a"}"#,
            r#"POST /v1/extract {"options":{"max_terms":3},"query":"a"}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn agent_tools_call_their_services() {
    check(
        "cross_reference",
        json!({ "book": "b", "chapter": 1, "title": "t", "tier": 2, "max_hops": 2 }),
        &[concat!(
            r#"POST /v1/agents/cross-reference {"config":{"max_hops":2},"#,
            r#""source":{"book":"b","chapter":1,"tier":2,"title":"t"}}"#
        )],
    )
    .await;
    check(
        "enrich_metadata",
        json!({
            "corpus": ["a"],
            "chapter_index": [{ "book": "b", "chapter": 1, "title": "t" }],
            "config": { "top_k": 5 },
        }),
        &[concat!(
            r#"POST /v1/agents/enrich-metadata {"chapter_index":[{"book":"b","chapter":1,"#,
            r#""title":"t"}],"config":{"top_k":5},"corpus":["a"]}"#
        )],
    )
    .await;
}

#[tokio::test]
async fn code_agent_tools_call_their_services() {
    check(
        "review_code",
        json!({ "code": "x" }),
        &[r#"POST /v1/agents/code-review/run {"code":"x"}"#],
    )
    .await;
    check(
        "analyze_architecture",
        json!({ "code": "x", "context": "y" }),
        &[
            r#"POST /v1/agents/architecture/run {"code":"x","context":"y"}"#,
            r#"POST /v1/agents/architecture {"code":"x","context":"y"}"#,
        ],
    )
    .await;
    check(
        "generate_documentation",
        json!({ "code": "x" }),
        &[
            r#"POST /v1/agents/doc-generate/run {"code":"x"}"#,
            r#"POST /v1/agents/doc-generate {"code":"x"}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn local_tools_need_no_service() {
    check("echo", json!({ "message": "hi" }), &[]).await;
    check("calculator", json!({ "a": 1, "b": 2, "operation": "divide" }), &[]).await;
}

#[tokio::test]
async fn every_builtin_tool_is_listed() {
    let names: Vec<_> = executor(&PlatformStub::start().await, &[])
        .specs()
        .iter()
        .map(|spec| spec.name().to_owned())
        .collect();
    assert_eq!(
        names.join(" "),
        "echo calculator search_corpus semantic_search get_chunk hybrid_search similar_chapters \
         embed compute_similarity extract_keywords extract_terms generate_embeddings \
         cross_reference enrich_metadata review_code analyze_architecture generate_documentation"
    );
}

#[tokio::test]
async fn invalid_arguments_are_not_sent() {
    let platform = PlatformStub::start().await;
    for (name, arguments) in [
        ("search_corpus", json!({})),
        ("search_corpus", json!({ "query": 1 })),
        ("search_corpus", json!({ "query": "q", "top_k": true })),
        ("search_corpus", json!({ "query": "q", "top_k": 101 })),
        ("search_corpus", json!({ "query": "q", "url": "http://169.254.169.254" })),
        ("hybrid_search", json!({ "query": "q", "bloom_tier_filter": [99] })),
        ("cross_reference", json!({ "book": "b", "chapter": 0, "title": "t", "tier": 1 })),
        ("cross_reference", json!({ "book": "b", "chapter": 1, "title": "t", "tier": 4 })),
        ("calculator", json!({ "a": 1, "b": 1, "operation": "power" })),
        ("get_chunk", json!({ "chunk_id": ".." })),
        ("get_chunk", json!({ "chunk_id": "x".repeat(1000) })),
    ] {
        let (outcome, _) = sent(&platform, name, arguments.clone()).await;
        assert_eq!(outcome, "invalid_arguments", "{name} {arguments}");
    }
    assert_eq!(sent(&platform, "../admin", json!({})).await.0, "not_found");
    assert_eq!(log(&platform), Vec::<String>::new());
}

#[tokio::test]
async fn extra_arguments_are_tolerated() {
    let platform = PlatformStub::start().await;
    let arguments = json!({ "query": "q", "thought": "hm", "collection": null });
    let lenient = ToolContext { strict: false, ..context() };
    let outcome = executor(&platform, &[]).run(&call("search_corpus", &arguments), &lenient).await;
    assert_eq!(word(&outcome), "ok");
    assert_eq!(log(&platform), [r#"POST /v1/search {"query":"q"}"#]);
}

/// With the taxonomy and the tiers of a session, what `name` sends.
async fn in_session(name: &str, arguments: Value) -> String {
    let platform = PlatformStub::newer().await;
    let session = ToolContext {
        taxonomy: Some("Sea_taxonomy".to_owned()),
        tier_filter: Some(vec![1, 2]),
        ..context()
    };
    let outcome = executor(&platform, &[]).run(&call(name, &arguments), &session).await;
    assert_eq!(word(&outcome), "ok", "{outcome:?}");
    log(&platform).remove(0)
}

#[tokio::test]
async fn session_context_fills_missing_arguments() {
    assert_eq!(
        in_session("semantic_search", json!({ "query": "q" })).await,
        r#"POST /v1/search {"query":"q","taxonomy":"Sea_taxonomy","tier_filter":[1,2]}"#
    );
    assert_eq!(
        in_session("search_corpus", json!({ "query": "q" })).await,
        r#"POST /v1/search {"query":"q","taxonomy":"Sea_taxonomy"}"#
    );
    assert_eq!(
        in_session("similar_chapters", json!({ "chapter_id": "c" })).await,
        r#"POST /v1/search/similar-chapters {"chapter_id":"c","taxonomy":"Sea_taxonomy","tier_filter":[1,2]}"#
    );
    assert!(
        in_session(
            "cross_reference",
            json!({ "book": "b", "chapter": 1, "title": "t", "tier": 1 })
        )
        .await
        .ends_with(r#","taxonomy_id":"Sea_taxonomy"}"#)
    );
}

#[tokio::test]
async fn model_arguments_override_session_context() {
    assert_eq!(
        in_session(
            "hybrid_search",
            json!({ "query": "q", "taxonomy": "Sky_taxonomy", "tier_filter": [3] })
        )
        .await,
        r#"POST /v1/search/hybrid {"query":"q","taxonomy":"Sky_taxonomy","tier_filter":[3]}"#
    );
}

#[tokio::test]
async fn service_result_is_returned_unchanged() {
    let platform = PlatformStub::newer().await;
    let outcome = run(&executor(&platform, &[]), "get_chunk", &json!({ "chunk_id": "c1" })).await;
    assert_eq!(
        outcome.unwrap().get(),
        r#"{"chunk_id":"c1","content":"The sea rises twice a day.","metadata":{}}"#
    );
}

#[tokio::test]
async fn common_tool_is_recognized_by_description() {
    let platform = PlatformStub::start().await;
    let executor = executor(&platform, &[]);
    let check = |name: &str, words: Option<&str>, parameters: Value, expected| {
        let known = executor.spec(name).unwrap();
        let ToolKind::Function(Function { description, .. }) = &known.kind else { panic!() };
        let words = words.or(description.as_deref()).unwrap();
        let described = ToolSpec::function(name, words, Json::of(&parameters));
        assert_eq!(executor.recognizes(&described), expected, "{name}: {words}");
    };
    let message = json!({ "properties": { "message": {} } });
    check("echo", None, message.clone(), true);
    check("echo", Some("Says it again."), message, false);
    check("echo", None, json!({ "properties": { "text": {} } }), false);
    let sum = json!({ "properties": { "a": {}, "b": {}, "operation": {} } });
    check("calculator", Some("Does sums."), sum, true);
    check("calculator", None, json!({ "properties": { "expression": {} } }), false);
    assert!(!executor.recognizes(&ToolSpec::function("none", "", Json::of(&json!({})))));
}

#[tokio::test]
async fn configured_tool_replaces_builtin() {
    let platform = PlatformStub::start().await;
    let tool: ToolSettings = serde_json::from_value(json!({
        "name": "echo",
        "description": "Says how alike two texts are.",
        "parameters": { "properties": { "a": {}, "b": {} } },
        "service": "code-orchestrator",
        "path": "/v1/similarity",
        "places": { "a": "text1", "b": "text2" },
    }))
    .unwrap();
    let outcome = run(&executor(&platform, &[tool]), "echo", &json!({ "a": "x", "b": "y" })).await;
    assert_eq!(word(&outcome), "ok");
    assert_eq!(log(&platform), [r#"POST /v1/similarity {"text1":"x","text2":"y"}"#]);
}
