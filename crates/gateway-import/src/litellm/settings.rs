//! The remaining settings of `LiteLLM`: retries, time-outs, cache, Redis, callbacks.

use crate::{
    Variables,
    document::{items, member, members, number, text, whole},
    draft::{Draft, quoted, variable},
};
use serde_json::Value;
use std::fmt::Write as _;

/// Settings that mean what the gateway does anyway, or that other modules read.
const SILENT: [&str; 19] = [
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "default_fallbacks",
    "model_group_alias",
    "routing_strategy",
    "master_key",
    "max_budget",
    "budget_duration",
    "default_key_generate_params",
    "redis_host",
    "redis_port",
    "redis_password",
    "redis_url",
    "cache",
    "cache_params",
    "drop_params",
    "enable_pre_call_checks",
    "telemetry",
];

/// Adds the settings of all sections.
pub(super) fn import(document: &Value, variables: Variables<'_>, draft: &mut Draft) {
    for section in ["litellm_settings", "router_settings", "general_settings"] {
        for (name, value) in members(document.get(section)) {
            let path = format!("{section}.{name}");
            if !value.is_null() && !SILENT.contains(&name.as_str()) {
                setting(name, value, &path, draft);
            }
        }
    }
    let empty = Value::Null;
    let settings = document.get("litellm_settings").unwrap_or(&empty);
    if settings.get("drop_params").and_then(Value::as_bool) == Some(false) {
        draft.set("routing", "strict", &true);
    }
    cache(settings, draft);
    for (place, path) in [
        (document.get("router_settings"), "router_settings"),
        (settings.get("cache_params"), "litellm_settings.cache_params"),
    ] {
        if let Some(place) = place {
            redis(place, path, variables, draft);
        }
    }
}

/// Adds one setting, or reports it.
fn setting(name: &str, value: &Value, path: &str, draft: &mut Draft) {
    let given = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let count = given.and_then(whole);
    match (name, count) {
        ("num_retries", _) => {
            let attempts = given.and_then(|it| whole(it + 1.0)).unwrap_or(1).min(10);
            draft.set("resilience", "retry_max_attempts", &attempts);
        }
        ("timeout" | "request_timeout", Some(seconds)) => {
            draft.set_timeouts(seconds, &["total", "stream_total"]);
        }
        ("allowed_fails", Some(fails)) => {
            draft.set("resilience", "circuit_breaker_failure_threshold", &fails.min(100));
        }
        ("cooldown_time", Some(seconds)) => {
            let seconds = quoted(&format!("{}s", seconds.min(600)));
            draft.set("resilience", "circuit_breaker_recovery_timeout", &seconds);
        }
        ("callbacks" | "success_callback" | "failure_callback" | "service_callback", _) => {
            callbacks(value, path, draft);
        }
        ("set_verbose" | "detailed_debug", _) if value == &Value::Bool(true) => {
            draft.set("log", "level", &quoted("debug"));
        }
        ("store_model_in_db", _) if value == &Value::Bool(true) => {
            let text = "models that were added while the proxy ran are not in this file";
            draft.report.missing(path, text);
        }
        ("set_verbose" | "detailed_debug" | "json_logs" | "store_model_in_db", _) => {}
        ("database_url" | "database_connection_pool_limit", _) => {
            let text = "no database is read; export keys with `/key/list?return_full_object=true` and \
                        import that file too";
            draft.report.missing(path, text);
        }
        ("alerting" | "alerting_threshold", _) => {
            let text = "alerts are those of Prometheus (deploy/) and `budgets.alert_webhook`";
            draft.report.missing(path, text);
        }
        _ => draft.report.missing(path, "no counterpart"),
    }
}

fn callbacks(value: &Value, path: &str, draft: &mut Draft) {
    for name in items(Some(value)).into_iter().filter_map(text) {
        match name.as_str() {
            "prometheus" => {}
            "otel" | "opentelemetry" => {
                draft.report.changed(path, "`otel`: set `tracing.endpoint`, or OTLP_ENDPOINT");
            }
            other => {
                let text = format!("`{other}`: the gateway has /metrics, OTLP and the request log");
                draft.report.missing(path, text);
            }
        }
    }
}

fn cache(settings: &Value, draft: &mut Draft) {
    if settings.get("cache").and_then(Value::as_bool) != Some(true) {
        return;
    }
    let path = "litellm_settings.cache_params";
    draft.set("cache", "enabled", &true);
    let Some(params) = settings.get("cache_params") else { return };
    let kind = member(params, "type").unwrap_or_default();
    if !["", "redis", "local", "disk"].contains(&kind.as_str()) {
        let text = format!("`{kind}`: responses are cached in the store of the gateway");
        draft.report.missing(format!("{path}.type"), text);
    }
    if let Some(seconds) = number(params, "ttl").and_then(whole) {
        draft.set("cache", "ttl", &quoted(&format!("{}s", seconds.min(2_592_000))));
    }
    for (name, _) in members(Some(params)).filter(|(name, _)| !is_read_cache_parameter(name)) {
        draft.report.missing(format!("{path}.{name}"), "no counterpart");
    }
    let text =
        "responses to requests with temperature 0, or with `x-gateway-cache: true`, are cached";
    draft.report.changed("litellm_settings.cache", text);
}

/// Whether a member of `cache_params` is taken over.
fn is_read_cache_parameter(name: &str) -> bool {
    let short = name.strip_prefix("redis_").unwrap_or(name);
    ["type", "ttl", "url", "host", "port", "password"].contains(&short)
}

/// Adds the address of Redis. A password in a variable stays out of the file.
fn redis(place: &Value, path: &str, variables: Variables<'_>, draft: &mut Draft) {
    let url = member(place, "redis_url").or_else(|| member(place, "url"));
    let host = member(place, "redis_host").or_else(|| member(place, "host"));
    let name =
        |short: &str| member(place, &format!("redis_{short}")).or_else(|| member(place, short));
    let url = url.or_else(|| {
        let (host, port) = (host?, name("port").unwrap_or_else(|| "6379".to_owned()));
        let resolve = |text: String| match variable(&text) {
            Some(variable) => variables(variable),
            None => Some(text),
        };
        let (host, port) = (resolve(host), resolve(port));
        let password = name("password");
        match (host, port, password) {
            (Some(host), Some(port), None) => Some(format!("redis://{host}:{port}")),
            (Some(host), Some(port), Some(password)) if variable(&password).is_none() => {
                Some(format!("redis://:{}@{host}:{port}", percent_encoded(&password)))
            }
            _ => Some("os.environ/REDIS_URL".to_owned()),
        }
    });
    match url {
        None => {}
        Some(url) if variable(&url).is_some() => {
            draft.report.changed(path, "set REDIS_URL in the environment of the gateway");
        }
        Some(url) => draft.set("store", "redis_url", &quoted(&url)),
    }
}

/// A text as the user information of an address holds it.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
