//! `router_settings`, and the fallbacks of `litellm_settings`.

use crate::{
    document::{items, member, members, text},
    draft::{Draft, RouteDraft},
};
use serde_json::Value;

/// Adds aliases and fallbacks.
pub(super) fn import(document: &Value, draft: &mut Draft) {
    let router = document.get("router_settings");
    aliases(router.and_then(|it| it.get("model_group_alias")), draft);
    for section in ["router_settings", "litellm_settings"] {
        let settings = document.get(section);
        for kind in ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"] {
            let list = settings.and_then(|it| it.get(kind));
            for (name, targets) in items(list).into_iter().flat_map(|item| members(Some(item))) {
                add_fallbacks(name, targets, kind, draft);
            }
        }
        let default = settings.and_then(|it| it.get("default_fallbacks"));
        if !items(default).is_empty() {
            let path = format!("{section}.default_fallbacks");
            let names: Vec<_> = draft.aliases.keys().chain(draft.routes.keys()).cloned().collect();
            for name in names {
                add_fallbacks(&name, default.unwrap_or(&Value::Null), "fallbacks", draft);
            }
            draft.report.changed(path, "written out for each name of model_list");
        }
    }
    if let Some(strategy) = router.and_then(|it| member(it, "routing_strategy"))
        && strategy != "simple-shuffle"
    {
        let text = format!("`{strategy}`: targets share requests at random, by weight");
        draft.report.changed("router_settings.routing_strategy", text);
    }
}

fn aliases(aliases: Option<&Value>, draft: &mut Draft) {
    for (name, target) in members(aliases) {
        let target = text(target).or_else(|| member(target, "model"));
        match target.map(|target| target.to_lowercase()) {
            Some(target) => {
                let target = draft.aliases.get(&target).cloned().unwrap_or(target);
                draft.aliases.insert(name.to_lowercase(), target);
            }
            None => draft
                .report
                .missing(format!("router_settings.model_group_alias.{name}"), "names no model"),
        }
    }
}

/// Adds the fallbacks of `name`, which becomes a route.
fn add_fallbacks(name: &str, targets: &Value, kind: &str, draft: &mut Draft) {
    let name = name.to_lowercase();
    if name == "*" {
        draft.report.missing(kind, "`*`: name the models, or import `default_fallbacks`");
        return;
    }
    let fallbacks: Vec<String> = items(Some(targets))
        .into_iter()
        .filter_map(|target| text(target).or_else(|| member(target, "model")))
        .flat_map(|target| resolved(&target.to_lowercase(), draft))
        .collect();
    let first = draft.aliases.remove(&name);
    let route = draft.routes.entry(name.clone()).or_insert_with(|| RouteDraft {
        targets: vec![(first.unwrap_or(name), 1.0)],
        ..RouteDraft::default()
    });
    for fallback in fallbacks {
        let is_there = route.targets.iter().any(|(target, _)| *target == fallback);
        if !is_there && !route.fallbacks.contains(&fallback) {
            route.fallbacks.push(fallback);
        }
    }
    route.on_content_filter |= kind == "content_policy_fallbacks";
}

/// The targets behind a name of the file: a route holds models, not other routes.
fn resolved(name: &str, draft: &Draft) -> Vec<String> {
    let targets = draft.targets_of(name);
    if targets.is_empty() { vec![name.to_owned()] } else { targets }
}
