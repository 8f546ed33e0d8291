//! Fallback groups: several targets for one model name, or several credentials of one provider.
//!
//! ```text
//!   group ── target ─▶ Retry ─▶ group ── target ─▶ CircuitBreaker ─▶ Deadlines ─▶ openai, first key
//!     │                           └──── target ─▶ CircuitBreaker ─▶ Deadlines ─▶ openai, second key
//!     └───── target ─▶ Retry ─▶ CircuitBreaker ─▶ Deadlines ─▶ anthropic
//! ```
//!
//! The first available target is called. If it fails with one of the conditions in the
//! group's rules before its first output, the next target is called.

mod condition;
mod run;
mod target;
#[cfg(test)]
mod tests;

pub use self::{condition::FallbackCondition, target::FallbackTarget};

use crate::{breaker_metrics, replay};
use async_trait::async_trait;
use gateway_core::{
    Context, Dialect, EmbeddingCall, EmbeddingResult, ErrorKind, GatewayError, PlannedAttempt,
    Provider, ProviderRequest, ProviderResponse, Result, SealOwner, Target, UnavailableReason,
    sync,
};
use run::FallbackRun;
use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A provider that calls one of several targets.
pub struct FallbackGroup {
    shared: Arc<FallbackShared>,
}

/// The rules of a fallback group.
#[derive(Clone, Debug)]
pub struct FallbackRules {
    /// Order in which targets are called.
    pub order: FallbackOrder,
    /// Conditions under which the next target is called.
    pub on: Vec<FallbackCondition>,
    /// Whether a target may be retried.
    pub retry: bool,
    /// Whether open circuits and cooldowns are respected.
    pub respect_breakers: bool,
}

/// The order in which targets are called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FallbackOrder {
    /// The order of the configuration.
    Priority,
    /// A weighted random order, drawn for each request.
    Weighted,
    /// Round robin: each request starts with the next target. For credentials of one provider.
    RoundRobin,
}

struct FallbackShared {
    id: Arc<str>,
    targets: Vec<FallbackTarget>,
    rules: FallbackRules,
    /// Time of the last forced probe.
    forced: Mutex<Option<Instant>>,
    turn: AtomicUsize,
    random: fn() -> f64,
}

/// Interval of forced probes while every target's circuit is open.
const FORCED_PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl FallbackGroup {
    /// Creates the group called `id`. `random` returns numbers from 0 to 1.
    pub fn new(
        id: &str,
        targets: Vec<FallbackTarget>,
        rules: FallbackRules,
        random: fn() -> f64,
    ) -> Self {
        let (id, forced, turn) = (id.into(), Mutex::default(), AtomicUsize::new(0));
        Self { shared: Arc::new(FallbackShared { id, targets, rules, forced, turn, random }) }
    }
}

#[async_trait]
impl Provider for FallbackGroup {
    fn id(&self) -> &str {
        &self.shared.id
    }

    /// The target is not known beforehand, unless all are credentials of one provider.
    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        let first = self.shared.targets.first()?;
        (self.shared.rules.order == FallbackOrder::RoundRobin)
            .then(|| first.provider()?.upstream_dialect(target, dialect))
            .flatten()
    }

    /// The owners of all targets.
    fn seal_owners(&self, target: &Target) -> Vec<SealOwner> {
        let targets = self.shared.targets.iter();
        targets.flat_map(|candidate| candidate.seal_owners(target)).collect()
    }

    /// A group is unavailable if each of its targets is; the reason that passes soonest
    /// is returned.
    fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        let mut soonest: Option<UnavailableReason> = None;
        for candidate in &self.shared.targets {
            let reason = candidate.unavailability(target, self.shared.rules.respect_breakers)?;
            let is_sooner = |other: UnavailableReason| match (reason.wait(), other.wait()) {
                (Some(wait), Some(other)) => wait < other,
                (wait, None) => wait.is_some(),
                (None, Some(_)) => false,
            };
            if soonest.is_none_or(is_sooner) {
                soonest = Some(reason);
            }
        }
        soonest
    }

    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        let call = self.shared.with_rules(call.clone());
        let mut planned = Vec::new();
        for at in self.shared.order(false) {
            let Some(target) = self.shared.targets.get(at) else { continue };
            planned.extend(target.plan(&call).await);
        }
        planned
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        self.shared.check_provider_key(&call.context)?;
        let call = self.shared.with_rules(call);
        let mut run = FallbackRun::new(&self.shared, call, "answer");
        let ProviderResponse { meta, chunks } = run.generate().await?;
        Ok(ProviderResponse { meta, chunks: replay::retry_until_output(chunks, run) })
    }

    /// The first link that is asked counts, and no other: another model would count otherwise.
    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        self.shared.check_provider_key(&call.context)?;
        let call = self.shared.with_rules(call);
        FallbackRun::new(&self.shared, call, "count_tokens").count_tokens().await
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        self.shared.check_provider_key(&call.context)?;
        FallbackRun::new(&self.shared, call, "embed").embed().await
    }
}

impl FallbackShared {
    /// Returns the request with the breaker hints of the rules.
    fn with_rules(&self, mut call: ProviderRequest) -> ProviderRequest {
        call.context.breaker.bypass_breaker |= !self.rules.respect_breakers;
        call
    }

    /// Fails for a caller's own key, unless all targets are credentials of one provider: no other
    /// provider may see the key.
    fn check_provider_key(&self, context: &Context) -> Result<()> {
        if context.provider_key.is_none() || self.rules.order == FallbackOrder::RoundRobin {
            return Ok(());
        }
        let message = "a request with x-gateway-provider-key needs a model of one provider: this \
                       model is a route to several targets";
        let error = GatewayError::new(ErrorKind::InvalidRequest, message).with_param("model");
        Err(error.with_code("provider_key_needs_provider"))
    }

    /// Returns the indices of the targets in the order for one request.
    fn order(&self, advances: bool) -> Vec<usize> {
        let count = self.targets.len();
        let mut order: Vec<usize> = (0..count).collect();
        match self.rules.order {
            FallbackOrder::Priority => {}
            FallbackOrder::RoundRobin => {
                let step = usize::from(advances);
                order.rotate_left(self.turn.fetch_add(step, Ordering::Relaxed) % count.max(1));
            }
            FallbackOrder::Weighted => {
                let weight = |at: &usize| self.targets.get(*at).map_or(0.0, FallbackTarget::weight);
                if advances {
                    // The larger of powers of draws: an order by weight, without replacement.
                    let draw = |at: usize| (at, (self.random)().powf(1.0 / weight(&at)));
                    let mut draws: Vec<_> = order.into_iter().map(draw).collect();
                    draws.sort_by(|(_, one), (_, other)| other.total_cmp(one));
                    order = draws.into_iter().map(|(at, _)| at).collect();
                } else {
                    order.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
                }
            }
        }
        order
    }

    /// Returns whether a forced probe is due.
    fn may_force(&self, now: Instant) -> bool {
        let mut forced = sync::lock(&self.forced);
        let may = forced.is_none_or(|last| now.duration_since(last) >= FORCED_PROBE_INTERVAL);
        if may {
            *forced = Some(now);
        }
        may
    }

    /// Counts a call or a success. Credentials are not counted.
    fn count(&self, target: &FallbackTarget, operation: Option<&'static str>) {
        if self.rules.order == FallbackOrder::RoundRobin {
            return;
        }
        match operation {
            Some(operation) => breaker_metrics::count_attempt(&self.id, target.name(), operation),
            None => breaker_metrics::count_success(&self.id, target.name()),
        }
    }
}

impl fmt::Debug for FallbackGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("id", &self.shared.id)
            .field("targets", &self.shared.targets)
            .field("rules", &self.shared.rules)
            .finish_non_exhaustive()
    }
}
