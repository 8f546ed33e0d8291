//! `gateway-server import`: configurations of other gateways, and gateways that answer with them.

use gateway_tests::{Gateway, Setup, Upstream, openai, request};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs;

const TEAM: &str = include_str!("importing/team.yaml");
const BALANCED: &str = include_str!("importing/balanced.yaml");
const AZURE: &str = include_str!("importing/azure.yaml");
const PLATFORM: &str = include_str!("importing/platform.yaml");
const LOCAL: &str = include_str!("importing/local.yaml");
const REDIS: &str = include_str!("importing/redis.yaml");

/// A key that is strong enough for a caller.
const KEY: &str = "sk-2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da5";

/// The variables that the files name.
fn variables(upstream: &Upstream) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("OPENAI_BASE_URL", upstream.url()),
        ("ANTHROPIC_BASE_URL", upstream.url()),
        ("GEMINI_BASE_URL", upstream.url()),
        ("AZURE_EU_BASE", upstream.url()),
        ("LITELLM_MASTER_KEY", KEY.to_owned()),
    ];
    for name in [
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "AZURE_EU_KEY",
        "AZURE_US_KEY",
        "LAB_SECOND_KEY",
    ] {
        variables.push((name, format!("key-of-{name}")));
    }
    variables
}

/// Imports `yaml`; returns the configuration and the report.
async fn import(yaml: &str, upstream: &Upstream) -> (String, String) {
    let mut setup = Setup::new();
    for (name, value) in variables(upstream) {
        setup = setup.env(name, &value);
    }
    let workshop = setup.start().await;
    fs::write(workshop.home().join("litellm.yaml"), yaml).unwrap();
    let report = workshop.run_in_environment(&["import", "litellm.yaml", "--output", "new.toml"]);
    let toml = fs::read_to_string(workshop.home().join("new.toml"))
        .unwrap_or_else(|error| panic!("{error}: {report}"));
    assert!(report.ends_with("check: ok\n"), "{report}\n{toml}");
    let again = workshop.run_in_environment(&["import", "litellm.yaml", "--output", "new.toml"]);
    assert!(again.contains("cannot write new.toml"), "{again}");
    (toml, report)
}

/// A gateway with an imported configuration.
async fn start(toml: &str, upstream: &Upstream) -> Gateway {
    let mut setup = Setup::default()
        .write("server", "allowed_hosts", "[\"h\"]")
        .set("log", "format", "json")
        .append(toml);
    for (name, value) in variables(upstream) {
        setup = setup.env(name, &value);
    }
    setup.start().await
}

/// Asks `model`; returns the status and the model that the upstream was asked for.
async fn ask(gateway: &Gateway, upstream: &Upstream, key: &str, model: &str) -> (u16, String) {
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    let body = openai::ask(model, json!({}));
    let reply =
        gateway.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await;
    let asked = upstream.exchanges().last().map(|it| it.json()["model"].clone());
    let asked = asked.and_then(|model| model.as_str().map(str::to_owned)).unwrap_or_default();
    (reply.status(), asked)
}

#[track_caller]
fn reports(report: &str, settings: &[&str]) {
    for setting in settings {
        assert!(report.contains(&format!("  {setting}: ")), "{setting} is missing in {report}");
    }
}

#[tokio::test]
async fn small_team_is_imported_and_answers() {
    let upstream = Upstream::start().await;
    let (toml, report) = import(TEAM, &upstream).await;
    reports(&report, &["general_settings.master_key", "model_list[1].litellm_params.max_tokens"]);
    assert!(toml.contains("retry_max_attempts = 3") && toml.contains("total = \"120s\""), "{toml}");
    let gateway = start(&toml, &upstream).await;
    let (status, asked) = ask(&gateway, &upstream, KEY, "gpt-5-mini").await;
    assert_eq!((status, asked.as_str()), (200, "gpt-5-mini"));
    assert_eq!(ask(&gateway, &upstream, "sk-other", "gpt-5-mini").await.0, 401);
}

#[tokio::test]
async fn balanced_deployments_share_requests_and_fall_back() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let yaml = BALANCED
        .replace("http://vllm-a.internal:8000/v1", &first.url())
        .replace("http://vllm-b.internal:8000/v1", &second.url());
    let (toml, report) = import(&yaml, &first).await;
    reports(&report, &["router_settings.routing_strategy", "vllm"]);
    assert!(toml.contains("price = { input = 0.1, output = 0.4 }"), "{toml}");
    let gateway = start(&toml, &first).await;
    for model in ["qwen", "cheap", "qwen", "cheap", "qwen", "qwen", "qwen", "qwen"] {
        assert_eq!(ask(&gateway, &first, "", model).await.0, 200, "{model}");
    }
    assert!(!first.exchanges().is_empty());
    assert_eq!(first.exchanges().len() + second.exchanges().len(), 8);
    assert_eq!(ask(&gateway, &first, "", "hidden").await.0, 200);
}

#[tokio::test]
async fn azure_is_imported_and_missing_providers_are_reported() {
    let upstream = Upstream::start().await;
    let yaml = AZURE.replace("https://us-team.openai.azure.com/", &upstream.url());
    let (toml, report) = import(&yaml, &upstream).await;
    reports(
        &report,
        &[
            "model_list[2]",
            "general_settings.database_url",
            "general_settings.master_key",
            "litellm_settings.callbacks",
            "litellm_settings.cache",
            "model_list[0].litellm_params.api_base",
        ],
    );
    assert!(report.contains("`bedrock`") && !toml.contains("sk-1234"), "{report}{toml}");
    let gateway = start(&toml, &upstream).await;
    let (status, asked) = ask(&gateway, &upstream, "", "gpt-5").await;
    assert_eq!(status, 200);
    assert!(asked.starts_with("gpt-5-"), "{asked}");
}

#[tokio::test]
async fn exported_keys_keep_their_secret_limits_and_models() {
    let upstream = Upstream::start().await;
    let secret = "sk-exported-5f0c83a1d94e27b6";
    let hash = format!("{:x}", Sha256::digest(secret));
    let (toml, report) = import(&PLATFORM.replace("KEY_HASH", &hash), &upstream).await;
    reports(
        &report,
        &[
            "litellm_settings.default_key_generate_params",
            "litellm_settings.default_fallbacks",
            "general_settings.alerting",
            "model_list[0]",
            "model_list[1]",
            "keys[0].models",
            "keys[1]",
        ],
    );
    for line in [
        "requests_per_minute = 60",
        "tokens_per_minute = 100000",
        "max_concurrent = 5",
        "daily_budget_usd = \"12.5\"",
        "tenant = \"platform\"",
        "monthly_budget_usd = \"250\"",
    ] {
        assert!(toml.contains(line), "{line} is missing in {toml}");
    }
    let gateway = start(&toml, &upstream).await;
    assert_eq!(ask(&gateway, &upstream, secret, "fast").await, (200, "gpt-5-mini".to_owned()));
    assert_eq!(ask(&gateway, &upstream, secret, "gpt-5").await.0, 403);
    assert_eq!(ask(&gateway, &upstream, KEY, "openai/gpt-5").await, (200, "gpt-5".to_owned()));
}

#[tokio::test]
async fn local_servers_are_imported_with_keys_and_headers() {
    let upstream = Upstream::start().await;
    let yaml = LOCAL.replace("http://lab.internal:8000/v1", &upstream.url());
    let (toml, report) = import(&yaml, &upstream).await;
    reports(
        &report,
        &[
            "environment_variables",
            "model_list[1].litellm_params.api_key",
            "model_list[1].litellm_params.timeout",
        ],
    );
    assert!(
        toml.contains("strict = true") && toml.contains("organization = \"org-lab\""),
        "{toml}"
    );
    let gateway = start(&toml, &upstream).await;
    assert_eq!(ask(&gateway, &upstream, "", "phi").await, (200, "phi-4".to_owned()));
    let sent = upstream.exchanges().pop().unwrap();
    assert_eq!(sent.head.header("x-team"), Some("research"));
}

#[tokio::test]
async fn redis_and_keys_of_bare_names_are_imported() {
    let upstream = Upstream::start().await;
    let yaml = REDIS.replace("http://second.internal:11434", &upstream.url());
    let (toml, report) = import(&yaml, &upstream).await;
    reports(
        &report,
        &[
            "litellm_settings.cache_params.namespace",
            "general_settings.store_model_in_db",
            "model_list[1].litellm_params.api_key",
            "model_list[2].litellm_params.order",
            "model_list[4].litellm_params.api_key",
            "router_settings",
        ],
    );
    for line in [
        "redis_url = \"redis://:p%40ss%2Fword@cache.internal:6380\"",
        "api_key_envs = [\"GEMINI_API_KEY\", \"OPENAI_API_KEY\"]",
        "base_url = \"http://first.internal:11434\"",
    ] {
        assert!(toml.contains(line), "{line} is missing in {toml}");
    }
    assert!(!toml.contains("key-of-"), "{toml}");
    let toml = toml.replace("redis_url = ", "# ");
    let gateway = start(&toml, &upstream).await;
    let (status, asked) = ask(&gateway, &upstream, "", "bare").await;
    assert_eq!((status, asked.as_str()), (200, "gpt-5-mini"));
    let sent = upstream.exchanges().pop().unwrap();
    let key = sent.head.header("authorization").unwrap_or_default();
    assert!(key.starts_with("Bearer key-of-"), "{key}");
}

#[tokio::test]
async fn configurations_of_bifrost_and_portkey_are_imported() {
    let upstream = Upstream::start().await;
    let bifrost = json!({
        "providers": {
            "openai": {
                "keys": [{ "value": "env.OPENAI_API_KEY", "models": ["gpt-5-mini"], "weight": 1.0 }],
                "network_config": { "max_retries": 1, "default_request_timeout_in_seconds": 30 },
            },
            "bedrock": { "keys": [] },
        },
        "client": { "drop_excess_requests": false },
    });
    let (toml, report) = import(&bifrost.to_string(), &upstream).await;
    reports(&report, &["providers.bedrock", "client", "providers.openai.keys[0].models"]);
    let gateway = start(&toml, &upstream).await;
    assert_eq!(ask(&gateway, &upstream, "", "openai/gpt-5-mini").await.0, 200);
    let target = |model: &str, weight: f64| {
        json!({
            "provider": "openai", "api_key": "sk-portkey", "weight": weight,
            "override_params": { "model": model },
        })
    };
    let portkey = json!({
        "strategy": { "mode": "loadbalance" },
        "targets": [target("gpt-5-mini", 0.7), target("gpt-5", 0.3), { "virtual_key": "vk" }],
        "retry": { "attempts": 2 },
    });
    let (toml, report) = import(&portkey.to_string(), &upstream).await;
    reports(&report, &["targets[2]", "targets[0].api_key", "targets"]);
    let gateway = start(&toml, &upstream).await;
    assert_eq!(ask(&gateway, &upstream, "", "portkey").await.0, 200);
}

#[tokio::test]
async fn file_of_another_program_is_refused() {
    let workshop = Setup::new().start().await;
    for (text, expected) in [
        ("a: [1, ", "neither YAML nor JSON"),
        ("services: {web: {}}", "no configuration of LiteLLM"),
    ] {
        fs::write(workshop.home().join("x.yaml"), text).unwrap();
        let said = workshop.run(&["import", "x.yaml"]);
        assert!(said.contains(expected), "{said}");
    }
}
