//! Several targets that answer for one name, or several credentials of one provider.
//!
//! ```text
//!   group ── target ─▶ Retry ─▶ group ── target ─▶ CircuitBreaker ─▶ Deadlines ─▶ openai, first key
//!     │                           └──── target ─▶ CircuitBreaker ─▶ Deadlines ─▶ openai, second key
//!     └───── target ─▶ Retry ─▶ CircuitBreaker ─▶ Deadlines ─▶ anthropic
//! ```
//!
//! The first link that nothing speaks against is asked. If it fails in one of the ways that the
//! chain's rules name, before its first output, the next one is.

mod condition;
mod run;
mod target;
#[cfg(test)]
mod tests;

pub use self::{condition::FallbackCondition, target::FallbackTarget};

use crate::{breaker_metrics, replay};
use async_trait::async_trait;
use gateway_core::{
    Dialect, Embedded, EmbeddingCall, PlannedAttempt, Provider, ProviderRequest, ProviderResponse,
    Result, Target, UnavailableReason,
};
use run::FallbackRun;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Several providers that answer as one.
pub struct FallbackGroup {
    shared: Arc<FallbackShared>,
}

/// How a chain goes from link to link.
#[derive(Clone, Debug)]
pub struct FallbackRules {
    /// Which link is asked first, and which then.
    pub order: FallbackOrder,
    /// After which failures the next link is asked.
    pub on: Vec<FallbackCondition>,
    /// Whether a link may be asked more than once.
    pub retry: bool,
    /// Whether breakers and pauses are heeded.
    pub respect_breakers: bool,
}

/// In which order targets are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FallbackOrder {
    /// As they are listed.
    Priority,
    /// Drawn anew for each request, by their weights.
    Weighted,
    /// Each request begins with the next: they are credentials for the same thing.
    RoundRobin,
}

struct FallbackShared {
    id: Arc<str>,
    targets: Vec<FallbackTarget>,
    rules: FallbackRules,
    /// When a link was last asked although all of them were given a pause.
    forced: Mutex<Option<Instant>>,
    turn: AtomicUsize,
    random: fn() -> f64,
}

/// If every link is given a pause for its failures, one is asked all the same so often.
const FORCED_PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl FallbackGroup {
    /// The chain called `id`. `random` draws from 0 to 1.
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

    /// Nobody knows beforehand who will answer; credentials make no difference.
    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        let first = self.shared.targets.first()?;
        (self.shared.rules.order == FallbackOrder::RoundRobin)
            .then(|| first.provider()?.upstream_dialect(target, dialect))
            .flatten()
    }

    /// Something speaks against a chain if something does against each of its targets; what will
    /// pass the soonest is told.
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
        for target in self.shared.order(false) {
            planned.extend(target.plan(&call).await);
        }
        planned
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let call = self.shared.with_rules(call);
        let mut run = FallbackRun::new(&self.shared, call, "answer");
        let ProviderResponse { meta, chunks } = run.generate().await?;
        Ok(ProviderResponse { meta, chunks: replay::retry_until_output(chunks, run) })
    }

    /// The first link that is asked counts, and no other: another model would count otherwise.
    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let call = self.shared.with_rules(call);
        FallbackRun::new(&self.shared, call, "count_tokens").count_tokens().await
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<Embedded> {
        FallbackRun::new(&self.shared, call, "embed").embed().await
    }
}

impl FallbackShared {
    /// The call, as the rules want it treated.
    fn with_rules(&self, mut call: ProviderRequest) -> ProviderRequest {
        call.context.breaker.bypass_breaker |= !self.rules.respect_breakers;
        call
    }

    /// The targets, in the order in which this request asks them.
    fn order(&self, advances: bool) -> impl Iterator<Item = &FallbackTarget> {
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
        order.into_iter().filter_map(|at| self.targets.get(at))
    }

    /// Whether a link may be asked now although all are given a pause.
    fn may_force(&self, now: Instant) -> bool {
        let mut forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
        let may = forced.is_none_or(|last| now.duration_since(last) >= FORCED_PROBE_INTERVAL);
        if may {
            *forced = Some(now);
        }
        may
    }

    /// Credentials are not targets: nobody counts them.
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
