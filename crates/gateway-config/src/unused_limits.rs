//! Warnings about limits that apply to no caller.

use super::{Config, clients::ConfiguredClient, limits::ClientLimits, printable::printable};

/// A default limit: its setting, whether clients with a key alone have it, and whether `limits` sets
/// it too.
type DefaultLimit = (&'static str, bool, fn(&ClientLimits) -> bool);

const DEFAULTS: [DefaultLimit; 8] = [
    ("requests_per_minute", false, |it| it.requests_per_minute.is_some()),
    ("burst", false, |it| it.requests_per_minute.is_some()),
    ("tokens_per_minute", false, |it| it.tokens_per_minute.is_some()),
    ("max_concurrent", true, |it| it.concurrent.is_some()),
    ("daily_budget_usd", true, |it| it.daily_budget.is_some()),
    ("weekly_budget_usd", true, |it| it.weekly_budget.is_some()),
    ("monthly_budget_usd", true, |it| it.monthly_budget.is_some()),
    ("total_budget_usd", true, |it| it.total_budget.is_some()),
];

/// Returns a warning for each limit that applies to no caller.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let defaults = DEFAULTS.iter().filter_map(|limit| unused_default(config, limit));
    let tenants = config.tenants.iter().filter_map(|tenant| unused_tenant(config, tenant.name()));
    defaults.chain(tenants).collect()
}

/// Why a written default applies to no caller.
fn unused_default(
    config: &Config,
    (setting, is_for_keys, has_own): &DefaultLimit,
) -> Option<String> {
    let key = format!("limits.{setting}");
    if !config.is_written(&key) {
        return None;
    }
    let reason = if !config.limits.enabled {
        "`limits.enabled` is false"
    } else if !config.needs_keys() {
        if !is_for_keys {
            return None;
        }
        "callers have no keys; configure [[clients]]"
    } else if !gives_keys(config) && config.clients.iter().all(|client| has_own(&client.limits)) {
        "every client has a limit of its own"
    } else {
        return None;
    };
    Some(format!("{key} applies to no caller: {reason}"))
}

fn unused_tenant(config: &Config, name: &str) -> Option<String> {
    let is_of_tenant = |client: &ConfiguredClient| client.tenant == name;
    let is_used = gives_keys(config) || config.clients.iter().any(is_of_tenant);
    (!is_used).then(|| {
        let name = printable(name);
        format!("the limits of tenant `{name}` apply to no caller: no client has this tenant")
    })
}

/// Whether keys can be given out while the gateway runs.
const fn gives_keys(config: &Config) -> bool {
    config.admin.listen.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let env = Environment::default();
        let config = Config::parse(Some(("gateway.toml", text)), &env).unwrap();
        let found = warnings(&config);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (warning, expected) in found.iter().zip(expected) {
            assert!(warning.starts_with(expected), "{warning}");
        }
    }

    const CLIENT: &str =
        "[[clients]]\nname = \"a\"\nkey = \"k-5f0c83a1d94e27b6c0e1a7f3925d8b46\"\n";

    #[test]
    fn limits_that_apply_to_no_caller_are_named() {
        check("[limits]\nrequests_per_minute = 5\n", &[]);
        check(
            "[limits]\ndaily_budget_usd = 5\n",
            &["limits.daily_budget_usd applies to no caller: callers have no keys"],
        );
        check(
            "[limits]\nenabled = false\nburst = 5\n",
            &["limits.burst applies to no caller: `limits.enabled` is false"],
        );
        check(&format!("[limits]\nmax_concurrent = 5\n{CLIENT}"), &[]);
        check(
            &format!("[limits]\nmax_concurrent = 5\n{CLIENT}max_concurrent = 2\n"),
            &["limits.max_concurrent applies to no caller: every client"],
        );
        let tenant = "[[tenants]]\nname = \"team\"\nrequests_per_minute = 5\n";
        check(&format!("{CLIENT}{tenant}"), &["the limits of tenant `team` apply to no caller"]);
        check(&format!("{CLIENT}tenant = \"team\"\n{tenant}"), &[]);
    }
}
