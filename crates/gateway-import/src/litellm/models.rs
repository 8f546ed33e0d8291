//! `model_list`: names, and the deployments behind them.

use super::deployment::{self, Deployment};
use crate::{
    Variables,
    document::{items, member},
    draft::{Draft, RouteDraft},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Adds the models of `list`.
pub(super) fn import(list: Option<&Value>, variables: Variables<'_>, draft: &mut Draft) {
    let mut groups: BTreeMap<String, Vec<Deployment>> = BTreeMap::new();
    for (at, entry) in items(list).into_iter().enumerate() {
        let path = format!("model_list[{at}]");
        let Some(name) = member(entry, "model_name") else {
            draft.report.missing(path, "has no `model_name`");
            continue;
        };
        let Some(deployment) = deployment::read(entry, &path, variables, draft) else { continue };
        if name.contains('*') {
            report_wildcard(&name, &deployment.target, &path, draft);
        } else {
            groups.entry(name.to_lowercase()).or_default().push(deployment);
        }
    }
    for (name, deployments) in groups {
        add(name, deployments, draft);
    }
}

/// Adds a name: an alias for one target, a route for several.
fn add(name: String, deployments: Vec<Deployment>, draft: &mut Draft) {
    let mut route = RouteDraft::default();
    for Deployment { target, share } in deployments {
        let share = share.unwrap_or(1.0);
        match route.targets.iter_mut().find(|(known, _)| *known == target) {
            // The same model with another key: the provider's keys take turns.
            Some((_, shares)) => *shares += share,
            None => route.targets.push((target, share)),
        }
    }
    match &*route.targets {
        [(target, _)] if target.eq_ignore_ascii_case(&name) => {}
        [(target, _)] => {
            draft.aliases.insert(name, target.clone());
        }
        _ => {
            // Several deployments without weights share the requests alike.
            route.is_balanced = true;
            draft.routes.insert(name, route);
        }
    }
}

fn report_wildcard(name: &str, target: &str, path: &str, draft: &mut Draft) {
    let text = match target.strip_suffix("/*") {
        _ if name == target => {
            format!("`{name}` needs no entry: the prefix reaches all models of the provider")
        }
        Some(provider) if name == "*" => {
            draft.set("routing", "default_provider", &crate::draft::quoted(provider));
            format!("names that nothing else matches go to `{provider}`")
        }
        _ => format!("`{name}`: callers name the models by `{target}`, with the provider's prefix"),
    };
    draft.report.changed(path, text);
}
