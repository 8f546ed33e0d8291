//! Takes of a caller's limits what a request needs, in one round trip, or refuses it.

use crate::{
    Client, GrantedQuota, LimitError, QuotaReservation, RateLimitStatus, TokenEstimate,
    calendar::{self, DAY},
    client_prefix,
    policy::{LimitCharge, LimitKind, LimitPolicy, LimitSet, RequestSize},
};
use gateway_core::{
    Date, Envelope, ErrorKind, GatewayError, NanoDollars, Price, Result, Target, Usage,
    state::{Decision, Key, QuotaAsk, Quotas, Refusal, StoreError, Tenant},
};
use std::{
    borrow::Cow,
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How much callers may take. The default limits nobody.
#[derive(Clone, Default)]
pub struct Limiter {
    pub(super) inner: Option<Arc<Inner>>,
}

/// What there is to say of limits beside those of each client.
#[derive(Clone, Debug)]
pub struct LimiterSettings {
    /// What callers without a key may take, each address for itself.
    pub anonymous: LimitPolicy,
    /// For how long what a request holds is held, if nobody says that it has ended.
    pub lease: Duration,
    /// How many tokens are reserved for an answer whose request does not say how long it may be.
    pub assumed_output: u64,
}

pub(super) struct Inner {
    pub(super) quotas: Arc<dyn Quotas>,
    pub(super) tasks: TaskTracker,
    anonymous: Option<LimitSet>,
    lease: Duration,
    assumed_output: u64,
    failing: AtomicBool,
}

/// What a request wants of a model.
#[derive(Clone, Copy, Debug)]
pub struct QuotaDemand<'a> {
    /// The model, as the caller names it, and as its provider does.
    pub models: [&'a str; 2],
    /// How much it will read.
    pub input: &'a TokenEstimate,
    /// How many it may write, if the request says so.
    pub output: Option<u64>,
    /// What a token costs, if that is known.
    pub price: Option<&'a Price>,
}

impl<'a> QuotaDemand<'a> {
    /// What the request in `envelope`, of the size `input`, wants of `target`.
    pub fn of(
        envelope: &'a Envelope,
        target: &'a Target,
        input: &'a TokenEstimate,
        price: Option<&'a Price>,
    ) -> Self {
        let models = [&*envelope.model, &*target.model];
        Self { models, input, output: envelope.max_output, price }
    }
}

/// What a request takes: one question to the store.
pub(super) struct QuotaQuery {
    pub(super) key: Key,
    pub(super) charges: Vec<LimitCharge>,
    pub(super) ask: QuotaAsk,
}

impl Limiter {
    /// Takes from `quotas`.
    ///
    /// What is still to be settled is among `tasks`.
    pub fn new(quotas: Arc<dyn Quotas>, tasks: TaskTracker, settings: &LimiterSettings) -> Self {
        let anonymous = &settings.anonymous;
        let inner = Inner {
            quotas,
            tasks,
            anonymous: anonymous.is_limited().then(|| LimitSet::new(anonymous, "")),
            lease: settings.lease,
            assumed_output: settings.assumed_output,
            failing: AtomicBool::new(false),
        };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Waits until all that has ended is settled, but not for long.
    pub async fn close(&self) {
        let Some(inner) = &self.inner else { return };
        inner.tasks.close();
        // A store that does not answer by then has its leases.
        let _ = tokio::time::timeout(Duration::from_secs(2), inner.tasks.wait()).await;
    }

    /// Charges a request that asks no model to the limits on requests by rate.
    ///
    /// # Errors
    ///
    /// If a limit is reached.
    pub async fn check_request_rate(
        &self,
        client: &Client,
        peer: IpAddr,
    ) -> std::result::Result<RateLimitStatus, LimitError> {
        let none = RateLimitStatus::default();
        let Some(inner) = &self.inner else { return Ok(none) };
        let Some((key, set)) = inner.own_limits(client, peer) else { return Ok(none) };
        let charges: Vec<_> = set.charges(None).collect();
        if charges.is_empty() {
            return Ok(none);
        }
        let rates = charges.iter().map(|charge| charge.ask.clone()).collect();
        let question = QuotaQuery { key, charges, ask: QuotaAsk { rates, ..QuotaAsk::default() } };
        inner.put(&question).await.map(|(_, status)| status)
    }

    /// Takes one of the caller's places for work that asks no model, or refuses it. It is given
    /// back when what is returned is dropped.
    pub async fn acquire_slot(
        &self,
        client: &Client,
        peer: IpAddr,
    ) -> Result<Option<QuotaReservation>> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let own = inner.own_limits(client, peer);
        let Some((key, place)) = own.and_then(|(key, set)| Some((key, set.place()?.clone())))
        else {
            return Ok(None);
        };
        let request = Uuid::new_v4().simple().to_string().into();
        let places = vec![place];
        let ask = QuotaAsk { request, places, lease: inner.lease, ..QuotaAsk::default() };
        let held = inner.hold(&QuotaQuery { key, charges: Vec::new(), ask }).await;
        held.map(|granted| granted.reservation).map_err(|refused| refused.error)
    }

    /// Reserves what a request to a model needs of its caller's limits. What is reserved is to be
    /// settled.
    ///
    /// # Errors
    ///
    /// If a limit is reached, or a budget is not known.
    pub async fn reserve(
        &self,
        client: &Client,
        peer: IpAddr,
        want: &QuotaDemand<'_>,
    ) -> std::result::Result<GrantedQuota, LimitError> {
        let Some(inner) = &self.inner else { return Ok(GrantedQuota::default()) };
        let Some(question) = inner.question(client, peer, want) else {
            return Ok(GrantedQuota::default());
        };
        inner.hold(&question).await
    }
}

impl QuotaQuery {
    /// What is held once it is granted.
    fn held(&self, inner: &Arc<Inner>) -> QuotaReservation {
        let is_tokens = |charge: &&LimitCharge| charge.what == LimitKind::Tokens;
        let tokens = self.charges.iter().filter(is_tokens).map(|charge| charge.ask.clone());
        let request = Arc::clone(&self.ask.request);
        QuotaReservation::new(Arc::clone(inner), self.key.clone(), request, tokens.collect())
    }
}

impl Inner {
    /// Where the caller's limits are kept, and which of them every request meets.
    fn own_limits<'a>(&'a self, client: &'a Client, peer: IpAddr) -> Option<(Key, &'a LimitSet)> {
        if let Some(quota) = &client.quota {
            return Some((quota.key.clone(), quota.own()));
        }
        let set = self.anonymous.as_ref().filter(|_| client.is_anonymous)?;
        Some((anonymous_key(client, peer)?, set))
    }

    /// What a request has to ask; nothing if it meets no limit.
    pub(super) fn question(
        &self,
        client: &Client,
        peer: IpAddr,
        want: &QuotaDemand<'_>,
    ) -> Option<QuotaQuery> {
        let (key, own) = self.own_limits(client, peer)?;
        let is_sized = match &client.quota {
            Some(quota) => quota.sets(want.models).any(LimitSet::is_by_size),
            None => own.is_by_size(),
        };
        let input = if is_sized { want.input.tokens() } else { 0 };
        let output = want.output.unwrap_or(self.assumed_output);
        let usage = Usage { input, output, ..Usage::default() };
        let cost = want.price.map_or(NanoDollars(0), |price| price.cost(&usage));
        let size = RequestSize { input, output };
        let (mut charges, mut ask) = (Vec::new(), QuotaAsk::default());
        let mut add = |set: &LimitSet| {
            charges.extend(set.charges(Some(&size)));
            ask.places.extend(set.place().cloned());
            ask.budgets.extend(set.budgets(calendar::now().as_secs() / DAY, cost));
        };
        match &client.quota {
            Some(quota) => quota.sets(want.models).for_each(&mut add),
            None => add(own),
        }
        let holds = !ask.places.is_empty()
            || !ask.budgets.is_empty()
            || charges.iter().any(|charge| charge.what == LimitKind::Tokens);
        if charges.is_empty() && !holds {
            return None;
        }
        if holds {
            // A name of ours: a caller may give two requests the same.
            ask.request = Uuid::new_v4().simple().to_string().into();
            ask.lease = self.lease;
        }
        ask.rates = charges.iter().map(|charge| charge.ask.clone()).collect();
        Some(QuotaQuery { key, charges, ask })
    }

    /// Asks, and gives what is held since, if anything is.
    async fn hold(
        self: &Arc<Self>,
        question: &QuotaQuery,
    ) -> std::result::Result<GrantedQuota, LimitError> {
        // A caller that leaves while the store is asked gives back what it is given.
        let taken = (!question.ask.lease.is_zero()).then(|| question.held(self));
        match (self.put(question).await, taken) {
            (Ok((true, status)), reservation) => Ok(GrantedQuota { reservation, status }),
            (other, taken) => {
                taken.into_iter().for_each(QuotaReservation::disarm);
                other.map(|(_, status)| GrantedQuota { reservation: None, status })
            }
        }
    }

    /// Asks; false if the store could not say, and nothing was taken.
    async fn put(
        &self,
        question: &QuotaQuery,
    ) -> std::result::Result<(bool, RateLimitStatus), LimitError> {
        let mut status = RateLimitStatus::default();
        match self.quotas.take(&question.key, &question.ask).await {
            Ok(Decision::Granted(left)) => {
                for (charge, left) in question.charges.iter().zip(left.rates) {
                    status.record(charge, left);
                }
                self.failing.store(false, Ordering::Relaxed);
                Ok((true, status))
            }
            Ok(Decision::Refused(refusal)) => {
                if let Refusal::Rate { name, remaining, .. } = &refusal
                    && let Some(charge) = question.charges.iter().find(|it| it.ask.name == *name)
                {
                    status.record(charge, *remaining);
                }
                Err(LimitError { error: refused(&refusal), status })
            }
            Err(error) => Ok((self.unknown(question, error)?, status)),
        }
    }

    /// A store that cannot say has lost what it knew of this caller: that is no reason to turn
    /// everybody away, but money is not given out unseen.
    pub(super) fn unknown(&self, question: &QuotaQuery, error: StoreError) -> Result<bool> {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "limits are not kept");
        }
        match question.ask.budgets.first() {
            Some(budget) => {
                let name = Arc::clone(&budget.name);
                Err(refused(&Refusal::Unknown { name }).with_source(error))
            }
            None => Ok(false),
        }
    }
}

fn anonymous_key(client: &Client, peer: IpAddr) -> Option<Key> {
    let tenant = Tenant::new(Arc::clone(&client.tenant))?;
    Some(tenant.key(format!("peer/{}", client_prefix(peer))))
}

/// What a caller is told that has reached a limit.
pub(super) fn refused(refusal: &Refusal) -> GatewayError {
    let limited = |message: Cow<'static, str>, wait| {
        GatewayError::new(ErrorKind::RateLimited, message).with_retry_after(Some(wait))
    };
    match refusal {
        Refusal::Rate { name, retry_after, .. } => {
            limited(format!("the limit of {} is reached", words(name)).into(), *retry_after)
        }
        Refusal::TooLarge { name } => {
            let message = format!("the request is larger than the limit of {}", words(name));
            GatewayError::new(ErrorKind::QuotaExceeded, message).with_code("request_exceeds_limit")
        }
        Refusal::Places { .. } => {
            let message = "too many requests at one time: wait for one of them to end";
            limited(message.into(), Duration::from_secs(1)).with_code("too_many_requests_at_once")
        }
        Refusal::Budget { name } => {
            let message = "the budget of this API key is spent";
            GatewayError::new(ErrorKind::QuotaExceeded, message)
                .with_code("budget_exceeded")
                .with_retry_after(Some(until_next(name)))
        }
        Refusal::Unknown { .. } => {
            let message = "what is left of the budget is not known at the moment";
            GatewayError::new(ErrorKind::Unavailable, message)
                .with_code("budget_unknown")
                .with_retry_after(Some(Duration::from_secs(5)))
        }
    }
}

fn words(name: &str) -> &'static str {
    if name.starts_with("tokens") { "tokens in a minute" } else { "requests in a minute" }
}

/// How long until the budget called `name` begins anew.
pub(super) fn until_next(name: &str) -> Duration {
    let now = calendar::now();
    let date = Date::from_days_since_epoch(now.as_secs() / DAY);
    let period = name.split('/').next().unwrap_or_default();
    let next = match Date::parse(period) {
        Some(_) => now.as_secs() / DAY + 1,
        None => date.next_month().days().unwrap_or_default(),
    };
    Duration::from_secs(next * DAY).saturating_sub(now)
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("on", &self.inner.is_some()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("lease", &self.lease).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use gateway_core::state::Left;

    /// Has room for everything.
    struct Roomy;

    #[async_trait]
    impl Quotas for Roomy {
        async fn take(&self, _: &Key, _: &QuotaAsk) -> Result<Decision, StoreError> {
            Ok(Decision::Granted(Left::default()))
        }

        async fn settle(&self, _: &Key, _: &gateway_core::state::Settle) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// Whether the tokens of a request are counted that meets `allowance`.
    async fn is_counted(policy: &LimitPolicy) -> bool {
        let settings = LimiterSettings {
            anonymous: LimitPolicy::default(),
            lease: Duration::from_mins(1),
            assumed_output: 10,
        };
        let limiter = Limiter::new(Arc::new(Roomy), TaskTracker::new(), &settings);
        let client = Client::new("c", "t").limited(policy);
        let size = TokenEstimate::of("{}".into());
        let want = QuotaDemand { models: ["m", "m"], input: &size, output: None, price: None };
        let peer = IpAddr::from([127, 0, 0, 1]);
        let taken = limiter.reserve(&client, peer, &want).await;
        assert!(taken.is_ok());
        size.is_counted()
    }

    #[tokio::test]
    async fn tokens_are_counted_where_a_limit_asks_for_them() {
        let some = Some(100);
        let nothing = LimitPolicy::default();
        assert!(!is_counted(&nothing).await);
        assert!(!is_counted(&LimitPolicy { requests_per_minute: some, ..nothing.clone() }).await);
        assert!(!is_counted(&LimitPolicy { concurrent: some, ..nothing.clone() }).await);
        assert!(is_counted(&LimitPolicy { tokens_per_minute: some, ..nothing.clone() }).await);
        let money = Some(NanoDollars(1));
        assert!(is_counted(&LimitPolicy { daily_budget: money, ..nothing.clone() }).await);
        assert!(is_counted(&LimitPolicy { monthly_budget: money, ..nothing.clone() }).await);
        let of_model = |model: &str, it: LimitPolicy| LimitPolicy {
            models: vec![(model.to_owned(), it)],
            ..LimitPolicy::default()
        };
        let tokens = LimitPolicy { tokens_per_minute: some, ..nothing.clone() };
        assert!(is_counted(&of_model("m", tokens.clone())).await);
        assert!(!is_counted(&of_model("other", tokens)).await);
    }
}
