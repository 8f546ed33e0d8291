//! `LiteLLM`'s virtual keys, as `/key/list?return_full_object=true` exports them. `LiteLLM` stores the
//! SHA-256 of a key, as the gateway does, so that callers keep theirs.

use crate::{
    document::{count, items, member, number, text},
    draft::{ClientDraft, ClientKeyDraft, Draft, LimitsDraft},
};
use serde_json::Value;

/// Adds a client for each key of `list`.
pub(crate) fn import(list: &Value, draft: &mut Draft) {
    for (at, entry) in items(Some(list)).into_iter().enumerate() {
        add(entry, &format!("keys[{at}]"), draft);
    }
}

fn add(entry: &Value, path: &str, draft: &mut Draft) {
    let hash = member(entry, "token")
        .filter(|hash| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let Some(hash) = hash else {
        draft.report.missing(path, "has no `token`, the SHA-256 of the key");
        return;
    };
    if entry.get("blocked").and_then(Value::as_bool) == Some(true) {
        draft.report.changed(path, "is blocked, and left out");
        return;
    }
    if let Some(expiry) = member(entry, "expires") {
        let text = format!("expires on {expiry}: remove it from gateway.toml then");
        draft.report.changed(format!("{path}.expires"), text);
    }
    let name = member(entry, "key_alias").or_else(|| member(entry, "user_id"));
    let name = name.unwrap_or_else(|| format!("key-{}", hash.get(..8).unwrap_or_default()));
    let tenant = member(entry, "team_alias").or_else(|| member(entry, "team_id"));
    let models: Vec<_> = items(entry.get("models")).into_iter().filter_map(text).collect();
    let is_all = |model: &String| ["all-proxy-models", "all-team-models"].contains(&model.as_str());
    let models = if models.iter().any(is_all) { Vec::new() } else { models };
    let models = with_targets(models, path, draft);
    let mut limits = LimitsDraft::new();
    for (setting, names) in [
        ("requests_per_minute", ["rpm_limit", "rpm"]),
        ("tokens_per_minute", ["tpm_limit", "tpm"]),
        ("max_concurrent", ["max_parallel_requests", "max_concurrent"]),
    ] {
        if let Some(limit) = names.iter().find_map(|name| count(entry, name)) {
            limits.insert(setting, limit.to_string());
        }
    }
    limits.extend(budget(entry, path, draft));
    let key = Some(ClientKeyDraft::Hash(hash.to_lowercase()));
    draft.clients.push(ClientDraft { name, key, tenant, models, limits });
}

/// Adds the models behind the names: the gateway admits a target only if the client may use it.
fn with_targets(names: Vec<String>, path: &str, draft: &mut Draft) -> Vec<String> {
    let behind: Vec<_> =
        names.iter().flat_map(|name| draft.targets_of(&name.to_lowercase())).collect();
    if !behind.is_empty() {
        let text = "the models behind the names are allowed too; a fallback needs its own entry";
        draft.report.changed(format!("{path}.models"), text);
    }
    let mut models = names;
    for target in behind {
        if !models.contains(&target) {
            models.push(target);
        }
    }
    models
}

/// Returns the budget of `max_budget` and `budget_duration`, as a setting and its value.
pub(crate) fn budget(
    entry: &Value,
    path: &str,
    draft: &mut Draft,
) -> Option<(&'static str, String)> {
    let dollars = number(entry, "max_budget").filter(|dollars| *dollars > 0.0)?;
    let duration = member(entry, "budget_duration");
    let setting = match duration.as_deref() {
        None => "total_budget_usd",
        Some("1d" | "24h" | "daily") => "daily_budget_usd",
        Some("7d" | "1w" | "weekly") => "weekly_budget_usd",
        Some("30d" | "31d" | "1mo" | "monthly") => "monthly_budget_usd",
        Some(other) => {
            let text = format!(
                "`{other}`: kept as a budget per month; budgets are per day, week, \
                                month, or in all"
            );
            draft.report.changed(format!("{path}.budget_duration"), text);
            "monthly_budget_usd"
        }
    };
    let amount = format!("{dollars:.9}");
    Some((setting, crate::draft::quoted(amount.trim_end_matches('0').trim_end_matches('.'))))
}
