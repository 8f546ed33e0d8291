//! Unknown providers, and the status of providers.

use gateway_tests::{Script, Setup, Upstream};
use serde_json::{Value, json};

#[tokio::test]
async fn custom_provider_needs_only_configuration() {
    let upstream = Upstream::start().await;
    let setup =
        Setup::new().provider("acme", &format!("http://127.0.0.1:{}/api/v9", upstream.port()));
    let setup = setup.set("providers.acme", "api_key", "acme-key").write(
        "providers.acme",
        "models",
        r#"["roadrunner-*"]"#,
    );
    // It wants the older name of a bound.
    let gateway = setup.set("providers.acme", "quirks", "deepseek").start().await;
    for (model, sent) in [("acme/coyote", "coyote"), ("roadrunner-2", "roadrunner-2")] {
        let reply = gateway.ask(model, json!({ "max_completion_tokens": 5 })).await;
        assert_eq!((reply.status(), reply.header("x-gateway-provider")), (200, "acme"));
        let asked = upstream.last();
        assert_eq!(asked.head.word(1), "/api/v9/chat/completions");
        assert_eq!(asked.head.header("authorization"), Some("Bearer acme-key"));
        assert_eq!(
            (asked.json()["model"].as_str(), &asked.json()["max_tokens"]),
            (Some(sent), &json!(5))
        );
        assert_eq!(asked.json()["max_completion_tokens"], Value::Null);
    }
}

#[tokio::test]
async fn provider_list_reports_configuration_and_health() {
    let upstream = Upstream::start().await;
    let setup = Setup::tenacious().provider("lab", &upstream.url());
    let setup = setup.write("resilience", "retry_max_attempts", "1");
    let setup = setup.write("resilience", "circuit_breaker_failure_threshold", "1");
    let gateway = setup.start().await;
    let told = gateway.get("/v1/providers").await.json();
    assert_eq!(told["status"]["lab"], json!({ "configured": true, "healthy": true }));
    assert_eq!(told["status"]["anthropic"]["configured"], false);
    assert!(
        told["status"]["anthropic"]["reason"]
            .as_str()
            .is_some_and(|it| it.contains("ANTHROPIC_API_KEY"))
    );
    assert!(told["provider_names"].as_array().is_some_and(|names| names.contains(&json!("lab"))));
    upstream.next(Script::json(500, "{}"));
    assert_eq!(gateway.ask("lab/m", Value::Null).await.status(), 502);
    let told = gateway.get("/v1/providers").await.json();
    assert_eq!(told["status"]["lab"], json!({ "configured": true, "healthy": false }));
}
