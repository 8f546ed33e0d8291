//! Taxonomies that users name in messages: recognized by the table, remembered, reported.

use gateway_tests::{
    Dialect, Gateway, Reply, ScriptedAnswer, Setup, Upstream, platform::PlatformStub, request,
};
use serde_json::{Value, json};

/// A gateway that knows three taxonomies, before an upstream and the platform.
struct TaxonomyBench {
    upstream: Upstream,
    platform: PlatformStub,
    gateway: Gateway,
    dialect: Dialect,
}

impl TaxonomyBench {
    async fn start(dialect: Dialect, platform: PlatformStub) -> Self {
        let upstream = Upstream::start().await;
        let setup = Setup::before(&upstream)
            .speaking("lab", dialect)
            .with_platform(&platform)
            .set("taxonomies.Security", "id", "security-2024")
            .write("taxonomies.Security", "aliases", "[\"cyber security\", \"infosec\"]")
            .write("taxonomies.AI-ML", "aliases", "[]")
            .set("taxonomies.Cloud", "id", "cloud-v1");
        Self { upstream, platform, gateway: setup.start().await, dialect }
    }

    /// The model searches once, then answers.
    fn script_search(&self) {
        let search = ("search_corpus", json!({ "query": "keys" }));
        self.upstream.next(self.dialect.says(&ScriptedAnswer::calls(&[search]), false));
        self.upstream.next(self.dialect.says(&ScriptedAnswer::text(&["Done."]), false));
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let headers = [("Content-Type", "application/json"), ("x-gateway-tools", "search_corpus")];
        let body = body.to_string();
        let reply = self.gateway.send(request("POST", path, &headers, body.as_bytes())).await;
        assert!(reply.status() < 300, "{}", reply.text());
        reply
    }

    /// Asks with a search; returns the taxonomy in the header, and that of the last search.
    async fn ask(&self, messages: &[Value]) -> (String, Value) {
        self.script_search();
        let body = json!({ "model": "lab/m", "messages": messages });
        let reply = self.post("/v1/chat/completions", &body).await;
        let reported = reply.header("x-gateway-taxonomy").to_owned();
        (reported, self.searched())
    }

    /// The taxonomy of the last search; `null` for none.
    fn searched(&self) -> Value {
        let asked = self.platform.semantic_search.asked();
        asked.last().map_or(Value::Null, |asked| asked.body["taxonomy"].clone())
    }
}

fn message(role: &str, text: &str) -> Value {
    json!({ "role": role, "content": text })
}

#[tokio::test]
async fn known_taxonomies_are_recognized_by_name_alias_and_id() {
    let bench = TaxonomyBench::start(Dialect::Chat, PlatformStub::newer().await).await;
    for (text, expected) in [
        ("find keys, use the AI-ML_taxonomy", "AI-ML_taxonomy"),
        ("find keys with the ai ml taxonomy", "AI-ML_taxonomy"),
        ("switch to Security", "security-2024"),
        ("apply the cyber security taxonomy", "security-2024"),
        ("taxonomy: INFOSEC", "security-2024"),
        ("please use the cloud-v1 taxonomy", "cloud-v1"),
        ("use the Security taxonomy. No: switch to Cloud.", "cloud-v1"),
    ] {
        let found = bench.ask(&[message("user", text)]).await;
        assert_eq!(found, (expected.to_owned(), json!(expected)), "{text}");
    }
}

#[tokio::test]
async fn negation_and_prose_select_no_taxonomy() {
    let bench = TaxonomyBench::start(Dialect::Chat, PlatformStub::newer().await).await;
    for text in [
        "don't use the Security taxonomy",
        "find keys without using the Security taxonomy",
        "how do I use the Security taxonomy?",
        "most teams use the Security taxonomy",
        "use the Biology taxonomy",
        "apply security patches",
    ] {
        let found = bench.ask(&[message("user", text)]).await;
        assert_eq!(found, (String::new(), Value::Null), "{text}");
    }
}

#[tokio::test]
async fn taxonomy_is_remembered_over_resent_history() {
    let bench = TaxonomyBench::start(Dialect::Chat, PlatformStub::newer().await).await;
    let mut messages = vec![
        message("user", "use the Security taxonomy"),
        message("assistant", "switch to Cloud"),
        message("user", "what are keys?"),
    ];
    let found = bench.ask(&messages).await;
    assert_eq!(found, ("security-2024".to_owned(), json!("security-2024")));
    messages.extend([message("assistant", "Keys."), message("user", "now switch to Cloud")]);
    assert_eq!(bench.ask(&messages).await.1, json!("cloud-v1"));
}

#[tokio::test]
async fn taxonomy_is_remembered_over_previous_responses() {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        let bench = TaxonomyBench::start(dialect, PlatformStub::newer().await).await;
        let mut previous = Value::Null;
        for text in ["use the Security taxonomy", "what are keys?", "and locks?"] {
            bench.script_search();
            let mut body = json!({ "model": "lab/m", "input": text });
            if !previous.is_null() {
                body["previous_response_id"] = previous;
            }
            let reply = bench.post("/v1/responses", &body).await;
            let case = format!("{text} over {}", dialect.name());
            assert_eq!(reply.header("x-gateway-taxonomy"), "security-2024", "{case}");
            assert_eq!(bench.searched(), json!("security-2024"), "{case}");
            previous = reply.json()["id"].clone();
        }
    }
}

#[tokio::test]
async fn taxonomy_is_reported_without_tools() {
    let bench = TaxonomyBench::start(Dialect::Chat, PlatformStub::newer().await).await;
    let body = json!({ "model": "lab/m", "messages": [message("user", "switch to Security")] });
    let body = body.to_string();
    let headers = [("Content-Type", "application/json")];
    let sent = request("POST", "/v1/chat/completions", &headers, body.as_bytes());
    let reply = bench.gateway.send(sent).await;
    assert_eq!(reply.header("x-gateway-taxonomy"), "security-2024", "{}", reply.text());
    assert_eq!(bench.upstream.last().text().matches("Security").count(), 1, "it is passed on");
}

#[tokio::test]
async fn session_context_may_name_a_taxonomy_by_alias() {
    let bench = TaxonomyBench::start(Dialect::Chat, PlatformStub::newer().await).await;
    let created =
        bench.post("/v1/sessions", &json!({ "context": { "taxonomy": "infosec" } })).await;
    let id = created.json()["id"].clone();
    let body =
        json!({ "name": "search_corpus", "arguments": { "query": "keys" }, "session_id": id });
    let reply = bench.post("/v1/tools/execute", &body).await;
    assert_eq!(reply.header("x-gateway-taxonomy"), "security-2024");
    assert_eq!(bench.searched(), json!("security-2024"));
}

#[tokio::test]
async fn service_that_refuses_taxonomies_is_not_asked_twice_each_time() {
    let bench = TaxonomyBench::start(Dialect::Chat, PlatformStub::start().await).await;
    for _ in 0..3 {
        let (reported, searched) = bench.ask(&[message("user", "switch to Security")]).await;
        assert_eq!((reported.as_str(), searched), ("security-2024", Value::Null));
    }
    let asked = bench.platform.semantic_search.asked();
    let with_taxonomy = asked.iter().filter(|it| !it.body["taxonomy"].is_null()).count();
    assert_eq!((asked.len(), with_taxonomy), (4, 1), "one refusal, three searches");
}

#[tokio::test]
async fn taxonomies_with_names_that_read_alike_are_rejected() {
    let (code, said) = Setup::new()
        .set("taxonomies.Cloud", "id", "a")
        .write("taxonomies.Other", "aliases", "[\"cloud taxonomy\"]")
        .refused()
        .await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("`cloud taxonomy` reads like a name of `a`"), "{said}");
}
