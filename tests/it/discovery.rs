//! `/v1/models` and the local servers that it asks for theirs.

use gateway_tests::{Gateway, PATIENCE, Script, Setup, Upstream};
use serde_json::json;
use tokio::time::{self, Duration, Instant};

async fn ids(gateway: &Gateway) -> Vec<String> {
    let list = gateway.get("/v1/models?limit=1000").await.json();
    let models = list["data"].as_array().cloned().unwrap_or_default();
    models.iter().filter_map(|it| it["id"].as_str().map(str::to_owned)).collect()
}

/// Waits until the list has the model `id`.
async fn listed(gateway: &Gateway, id: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !ids(gateway).await.iter().any(|it| it == id) {
        assert!(Instant::now() < deadline, "{id} is not listed: {}", gateway.stdout());
        time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn silent_local_server_does_not_delay_the_list() {
    let local = Upstream::start().await;
    local.always(Script::new().stall());
    let gateway = Setup::new().provider("ollama", &local.url()).start().await;
    let begun = Instant::now();
    for _ in 0..20 {
        ids(&gateway).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(local.connections() <= 2, "the list of the server is cached: {}", local.connections());
}

#[tokio::test]
async fn models_of_a_local_server_are_cached() {
    let local = Upstream::start().await;
    local.always(Script::json(200, json!({ "models": [{ "name": "own:8b" }] }).to_string()));
    let gateway = Setup::new().provider("ollama", &local.url()).start().await;
    listed(&gateway, "ollama/own:8b").await;
    let asked = local.exchanges().len();
    for _ in 0..20 {
        assert!(ids(&gateway).await.iter().any(|it| it == "ollama/own:8b"));
    }
    assert_eq!(local.exchanges().len(), asked, "the server was asked for each list");
}
