//! Providers whose addresses have parameters and name the model, and whose key is in a header of its own:
//! Azure in both of its forms.

use gateway_tests::{Setup, Upstream, openai, request};
use serde_json::json;

/// A provider with the classic form of Azure's addresses at `upstream`.
fn classic(upstream: &Upstream) -> Setup {
    let base = format!("http://127.0.0.1:{}/openai/deployments/{{model}}", upstream.port());
    Setup::new()
        .provider("azure", &base)
        .set("providers.azure", "api_key", "azure-key")
        .set("providers.azure", "auth", "api-key")
        .write("providers.azure", "query", "{ \"api-version\" = \"2026-01-01\" }")
}

#[tokio::test]
async fn classic_address_names_the_deployment_and_the_version() {
    let upstream = Upstream::start().await;
    let gateway = classic(&upstream).start().await;
    let embed = json!({ "model": "azure/my embed", "input": "a" }).to_string();
    let image = json!({ "model": "azure/my-image", "prompt": "p" }).to_string();
    let version = "?api-version=2026-01-01";
    for (path, body, expected) in [
        ("/v1/chat/completions", openai::ask("azure/my-gpt", json!({})), "my-gpt/chat/completions"),
        ("/v1/embeddings", embed, "my%20embed/embeddings"),
        ("/v1/images/generations", image, "my-image/images/generations"),
    ] {
        gateway.send(request("POST", path, &[], body.as_bytes())).await;
        let sent = upstream.last();
        let expected = format!("/openai/deployments/{expected}{version}");
        assert_eq!(sent.head.word(1), expected);
        assert_eq!(sent.head.header("api-key"), Some("azure-key"));
        assert_eq!(sent.head.header("authorization"), None);
    }
    let reply = gateway.ask("azure/my-gpt", json!({})).await;
    assert_eq!(reply.status_and_code(), "200");
}

#[tokio::test]
async fn address_of_version_1_has_no_parameters() {
    let upstream = Upstream::start().await;
    let base = format!("http://127.0.0.1:{}/openai/v1", upstream.port());
    let gateway = Setup::new()
        .provider("azure", &base)
        .set("providers.azure", "api_key", "azure-key")
        .set("providers.azure", "auth", "api-key")
        .start()
        .await;
    assert_eq!(gateway.ask("azure/my-gpt", json!({})).await.status_and_code(), "200");
    let sent = upstream.last();
    assert_eq!(sent.head.word(1), "/openai/v1/chat/completions");
    assert_eq!(sent.json()["model"], "my-gpt");
    assert_eq!(sent.head.header("api-key"), Some("azure-key"));
}

#[tokio::test]
async fn model_that_is_no_segment_stays_in_its_place() {
    let upstream = Upstream::start().await;
    let gateway = classic(&upstream).start().await;
    for (model, segment) in [("..", "%2E%2E"), ("a/../b", "a%2F..%2Fb"), ("a?b#c", "a%3Fb%23c")] {
        gateway.ask(&format!("azure/{model}"), json!({})).await;
        let path = upstream.last().head.word(1).to_owned();
        assert!(path.starts_with(&format!("/openai/deployments/{segment}/chat/")), "{path}");
    }
}
