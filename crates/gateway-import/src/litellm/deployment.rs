//! A deployment of `model_list`: its provider and its model.

use crate::{
    Variables,
    document::{count, member, members, number, text},
    draft::{Draft, KeyReference, variable},
    targets::{self, KnownProvider},
};
use serde_json::Value;

/// A deployment that the gateway can serve.
pub(super) struct Deployment {
    /// The target: provider and model.
    pub(super) target: String,
    /// Its share of the requests, if the file gives one.
    pub(super) share: Option<f64>,
}

/// Parameters of a deployment that are read; others are reported.
const READ: [&str; 14] = [
    "model",
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "organization",
    "extra_headers",
    "custom_llm_provider",
    "weight",
    "rpm",
    "tpm",
    "drop_params",
    "input_cost_per_token",
    "output_cost_per_token",
];

/// Reads the deployment `entry`, which the file has at `path`.
pub(super) fn read(
    entry: &Value,
    path: &str,
    variables: Variables<'_>,
    draft: &mut Draft,
) -> Option<Deployment> {
    let empty = Value::Null;
    let params = entry.get("litellm_params").unwrap_or(&empty);
    let Some(model) = member(params, "model") else {
        draft.report.missing(path, "has no `litellm_params.model`");
        return None;
    };
    let (provider, model) = split(params, &model);
    let target = match provider {
        None => {
            report_unattributed(params, &model, path, draft);
            model.clone()
        }
        Some(provider) => {
            let name = provider_name(&provider, params, path, (variables, &mut *draft))?;
            let model = model.strip_prefix("v1/").unwrap_or(&model);
            add_facts(entry, &name, model, draft);
            format!("{name}/{model}")
        }
    };
    report_unread(params, path, draft);
    let share = number(params, "weight")
        .or_else(|| number(params, "rpm"))
        .or_else(|| number(params, "tpm"))
        .filter(|share| *share > 0.0);
    Some(Deployment { target, share })
}

/// The provider and the model of `openai/gpt-5`; a bare name has the provider of its family, if it is
/// of a known one.
fn split(params: &Value, model: &str) -> (Option<String>, String) {
    if let Some(provider) = member(params, "custom_llm_provider") {
        let bare = model.strip_prefix(&format!("{provider}/")).unwrap_or(model);
        return (Some(provider), bare.to_owned());
    }
    let has_base = params.get("api_base").or_else(|| params.get("base_url")).is_some();
    match model.split_once('/') {
        Some((provider, rest)) => (Some(provider.to_owned()), rest.to_owned()),
        None if has_base => (Some("openai".to_owned()), model.to_owned()),
        None => (family(model).map(str::to_owned), model.to_owned()),
    }
}

/// The provider whose models have names like `model`.
fn family(model: &str) -> Option<&'static str> {
    const FAMILIES: [(&str, &str); 9] = [
        ("claude-", "anthropic"),
        ("gpt-", "openai"),
        ("chatgpt-", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4-", "openai"),
        ("text-embedding-", "openai"),
        ("whisper-", "openai"),
        ("tts-", "openai"),
    ];
    FAMILIES.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, provider)| *provider)
}

/// Reports what belongs to a provider where the file names none.
fn report_unattributed(params: &Value, model: &str, path: &str, draft: &mut Draft) {
    for name in ["api_key", "organization", "extra_headers"] {
        if params.get(name).is_some_and(|value| !value.is_null()) {
            let text = format!("`{model}` names no provider: add it to [providers]");
            draft.report.missing(format!("{path}.litellm_params.{name}"), text);
        }
    }
}

/// Returns the gateway's name of a deployment's provider, and adds what it needs.
fn provider_name(
    provider: &str,
    params: &Value,
    path: &str,
    (variables, draft): (Variables<'_>, &mut Draft),
) -> Option<String> {
    let base = params.get("api_base").or_else(|| params.get("base_url")).and_then(text);
    let base = base.map(|base| resolved(&base, path, (variables, &mut *draft)));
    let known = targets::find(provider);
    let name = match (known, base) {
        _ if provider == "azure" => {
            let base = base_of_azure(params, path, (variables, &mut *draft))?;
            targets::provider_at(draft, &base, None)
        }
        (Some(known), None) => known.name.to_owned(),
        (Some(known), Some(base)) if is_own_address(known, &base, draft) => {
            draft.providers.entry(known.name.to_owned()).or_default().base_url = Some(base);
            known.name.to_owned()
        }
        (Some(known), Some(base)) => targets::provider_at(draft, &base, known.kind),
        (None, Some(base)) if targets::is_compatible(provider) => {
            targets::provider_at(draft, &base, None)
        }
        (None, None) if targets::is_compatible(provider) => {
            draft.report.missing(path, format!("`{provider}` needs an `api_base`"));
            return None;
        }
        (None, _) => {
            let text =
                format!("the gateway has no provider like `{provider}`; see docs/providers.md");
            draft.report.missing(path, text);
            return None;
        }
    };
    if let Some(key) = member(params, "api_key").filter(|key| !is_dummy(key)) {
        let key = KeyReference::read(&key);
        if matches!(key, KeyReference::Literal(_)) {
            let text = "the key stands in gateway.toml; prefer `api_key_env`";
            draft.report.changed(format!("{path}.litellm_params.api_key"), text);
        }
        if targets::add_key(draft, &name, key) > 1 {
            let text = format!("all keys of `{name}` take turns, for all of its models");
            draft.report.changed(format!("{path}.litellm_params.api_key"), text);
        }
    }
    if let Some(organization) = member(params, "organization") {
        draft.providers.entry(name.clone()).or_default().organization = Some(organization);
    }
    for (header, value) in members(params.get("extra_headers")) {
        if let Some(value) = text(value) {
            let provider = draft.providers.entry(name.clone()).or_default();
            provider.headers.insert(header.clone(), value);
        }
    }
    Some(name)
}

/// Whether the known provider itself is at `base`: at its own address, or at the only one of a server
/// that runs anywhere.
fn is_own_address(known: KnownProvider, base: &str, draft: &Draft) -> bool {
    let other = draft.providers.get(known.name).and_then(|it| it.base_url.as_deref());
    let is_own = known.name == "ollama" || base.contains(&format!("//api.{}.", known.name));
    is_own && other.is_none_or(|other| other == base)
}

/// The address of Azure's API that is compatible with `OpenAI`'s.
fn base_of_azure(
    params: &Value,
    path: &str,
    (variables, draft): (Variables<'_>, &mut Draft),
) -> Option<String> {
    let Some(base) = member(params, "api_base") else {
        draft.report.missing(path, "`azure` needs an `api_base`");
        return None;
    };
    let base = resolved(&base, path, (variables, &mut *draft));
    let text = "Azure is reached over its API version `v1`, without `api_version`; the model name is \
                that of the deployment";
    draft.report.changed(format!("{path}.litellm_params.api_version"), text);
    let host = base.trim_end_matches('/');
    Some(if host.ends_with("/v1") { host.to_owned() } else { format!("{host}/openai/v1") })
}

/// The address in `text`, or in the variable that it refers to.
fn resolved(text: &str, path: &str, (variables, draft): (Variables<'_>, &mut Draft)) -> String {
    let Some(name) = variable(text) else { return text.trim_end_matches('/').to_owned() };
    let setting = format!("{path}.litellm_params.api_base");
    if let Some(value) = variables(name) {
        draft.report.changed(setting, format!("replaced by the value of {name}"));
        return value.trim_end_matches('/').to_owned();
    }
    let note = format!("{name} is not set: replace the placeholder in gateway.toml");
    draft.report.changed(setting, note);
    format!("http://{}.invalid/v1", name.to_ascii_lowercase().replace('_', "-"))
}

/// Whether a key stands for none, as for servers that need none.
fn is_dummy(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["none", "null", "empty", "dummy", "fake", "fake-key", "no-key", "na", "sk-none", "sk-fake"]
        .contains(&key.as_str())
}

/// Adds what `model_info` says about the model.
fn add_facts(entry: &Value, provider: &str, model: &str, draft: &mut Draft) {
    let empty = Value::Null;
    let info = entry.get("model_info").unwrap_or(&empty);
    let params = entry.get("litellm_params").unwrap_or(&empty);
    let mut facts = crate::draft::ModelDraft::default();
    let price = |name: &str| number(info, name).or_else(|| number(params, name));
    if let (Some(input), Some(output)) =
        (price("input_cost_per_token"), price("output_cost_per_token"))
    {
        let million = |price: f64| decimal(price * 1e6);
        let table = format!("{{ input = {}, output = {} }}", million(input), million(output));
        facts.facts.insert("price", table);
    }
    for (fact, names) in [
        ("context_window", ["max_input_tokens", "max_tokens"]),
        ("max_output", ["max_output_tokens", "max_output_tokens"]),
    ] {
        if let Some(tokens) = names.iter().find_map(|name| count(info, name)) {
            facts.facts.insert(fact, tokens.to_string());
        }
    }
    for (fact, name) in [("tools", "supports_function_calling"), ("vision", "supports_vision")] {
        if let Some(flag) = info.get(name).and_then(Value::as_bool) {
            facts.facts.insert(fact, flag.to_string());
        }
    }
    if member(info, "mode").as_deref() == Some("embedding") {
        facts.facts.insert("embeddings", "true".to_owned());
    }
    let is_pattern = model.contains('*');
    if !facts.facts.is_empty() && !is_pattern {
        draft.models.insert((provider.to_owned(), model.to_owned()), facts);
    }
}

/// A number of dollars as TOML writes it, without an exponent.
fn decimal(number: f64) -> String {
    let text = format!("{number:.6}");
    let text = text.trim_end_matches('0');
    if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
}

fn report_unread(params: &Value, path: &str, draft: &mut Draft) {
    for (name, value) in members(Some(params)) {
        if !READ.contains(&name.as_str()) && !value.is_null() {
            let text = match name.as_str() {
                "timeout" | "stream_timeout" => {
                    "time-outs are those of [timeouts], for all providers"
                }
                "max_retries" | "num_retries" => "retries are those of [resilience]",
                "order" => {
                    "targets share requests by weight; for an order, write a list in [[routes]]"
                }
                _ => "no counterpart: parameters come from the caller",
            };
            draft.report.missing(format!("{path}.litellm_params.{name}"), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_written_without_an_exponent() {
        assert_eq!(decimal(0.15), "0.15");
        assert_eq!(decimal(2.0), "2.0");
        assert_eq!(decimal(0.000_05), "0.00005");
    }

    #[test]
    fn bare_names_have_the_provider_of_their_family() {
        let split = |model: &str| split(&Value::Null, model).0;
        assert_eq!(split("gpt-5-mini").as_deref(), Some("openai"));
        assert_eq!(split("claude-opus-4-5").as_deref(), Some("anthropic"));
        assert_eq!(split("groq/gpt-oss").as_deref(), Some("groq"));
        assert_eq!(split("qwen3"), None);
    }
}
