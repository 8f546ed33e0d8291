//! How much a client may take, and what that means for one request.

use super::calendar::DAY;
use arc_swap::ArcSwap;
use gateway_core::{
    Date, NanoDollars,
    state::{BudgetAsk, Key, PlaceAsk, Rate, RateAsk, Tenant},
};
use std::{sync::Arc, time::Duration};

/// How much a client may take. What is absent has no limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LimitPolicy {
    /// Requests in a minute.
    pub requests_per_minute: Option<u64>,
    /// How many of them at once; as many as in a minute if absent.
    pub burst: Option<u64>,
    /// Tokens in a minute, read and written.
    pub tokens_per_minute: Option<u64>,
    /// Requests that run at one time.
    pub concurrent: Option<u64>,
    /// Money in a day.
    pub daily_budget: Option<NanoDollars>,
    /// Money in a month.
    pub monthly_budget: Option<NanoDollars>,
    /// What it may take of some models besides, by a name or the beginning of one and `*`. The
    /// first that fits counts.
    pub models: Vec<(String, LimitPolicy)>,
}

/// An allowance, ready to be asked of.
#[derive(Clone, Debug)]
pub(crate) struct ClientLimits {
    pub(crate) key: Key,
    own: LimitSet,
    models: Vec<(String, LimitSet)>,
}

/// Limits that are taken together.
#[derive(Clone, Debug)]
pub(crate) struct LimitSet {
    requests: Option<RateLimit>,
    tokens: Option<RateLimit>,
    place: Option<PlaceAsk>,
    daily: Option<NanoDollars>,
    monthly: Option<NanoDollars>,
    /// Behind the names of its budgets: which model it is of.
    suffix: String,
    periods: Arc<ArcSwap<Periods>>,
}

/// What the budgets of a day are called.
#[derive(Clone, Debug)]
struct Periods {
    /// The day, counted from 1970-01-01 on.
    days: u64,
    daily: Arc<str>,
    monthly: Arc<str>,
}

/// A limit by rate.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    pub(crate) name: Arc<str>,
    pub(crate) per_minute: u64,
    pub(crate) rate: Rate,
}

/// What a request takes of a limit by rate, and how the limit is told.
#[derive(Clone, Debug)]
pub(crate) struct LimitCharge {
    pub(crate) what: LimitKind,
    pub(crate) per_minute: u64,
    pub(crate) ask: RateAsk,
}

/// What a limit by rate counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LimitKind {
    Requests,
    Tokens,
}

/// How large a request is, as far as that is known before it is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestSize {
    /// Tokens that the model will read.
    pub(crate) input: u64,
    /// Tokens that it may write.
    pub(crate) output: u64,
}

const MINUTE: Duration = Duration::from_mins(1);

impl LimitPolicy {
    /// Whether anything is limited.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}

impl ClientLimits {
    /// What `allowance` grants to `name` of `tenant`; nothing if that has no limits.
    pub(crate) fn new(tenant: &Arc<str>, name: &str, policy: &LimitPolicy) -> Option<Self> {
        if !policy.is_limited() {
            return None;
        }
        let key = Tenant::new(Arc::clone(tenant))?.key(format!("client/{name}"));
        let of_model = |(pattern, it): &(String, LimitPolicy)| {
            (pattern.to_lowercase(), LimitSet::new(it, &format!("/{pattern}")))
        };
        let models = policy.models.iter().map(of_model).collect();
        Some(Self { key, own: LimitSet::new(policy, ""), models })
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
    /// The limits of `allowance`, with `suffix` behind their names.
    pub(crate) fn new(policy: &LimitPolicy, suffix: &str) -> Self {
        let limit = |what: &str, per_minute: u64, burst: u64| {
            let interval_us = Rate::per(per_minute, MINUTE).interval_us;
            let rate = Rate { interval_us, burst: burst.max(1) };
            RateLimit { name: format!("{what}{suffix}").into(), per_minute, rate }
        };
        let place = |limit| PlaceAsk { name: format!("all{suffix}").into(), limit };
        Self {
            requests: policy
                .requests_per_minute
                .map(|it| limit("requests", it, policy.burst.unwrap_or(it))),
            tokens: policy.tokens_per_minute.map(|it| limit("tokens", it, it)),
            place: policy.concurrent.map(place),
            daily: policy.daily_budget,
            monthly: policy.monthly_budget,
            suffix: suffix.to_owned(),
            periods: Arc::new(ArcSwap::from_pointee(Periods::of(0, suffix))),
        }
    }

    /// What a request takes of limits by rate; `size` is that of a request to a model.
    pub(crate) fn charges(&self, size: Option<&RequestSize>) -> impl Iterator<Item = LimitCharge> {
        let requests = self.requests.as_ref().map(|limit| limit.charge(LimitKind::Requests, 1));
        let tokens = self.tokens.as_ref().zip(size).map(|(limit, size)| {
            // What is asked to be written may be more than there ever is; what is read is known.
            let most = limit.rate.burst.max(size.input);
            limit.charge(LimitKind::Tokens, size.input.saturating_add(size.output).min(most))
        });
        requests.into_iter().chain(tokens)
    }

    /// Whether what a request takes depends on its size.
    pub(crate) const fn is_by_size(&self) -> bool {
        self.tokens.is_some() || self.daily.is_some() || self.monthly.is_some()
    }

    /// What a request takes of limits on requests at one time.
    pub(crate) const fn place(&self) -> Option<&PlaceAsk> {
        self.place.as_ref()
    }

    /// What a request of this day takes of budgets.
    pub(crate) fn budgets(&self, days: u64, cost: NanoDollars) -> impl Iterator<Item = BudgetAsk> {
        let budget = |limit: NanoDollars, name: Arc<str>, keep_days: u64| BudgetAsk {
            name,
            limit,
            reserve: cost,
            keep: Duration::from_secs(keep_days * DAY),
        };
        let is_limited = self.daily.is_some() || self.monthly.is_some();
        let periods = is_limited.then(|| self.periods(days));
        let of = |limit: Option<NanoDollars>| limit.zip(periods.as_ref());
        let daily = of(self.daily).map(|(limit, it)| budget(limit, Arc::clone(&it.daily), 3));
        let monthly =
            of(self.monthly).map(|(limit, it)| budget(limit, Arc::clone(&it.monthly), 35));
        daily.into_iter().chain(monthly)
    }

    /// What the budgets of a day are called: made anew when the day is another.
    fn periods(&self, days: u64) -> Arc<Periods> {
        let known = self.periods.load();
        if known.days == days {
            return Arc::clone(&known);
        }
        let periods = Arc::new(Periods::of(days, &self.suffix));
        self.periods.store(Arc::clone(&periods));
        periods
    }
}

impl Periods {
    fn of(days: u64, suffix: &str) -> Self {
        let date = Date::from_days_since_epoch(days);
        let name = |period: String| (period + suffix).into();
        Self { days, daily: name(date.text()), monthly: name(date.month_text()) }
    }
}

impl RateLimit {
    fn charge(&self, what: LimitKind, cost: u64) -> LimitCharge {
        let ask = RateAsk { name: Arc::clone(&self.name), rate: self.rate, cost };
        LimitCharge { what, per_minute: self.per_minute, ask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota() -> ClientLimits {
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
        ClientLimits::new(&"t".into(), "c", &policy).unwrap()
    }

    /// What a request for `model` takes: `name cost/burst`, places, budgets.
    #[track_caller]
    fn check(model: &str, input: u64, output: u64, expected: &str) {
        let (quota, size) = (quota(), RequestSize { input, output });
        let mut told = Vec::new();
        for set in quota.sets([model, "m"]) {
            let rate =
                |it: LimitCharge| format!("{} {}/{}", it.ask.name, it.ask.cost, it.ask.rate.burst);
            told.extend(set.charges(Some(&size)).map(rate));
            told.extend(set.place().map(|it| format!("{} {}", it.name, it.limit)));
            told.extend(
                set.budgets(20_783, NanoDollars(1)).map(|it| format!("{} {}", it.name, it.limit.0)),
            );
        }
        assert_eq!(told.join(", "), expected);
    }

    #[test]
    fn a_request_meets_the_limits_of_its_client_and_of_its_model() {
        check("other", 10, 20, "requests 1/10, tokens 30/100, all 2, 2026-11 9");
        let both = "requests 1/10, tokens 30/100, all 2, 2026-11 9, \
                    requests/GPT-* 1/6, 2026-11-26/GPT-* 5";
        check("gpt-5", 10, 20, both);
    }

    #[test]
    fn only_what_is_read_can_be_too_much() {
        check("other", 10, 1_000, "requests 1/10, tokens 100/100, all 2, 2026-11 9");
        check("other", 110, 1_000, "requests 1/10, tokens 110/100, all 2, 2026-11 9");
    }

    #[test]
    fn without_limits_there_is_nothing_to_ask() {
        assert!(ClientLimits::new(&"t".into(), "c", &LimitPolicy::default()).is_none());
    }
}
