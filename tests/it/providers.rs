//! Providers that nobody has heard of.

use gateway_tests::{Setup, Upstream};
use serde_json::{Value, json};

#[tokio::test]
async fn a_made_up_provider_is_configuration_alone() {
    let upstream = Upstream::start().await;
    let setup = Setup::new().provider("acme", &format!("{}/api/v9", upstream.url()));
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
