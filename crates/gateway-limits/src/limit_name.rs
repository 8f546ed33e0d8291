//! The names of limits in logs and metrics: the settings that set them.

use std::borrow::Cow;

/// Returns the name of the limit that `setting` sets: `requests_per_minute`,
/// `daily_budget_usd/gpt-*` if it is for some models, and `tenant/max_concurrent` for a limit of
/// the tenant.
pub(crate) fn limit_name(
    setting: &'static str,
    models: Option<&str>,
    is_of_tenant: bool,
) -> Cow<'static, str> {
    match (is_of_tenant, models) {
        (false, None) => Cow::Borrowed(setting),
        (true, None) => format!("tenant/{setting}").into(),
        (false, Some(models)) => format!("{setting}/{models}").into(),
        (true, Some(models)) => format!("tenant/{setting}/{models}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BudgetPeriod, policy::LimitKind};

    #[test]
    fn limit_name_holds_owner_setting_and_models() {
        let daily = BudgetPeriod::Day.setting();
        assert_eq!(limit_name(daily, None, false), "daily_budget_usd");
        assert_eq!(limit_name(daily, Some("gpt-*"), false), "daily_budget_usd/gpt-*");
        let tokens = LimitKind::Tokens.setting();
        assert_eq!(limit_name(tokens, None, true), "tenant/tokens_per_minute");
        assert_eq!(limit_name(tokens, Some("a"), true), "tenant/tokens_per_minute/a");
    }
}
