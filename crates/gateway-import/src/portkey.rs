//! Portkey's configs: a strategy, and targets.

use crate::{
    document::{items, member, number},
    draft::{Draft, KeyReference, RouteDraft, variable},
    targets,
};
use serde_json::Value;

/// The name of the route: a config has none.
const NAME: &str = "portkey";

/// Adds the configuration in `document` to `draft`.
pub(crate) fn import(document: &Value, draft: &mut Draft) {
    let mode = document.get("strategy").and_then(|strategy| member(strategy, "mode"));
    let mut route = RouteDraft::default();
    for (at, target) in items(document.get("targets")).into_iter().enumerate() {
        add(target, &format!("targets[{at}]"), (&mut route, &mut *draft));
    }
    match mode.as_deref() {
        Some("loadbalance") => route.is_balanced = true,
        None | Some("fallback" | "single") => {}
        Some(other) => {
            let text = format!("`{other}`: the targets are tried in order");
            draft.report.missing("strategy.mode", text);
        }
    }
    if let Some(attempts) = document.get("retry").and_then(|retry| number(retry, "attempts")) {
        let attempts = crate::document::whole(attempts + 1.0).unwrap_or(1).min(10);
        draft.set("resilience", "retry_max_attempts", &attempts);
    }
    if document.get("cache").is_some() {
        draft.set("cache", "enabled", &true);
        draft.report.changed("cache", "responses to requests with temperature 0 are cached");
    }
    for section in ["before_request_hooks", "after_request_hooks", "input_guardrails"] {
        if document.get(section).is_some() {
            draft.report.missing(section, "the gateway does not judge content");
        }
    }
    if !route.targets.is_empty() {
        draft.report.changed("targets", format!("callers ask for the model `{NAME}`"));
        draft.routes.insert(NAME.to_owned(), route);
    }
    targets::remove_usual(draft);
}

/// Adds a target, or the targets of a nested strategy in its place.
fn add(target: &Value, path: &str, (route, draft): (&mut RouteDraft, &mut Draft)) {
    let nested = items(target.get("targets"));
    if !nested.is_empty() {
        draft.report.changed(path, "nested targets stand in the place of their group");
        for (at, target) in nested.into_iter().enumerate() {
            add(target, &format!("{path}.targets[{at}]"), (&mut *route, &mut *draft));
        }
        return;
    }
    let model = target.get("override_params").and_then(|params| member(params, "model"));
    let provider = member(target, "provider");
    let (Some(provider), Some(model)) = (provider, model) else {
        let text = "needs `provider` and `override_params.model`; virtual keys are not resolved";
        draft.report.missing(path, text);
        return;
    };
    let base = member(target, "custom_host");
    let provider = provider.trim_start_matches('@');
    let name = match (targets::find(provider), base) {
        (Some(known), None) => known.name.to_owned(),
        (Some(known), Some(base)) => targets::provider_at(draft, &base, known.kind),
        (None, Some(base)) => targets::provider_at(draft, &base, None),
        (None, None) => {
            draft.report.missing(path, format!("the gateway has no provider like `{provider}`"));
            return;
        }
    };
    if let Some(key) = member(target, "api_key") {
        if variable(&key).is_none() {
            draft.report.changed(format!("{path}.api_key"), "stands in gateway.toml");
        }
        targets::add_key(draft, &name, KeyReference::read(&key));
    }
    let weight = number(target, "weight").filter(|weight| *weight > 0.0).unwrap_or(1.0);
    route.targets.push((format!("{name}/{model}"), weight));
}
