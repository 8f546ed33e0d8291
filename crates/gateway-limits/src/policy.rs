//! The limits of a client, and the charges of a request against them.

use crate::{
    account::{AccountState, LimitAccount},
    budget_period::BudgetPeriod,
    charges::{BudgetCharge, Charges, RateCharge, SlotCharge},
};
use gateway_core::{NanoDollars, state::Rate};
use std::sync::Arc;

/// The limits of a client. An absent one is unlimited.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LimitPolicy {
    /// Requests in a minute.
    pub requests_per_minute: Option<u64>,
    /// Maximum number of requests in a burst; `requests_per_minute` if absent.
    pub burst: Option<u64>,
    /// Tokens in a minute, read and written.
    pub tokens_per_minute: Option<u64>,
    /// Requests that run at one time.
    pub concurrent: Option<u64>,
    /// Money in a day.
    pub daily_budget: Option<NanoDollars>,
    /// Money in a week.
    pub weekly_budget: Option<NanoDollars>,
    /// Money in a month.
    pub monthly_budget: Option<NanoDollars>,
    /// Money in all, until the budget is reset.
    pub total_budget: Option<NanoDollars>,
    /// Additional limits for some models, by name or by prefix and `*`. The first match applies.
    pub models: Vec<(String, LimitPolicy)>,
}

/// The limits of a client, resolved: each knows its place in the client's account.
#[derive(Clone, Debug)]
pub(crate) struct ClientLimits {
    pub(crate) account: Arc<LimitAccount>,
    own: LimitSet,
    models: Vec<(String, LimitSet)>,
}

/// Limits that are taken together.
#[derive(Clone, Debug)]
pub(crate) struct LimitSet {
    requests: Option<(usize, Rate)>,
    tokens: Option<(usize, Rate)>,
    slots: Option<SlotCharge>,
    /// The budgets of [`BudgetPeriod::ALL`].
    budgets: [Option<(usize, NanoDollars)>; BudgetPeriod::ALL.len()],
}

/// The unit that a rate limit counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LimitKind {
    Requests,
    Tokens,
}

/// The size of a request, as far as it is known before its response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestSize {
    /// The tokens that the model will read.
    pub(crate) input: u64,
    /// The tokens that it may write.
    pub(crate) output: u64,
}

impl LimitKind {
    /// Returns the name of the limit in the store.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }

    /// Returns the setting of the limit.
    pub(crate) const fn setting(self) -> &'static str {
        match self {
            Self::Requests => "requests_per_minute",
            Self::Tokens => "tokens_per_minute",
        }
    }
}

impl LimitPolicy {
    /// Returns the policy with the limits of `defaults` of which it has none.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        let has_rate = self.requests_per_minute.is_some();
        Self {
            requests_per_minute: self.requests_per_minute.or(defaults.requests_per_minute),
            burst: if has_rate { self.burst } else { defaults.burst },
            tokens_per_minute: self.tokens_per_minute.or(defaults.tokens_per_minute),
            concurrent: self.concurrent.or(defaults.concurrent),
            daily_budget: self.daily_budget.or(defaults.daily_budget),
            weekly_budget: self.weekly_budget.or(defaults.weekly_budget),
            monthly_budget: self.monthly_budget.or(defaults.monthly_budget),
            total_budget: self.total_budget.or(defaults.total_budget),
            models: self.models,
        }
    }

    /// Whether anything is limited.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    /// Whether there is a budget, for all models or for some.
    pub fn has_budget(&self) -> bool {
        let is_set = |period| self.budget(period).is_some();
        BudgetPeriod::ALL.into_iter().any(is_set)
            || self.models.iter().any(|(_, limits)| limits.has_budget())
    }

    /// The budget of a period.
    const fn budget(&self, period: BudgetPeriod) -> Option<NanoDollars> {
        match period {
            BudgetPeriod::Day => self.daily_budget,
            BudgetPeriod::Week => self.weekly_budget,
            BudgetPeriod::Month => self.monthly_budget,
            BudgetPeriod::Total => self.total_budget,
        }
    }
}

impl ClientLimits {
    /// Returns the limits of `policy` in `account`; `None` if there are none.
    pub(crate) fn new(account: Arc<LimitAccount>, policy: &LimitPolicy) -> Option<Self> {
        if !policy.is_limited() {
            return None;
        }
        let mut state = account.state();
        let own = LimitSet::new(policy, None, &mut state);
        let of_model = |(pattern, it): &(String, LimitPolicy)| {
            (pattern.to_lowercase(), LimitSet::new(it, Some(pattern), &mut state))
        };
        let models = policy.models.iter().map(of_model).collect();
        drop(state);
        Some(Self { account, own, models })
    }

    /// The limits that a request for a model of either name meets.
    pub(crate) fn sets(&self, models: [&str; 2]) -> impl Iterator<Item = &LimitSet> {
        let fits = |pattern: &str| {
            models.iter().any(|model| gateway_core::matches_pattern(pattern, model))
        };
        let of_model = self.models.iter().find(|(pattern, _)| fits(pattern));
        std::iter::once(&self.own).chain(of_model.map(|(_, set)| set))
    }

    /// The limits that every request meets.
    pub(crate) const fn own(&self) -> &LimitSet {
        &self.own
    }
}

impl LimitSet {
    /// The limits of `policy`, for all models or for some, placed in `account`.
    pub(crate) fn new(
        policy: &LimitPolicy,
        models: Option<&str>,
        account: &mut AccountState,
    ) -> Self {
        let mut rate = |kind: LimitKind, per_minute: u64, burst: u64| {
            (account.rate(kind, models), Rate::new(per_minute, burst))
        };
        let requests = policy.requests_per_minute;
        let requests = requests.map(|it| rate(LimitKind::Requests, it, policy.burst.unwrap_or(it)));
        let tokens = policy.tokens_per_minute.map(|it| rate(LimitKind::Tokens, it, it));
        let slot = |limit| SlotCharge { at: account.slot(models), limit };
        let slots = policy.concurrent.map(slot);
        let budgets = BudgetPeriod::ALL.map(|period| {
            policy.budget(period).map(|limit| (account.budget(period, models), limit))
        });
        Self { requests, tokens, slots, budgets }
    }

    /// Adds the charges against rate limits; `size` is that of a request to a model.
    pub(crate) fn charge_rates(&self, size: Option<&RequestSize>, charges: &mut Charges) {
        if let Some((at, rate)) = self.requests {
            charges.rates.push(RateCharge { at, kind: LimitKind::Requests, rate, cost: 1 });
        }
        if let Some(((at, rate), size)) = self.tokens.zip(size) {
            // What is asked to be written may be more than there ever is; what is read is known.
            let most = rate.burst().max(size.input);
            let cost = size.input.saturating_add(size.output).min(most);
            charges.rates.push(RateCharge { at, kind: LimitKind::Tokens, rate, cost });
        }
    }

    /// Adds the charges against concurrency limits and budgets, for a day and a cost.
    pub(crate) fn charge_held(&self, day: u64, amount: NanoDollars, charges: &mut Charges) {
        self.charge_slot(charges);
        for (at, limit) in self.budgets.into_iter().flatten() {
            charges.budgets.push(BudgetCharge { at, day, limit, amount });
        }
    }

    /// Adds a slot of the concurrency limit.
    pub(crate) fn charge_slot(&self, charges: &mut Charges) {
        if let Some(slot) = self.slots {
            charges.slots.push(slot);
        }
    }

    /// Whether the charges of a request depend on its size.
    pub(crate) fn is_by_size(&self) -> bool {
        self.tokens.is_some() || self.has_budgets()
    }

    /// Whether there are budgets, which depend on the day.
    pub(crate) fn has_budgets(&self) -> bool {
        self.budgets.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::state::Tenant;

    fn limits() -> ClientLimits {
        let of_model = LimitPolicy {
            requests_per_minute: Some(6),
            daily_budget: Some(NanoDollars(5)),
            ..LimitPolicy::default()
        };
        let policy = LimitPolicy {
            requests_per_minute: Some(60),
            burst: Some(10),
            tokens_per_minute: Some(100),
            concurrent: Some(2),
            monthly_budget: Some(NanoDollars(9)),
            models: vec![("GPT-*".into(), of_model)],
            ..LimitPolicy::default()
        };
        ClientLimits::new(account(), &policy).unwrap()
    }

    fn account() -> Arc<LimitAccount> {
        let key = Tenant::new("t").unwrap().key("c");
        Arc::new(LimitAccount::new(key, "h".into(), AccountState::default()))
    }

    /// What a request for `model` takes: `place cost/burst` of rates, `limit` of slots, `place
    /// limit` of budgets.
    #[track_caller]
    fn check(model: &str, input: u64, output: u64, expected: &str) {
        let (limits, size) = (limits(), RequestSize { input, output });
        let mut charges = Charges::default();
        for set in limits.sets([model, "m"]) {
            set.charge_rates(Some(&size), &mut charges);
            set.charge_held(20_783, NanoDollars(1), &mut charges);
        }
        let rate = |it: &RateCharge| format!("{} {}/{}", it.at, it.cost, it.rate.burst());
        let rates: Vec<_> = charges.rates.iter().map(rate).collect();
        let slots: Vec<_> = charges.slots.iter().map(|it| it.limit.to_string()).collect();
        let budget = |it: &BudgetCharge| format!("{} {}", it.at, it.limit.0);
        let budgets: Vec<_> = charges.budgets.iter().map(budget).collect();
        let all = [rates.join(", "), slots.join(", "), budgets.join(", ")].join("; ");
        assert_eq!(all, expected);
    }

    #[test]
    fn request_meets_the_limits_of_its_client_and_of_its_model() {
        check("other", 10, 20, "0 1/10, 1 30/100; 2; 0 9");
        check("gpt-5", 10, 20, "0 1/10, 1 30/100, 2 1/6; 2; 0 9, 1 5");
    }

    #[test]
    fn only_input_can_exceed_a_limit() {
        check("other", 10, 1_000, "0 1/10, 1 100/100; 2; 0 9");
        check("other", 110, 1_000, "0 1/10, 1 110/100; 2; 0 9");
    }

    #[test]
    fn policy_without_a_limit_gets_that_of_the_defaults() {
        let defaults = LimitPolicy {
            requests_per_minute: Some(60),
            burst: Some(10),
            concurrent: Some(4),
            ..LimitPolicy::default()
        };
        let own = LimitPolicy { requests_per_minute: Some(5), ..LimitPolicy::default() };
        let both = own.or(&defaults);
        assert_eq!((both.requests_per_minute, both.burst), (Some(5), None));
        assert_eq!(both.concurrent, Some(4));
        assert_eq!(LimitPolicy::default().or(&defaults), defaults);
    }

    #[test]
    fn policy_without_limits_has_no_places() {
        assert!(ClientLimits::new(account(), &LimitPolicy::default()).is_none());
    }
}
