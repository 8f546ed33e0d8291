//! The names of limits in logs and metrics: the settings that set them.

use gateway_core::state::Refusal;
use std::borrow::Cow;

/// The name of the limit behind `refusal`: `requests_per_minute`, `daily_budget_usd/gpt-*`, and
/// `tenant/max_concurrent` for a limit of the tenant.
pub(crate) fn of_refusal(refusal: &Refusal, is_of_tenant: bool) -> Cow<'static, str> {
    let (setting, name): (_, &str) = match refusal {
        Refusal::Rate { name, .. } | Refusal::TooLarge { name } if name.starts_with("tokens") => {
            ("tokens_per_minute", name)
        }
        Refusal::Rate { name, .. } | Refusal::TooLarge { name } => ("requests_per_minute", name),
        Refusal::Slots { name } => ("max_concurrent", name),
        Refusal::Unknown { name } if name.is_empty() => return Cow::Borrowed("budget"),
        Refusal::Budget { name } | Refusal::Unknown { name } => {
            return of_budget(name, is_of_tenant);
        }
    };
    named(setting, name, is_of_tenant)
}

/// The name of the setting of the budget called `name`.
pub(crate) fn of_budget(name: &str, is_of_tenant: bool) -> Cow<'static, str> {
    // As the spans of periods are named: `2026-11-30`, `2026-W49`, `2026-11`, `total`.
    let span = name.split('/').next().unwrap_or_default();
    let setting = match span.matches('-').count() {
        0 => "total_budget_usd",
        1 if span.contains('W') => "weekly_budget_usd",
        1 => "monthly_budget_usd",
        _ => "daily_budget_usd",
    };
    named(setting, name, is_of_tenant)
}

/// The setting with its owner, and the models that `name` has behind its slash.
fn named(setting: &'static str, name: &str, is_of_tenant: bool) -> Cow<'static, str> {
    let owner = if is_of_tenant { "tenant/" } else { "" };
    match (owner, name.split_once('/')) {
        ("", None) => Cow::Borrowed(setting),
        (owner, None) => format!("{owner}{setting}").into(),
        (owner, Some((_, models))) => format!("{owner}{setting}/{models}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[track_caller]
    fn check(refusal: &Refusal, is_of_tenant: bool, expected: &str) {
        assert_eq!(of_refusal(refusal, is_of_tenant), expected);
    }

    #[test]
    fn refusal_names_the_setting_of_its_limit() {
        let rate = |name: &str| Refusal::Rate { name: name.into(), retry_after: Duration::ZERO };
        check(&rate("requests"), false, "requests_per_minute");
        check(&rate("tokens/gpt-*"), false, "tokens_per_minute/gpt-*");
        check(&Refusal::TooLarge { name: "tokens".into() }, true, "tenant/tokens_per_minute");
        check(&Refusal::Slots { name: "all".into() }, false, "max_concurrent");
        let budget = |name: &str| Refusal::Budget { name: name.into() };
        check(&budget("2026-11-30"), false, "daily_budget_usd");
        check(&budget("2026-W49"), true, "tenant/weekly_budget_usd");
        check(&budget("2026-11/claude-*"), false, "monthly_budget_usd/claude-*");
        check(&budget("total"), false, "total_budget_usd");
        check(&Refusal::Unknown { name: "".into() }, false, "budget");
    }
}
