//! Forty wrong configurations: `check` and `serve` refuse each alike, naming place, value and remedy.

use gateway_tests::Setup;

/// A wrong configuration: its text, and what the message holds, of the place, the value and the
/// remedy.
struct Case(&'static str, &'static [&'static str]);

const CASES: [Case; 40] = [
    // Unknown names.
    Case("[sever]\nport = 1", &["sever", "did you mean `server`"]),
    Case("[server]\nprot = 1", &["server.prot", "did you mean `port`"]),
    Case("[cache]\nenable = true", &["cache.enable", "did you mean `enabled`"]),
    Case("[limits]\nrequest_per_minute = 5", &["limits", "did you mean `requests_per_minute`"]),
    Case("[[clients]]\nname = \"a\"\nkye = \"x\"", &["clients[0]", "did you mean `key`"]),
    Case("[providers.openai]\napi_kye = \"x\"", &["providers.openai", "did you mean `api_key`"]),
    // Values out of range or of the wrong type.
    Case("[server]\nport = 99999", &["server.port", "99999", "65535"]),
    Case("[server]\nport = \"eighty\"", &["server.port", "a whole number"]),
    Case("[limits]\nrequests_per_minute = 0", &["limits.requests_per_minute", "0", "from 1"]),
    Case("[resilience]\nretry_max_attempts = 99", &["retry_max_attempts", "99", "from 1 to 10"]),
    Case("[timeouts]\ntotal = \"soon\"", &["timeouts.total", "a duration"]),
    Case("[cache]\nenabled = \"maybe\"", &["cache.enabled", "maybe", "true or false"]),
    Case("[cache]\nttl = \"0s\"", &["cache.ttl", "0s", "from"]),
    Case("[server]\nhost = \"localhost:80\"", &["server.host", "IP address"]),
    Case("[server]\nmax_body_bytes = \"lots\"", &["server.max_body_bytes", "MiB"]),
    Case("[log]\nlevel = \"loud\"", &["log.level", "loud", "`debug`"]),
    Case("[log]\nformat = \"xml\"", &["log.format", "xml", "`json`"]),
    Case("[store]\nbackend = \"mysql\"", &["store.backend", "mysql", "`redis`"]),
    Case("[request_log]\nttl = \"1s\"", &["request_log.ttl", "1s", "from `60s`"]),
    Case("[request_log]\nmax_requests = 5", &["request_log.max_requests", "5", "from 100"]),
    Case("[budgets]\nunpriced = \"free\"", &["budgets.unpriced", "free", "`allow`"]),
    Case("[budgets]\nalert_thresholds = [150]", &["budgets.alert_thresholds", "1 to 100"]),
    // What does not lead anywhere.
    Case("[routing]\ndefault_provider = \"opnai\"", &["default_provider", "opnai", "`openai`"]),
    Case("[aliases]\na = \"b\"\nb = \"a\"", &["aliases.", "circular"]),
    Case("[aliases]\nfast = \"no-such-model\"", &["aliases.fast", "no-such-model"]),
    Case("[fallbacks]\n\"fake/echo\" = [\"no-such-model\"]", &["fallbacks", "no-such-model"]),
    Case("[fallbacks]\n\"fake/echo\" = []", &["fallbacks", "one to 15"]),
    Case("[[routes]]\nmodel = \"a\"", &["routes[0].targets", "is needed"]),
    Case("[[routes]]\nmodel = \"a\"\ntargets = [\"no-such\"]", &["routes[0]", "no-such"]),
    Case("[[models]]\nid = \"m\"\nprovider = \"lab\"", &["models[0].provider", "`lab`"]),
    Case(
        "[[models]]\nid = \"m\"\nprovider = \"openai\"\nprice = { input = 1 }",
        &["price", "output"],
    ),
    Case("[providers.lab]\nmodels = [\"m\"]", &["providers.lab", "base_url"]),
    Case(
        "[providers.lab]\nbase_url = \"lab:8000\"",
        &["providers.lab.base_url", "lab:8000", "https://host:port"],
    ),
    // Secrets and callers.
    Case("[[clients]]\nname = \"a\"", &["clients[0].key", "`key_sha256`"]),
    Case("[[clients]]\nname = \"a\"\nkey_env = \"NOT_SET\"", &["clients[0].key_env", "NOT_SET"]),
    Case("[server]\nhost = \"0.0.0.0\"", &["server.host", "LLM_GATEWAY_API_KEYS"]),
    Case("[admin]\nlisten = \"127.0.0.1:0\"", &["admin.token", "`token_sha256`"]),
    Case("[store]\nbackend = \"redis\"", &["store.redis_url", "REDIS_URL"]),
    Case("[store]\nredis_url = \"localhost:6379\"", &["store.redis_url", "redis://"]),
    // No TOML at all.
    Case("[server\nport = 1", &["gateway.toml:1:8", "expected `]`"]),
];

#[tokio::test]
async fn wrong_configuration_is_refused_alike_by_check_and_serve() {
    let workshop = Setup::new().start().await;
    let mut wrong = Vec::new();
    for Case(text, expected) in &CASES {
        std::fs::write(workshop.home().join("wrong.toml"), text).unwrap();
        let arguments = ["--config", "wrong.toml"];
        let check = workshop.output(&[&arguments[..], &["check"]].concat(), &[]);
        let serve = workshop.output(&[&arguments[..], &["serve"]].concat(), &[]);
        if (check.0, serve.0) != (Some(78), Some(78)) {
            wrong
                .push(format!("{text:?}: exit codes {:?} and {:?}: {}", check.0, serve.0, check.1));
            continue;
        }
        if check.1 != serve.1 {
            wrong.push(format!("{text:?}: {} is not {}", check.1, serve.1));
        }
        let message = check.1.replace("wrong.toml", "gateway.toml");
        for part in expected.iter().filter(|part| !message.contains(**part)) {
            wrong.push(format!("{text:?}: {part} is missing in {message}"));
        }
        if !message.contains("line") && !message.contains("gateway.toml:") {
            wrong.push(format!("{text:?}: no line in {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
