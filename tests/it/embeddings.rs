//! Vectors: their length, their numbers, and the tokens they cost.

use gateway_tests::{Gateway, Reply, Script, Setup, Upstream, request};
use serde_json::{Value, json};

async fn embed(gateway: &Gateway, body: &Value, headers: &[(&str, &str)]) -> Reply {
    let body = body.to_string();
    gateway.send(request("POST", "/v1/embeddings", headers, body.as_bytes())).await
}

fn answer(vector: &Value) -> Script {
    let data = json!([{ "object": "embedding", "index": 0, "embedding": vector }]);
    Script::json(200, json!({ "object": "list", "model": "m", "data": data }).to_string())
}

#[tokio::test]
async fn vector_has_the_requested_length_or_is_marked() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).start().await;
    let body = json!({ "model": "lab/embed", "input": "a", "dimensions": 3 });
    let strict = [("x-gateway-strict", "true")];
    for (vector, headers, expected, dropped) in [
        (json!([1, 2, 3]), &[][..], "200", ""),
        (json!([1, 2, 3]), &strict[..], "200", ""),
        (json!([1, 2, 3, 4]), &[], "502 upstream_invalid_response", ""),
        (json!([1, 2]), &[], "200", "dimensions"),
        (json!([1, 2]), &strict, "502 upstream_invalid_response", ""),
        // Three numbers of which one is none, in base64.
        (json!("AACAPwAAAEAAAMB/"), &[], "502 upstream_invalid_response", ""),
        (json!("AACAPwAAAEAAAEBA"), &[], "200", ""),
    ] {
        upstream.always(answer(&vector));
        let reply = embed(&gateway, &body, headers).await;
        let marked = reply.head.header("x-gateway-dropped").unwrap_or_default();
        assert_eq!((reply.status_and_code().as_str(), marked), (expected, dropped), "{vector}");
        if reply.status() == 200 && dropped.is_empty() {
            let numbers = reply.json()["data"][0]["embedding"].clone();
            let numbers: Vec<f64> = serde_json::from_value(numbers).unwrap();
            assert_eq!(numbers, [1.0, 2.0, 3.0]);
            assert_eq!(reply.header("x-gateway-estimated"), "true", "no usage was reported");
        }
    }
}

#[tokio::test]
async fn length_of_vectors_is_asked_for_by_the_providers_name() {
    let upstream = Upstream::start().await;
    upstream.always(answer(&json!([1, 2, 3])));
    let setup = Setup::new().provider("mistral", &upstream.url());
    let gateway = setup.set("providers.mistral", "api_key", "sk-upstream").start().await;
    let body = json!({ "model": "mistral/codestral-embed", "input": "a", "dimensions": 3 });
    assert_eq!(embed(&gateway, &body, &[]).await.status(), 200);
    let sent = upstream.last().json();
    assert_eq!((&sent["output_dimension"], sent.get("dimensions")), (&json!(3), None));
}
