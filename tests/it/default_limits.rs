//! Default limits: `[limits]` for every client that has none of the kind.

use gateway_tests::{Gateway, OperatedGateway, Reply, Setup, Upstream, openai, request};
use serde_json::json;

async fn chat(gateway: &Gateway, key: &str) -> Reply {
    let body = openai::ask("m", json!({ "max_tokens": 3 }));
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await
}

fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .write("limits", "enabled", "true")
        .write("limits", "requests_per_minute", "3")
        .client("plain", "sk-plain")
        .second_client("generous", "sk-generous", &[("requests_per_minute", "100")])
}

#[tokio::test]
async fn default_limits_apply_to_clients_and_keys_without_their_own() {
    let upstream = Upstream::start().await;
    let bench = OperatedGateway::start(setup(&upstream)).await;
    let (issued, _) = bench.key(json!({ "client": "issued" })).await;
    let (loose, _) = bench.key(json!({ "client": "loose", "requests_per_minute": 50 })).await;
    for key in ["sk-plain", &issued] {
        for _ in 0..3 {
            assert_eq!(chat(&bench.gateway, key).await.status(), 200, "{key}");
        }
        let refused = chat(&bench.gateway, key).await;
        assert_eq!(refused.status_and_code(), "429 rate_limit_exceeded", "{key}");
    }
    for key in ["sk-generous", &loose] {
        for _ in 0..5 {
            assert_eq!(chat(&bench.gateway, key).await.status(), 200, "{key}");
        }
    }
}

#[tokio::test]
async fn default_budget_applies_to_each_client_and_is_in_the_headers() {
    let upstream = Upstream::start().await;
    let gateway = setup(&upstream)
        .write("limits", "requests_per_minute", "1000")
        .write("limits", "daily_budget_usd", "3.8")
        .second_client("rich", "sk-rich", &[("daily_budget_usd", "100")])
        .start()
        .await;
    // A request costs 1.3, and reserves 2.4 while it runs.
    for (key, left) in [("sk-plain", "0.1"), ("sk-generous", "0.1"), ("sk-rich", "96.3")] {
        chat(&gateway, key).await;
        let second = chat(&gateway, key).await;
        assert_eq!(second.status(), 200, "{}", second.text());
        assert_eq!(second.header("x-gateway-budget-remaining-usd"), left, "{key}");
    }
    let refused = chat(&gateway, "sk-plain").await;
    assert_eq!(refused.status_and_code(), "429 budget_exceeded");
    assert_eq!(chat(&gateway, "sk-rich").await.status(), 200);
}

#[tokio::test]
async fn changed_defaults_reach_known_virtual_keys() {
    let upstream = Upstream::start().await;
    let setup = setup(&upstream);
    let bench = OperatedGateway::start(setup).await;
    let (issued, _) = bench.key(json!({ "client": "issued" })).await;
    for _ in 0..3 {
        assert_eq!(chat(&bench.gateway, &issued).await.status(), 200);
    }
    assert_eq!(chat(&bench.gateway, &issued).await.status(), 429);
    let path = bench.gateway.home().join("gateway.toml");
    let text = std::fs::read_to_string(path).unwrap();
    bench.gateway.write(&text.replace("requests_per_minute = 3\n", "requests_per_minute = 6000\n"));
    bench.gateway.signal("HUP");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(15);
    while chat(&bench.gateway, &issued).await.status() != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the new default does not apply");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn limit_that_applies_to_no_caller_is_a_warning() {
    let workshop = Setup::new().start().await;
    std::fs::write(
        workshop.home().join("unused.toml"),
        "[limits]\ndaily_budget_usd = 5\n[[tenants]]\nname = \"team\"\nmax_concurrent = 2\n",
    )
    .unwrap();
    let said = workshop.run(&["--config", "unused.toml", "check"]);
    assert!(said.contains("warning: limits.daily_budget_usd applies to no caller"), "{said}");
    assert!(said.contains("warning: the limits of tenant `team` apply to no caller"), "{said}");
    assert!(said.ends_with("ok\n"), "{said}");
}
