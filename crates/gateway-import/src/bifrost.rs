//! Bifrost's `config.json`: providers with their keys.

use crate::{
    document::{items, member, members, whole},
    draft::{Draft, KeyReference},
    targets,
};
use serde_json::Value;

/// Adds the configuration in `document` to `draft`.
pub(crate) fn import(document: &Value, draft: &mut Draft) {
    for (name, entry) in members(document.get("providers")) {
        provider(name, entry, draft);
    }
    for (section, _) in members(Some(document)).filter(|(section, _)| *section != "providers") {
        draft.report.missing(section, "no counterpart");
    }
    targets::remove_usual(draft);
}

fn provider(name: &str, entry: &Value, draft: &mut Draft) {
    let path = format!("providers.{name}");
    let network = entry.get("network_config").unwrap_or(&Value::Null);
    let base = member(network, "base_url");
    let base_kind =
        entry.get("custom_provider_config").and_then(|custom| member(custom, "base_provider_type"));
    let known = targets::find(base_kind.as_deref().unwrap_or(name));
    let Some(known) = known else {
        draft.report.missing(path, "the gateway has no such provider; see docs/providers.md");
        return;
    };
    let name = match base {
        Some(base) => {
            let provider = draft.providers.entry(name.to_owned()).or_default();
            provider.base_url = Some(base);
            provider.kind = known.kind;
            name.to_owned()
        }
        None => known.name.to_owned(),
    };
    for (at, key) in items(entry.get("keys")).into_iter().enumerate() {
        if let Some(value) = member(key, "value").filter(|value| !value.is_empty()) {
            targets::add_key(draft, &name, KeyReference::read(&value));
        }
        if !items(key.get("models")).is_empty() {
            let text = "all keys of a provider take turns, for all of its models";
            draft.report.changed(format!("{path}.keys[{at}].models"), text);
        }
    }
    if let Some(retries) = network.get("max_retries").and_then(Value::as_f64) {
        let attempts = whole(retries + 1.0).unwrap_or(1).min(10);
        draft.set("resilience", "retry_max_attempts", &attempts);
    }
    let timeout = network.get("default_request_timeout_in_seconds").and_then(Value::as_f64);
    if let Some(seconds) = timeout.and_then(whole) {
        draft.set_timeouts(seconds, &["total"]);
    }
}
