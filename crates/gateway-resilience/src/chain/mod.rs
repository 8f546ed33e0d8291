//! Several targets that answer for one name, or several credentials of one provider.
//!
//! ```text
//!   Chain ── Link ──▶ Retry ─▶ Chain ── Link ──▶ Guarded ─▶ Deadlines ─▶ openai, first key
//!     │      its own target       └──── Link ──▶ Guarded ─▶ Deadlines ─▶ openai, second key
//!     └───── Link ──▶ Retry ─▶ Guarded ─▶ Deadlines ─▶ anthropic
//! ```
//!
//! The first link that nothing speaks against is asked. If it fails in one of the ways that the
//! chain's rules name, before its first output, the next one is.

mod condition;
mod journey;
mod link;
#[cfg(test)]
mod tests;

pub use self::{condition::Condition, link::Link};

use crate::{again, told};
use async_trait::async_trait;
use gateway_core::{
    Dialect, Embedded, EmbeddingCall, PlannedAttempt, Provider, ProviderRequest, ProviderResponse,
    Result, Target, UnavailableReason,
};
use journey::Journey;
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
pub struct Chain {
    shared: Arc<Shared>,
}

/// How a chain goes from link to link.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which link is asked first, and which then.
    pub order: Order,
    /// After which failures the next link is asked.
    pub on: Vec<Condition>,
    /// Whether a link may be asked more than once.
    pub retry: bool,
    /// Whether breakers and pauses are heeded.
    pub guarded: bool,
}

/// In which order links are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// As they are listed.
    Listed,
    /// Drawn anew for each request, by their weights.
    Weighted,
    /// Each request begins with the next: they are credentials for the same thing.
    InTurn,
}

struct Shared {
    id: Arc<str>,
    links: Vec<Link>,
    rules: Rules,
    /// When a link was last asked although all of them were given a pause.
    pressed: Mutex<Option<Instant>>,
    turn: AtomicUsize,
    random: fn() -> f64,
}

/// If every link is given a pause for its failures, one is asked all the same so often.
const PRESSED_EVERY: Duration = Duration::from_secs(1);

impl Chain {
    /// The chain called `id`. `random` draws from 0 to 1.
    pub fn new(id: &str, links: Vec<Link>, rules: Rules, random: fn() -> f64) -> Self {
        let (id, pressed, turn) = (id.into(), Mutex::default(), AtomicUsize::new(0));
        Self { shared: Arc::new(Shared { id, links, rules, pressed, turn, random }) }
    }
}

#[async_trait]
impl Provider for Chain {
    fn id(&self) -> &str {
        &self.shared.id
    }

    /// Nobody knows beforehand who will answer; credentials make no difference.
    fn upstream_dialect(&self, target: &Target, dialect: Dialect) -> Option<Dialect> {
        let first = self.shared.links.first()?;
        (self.shared.rules.order == Order::InTurn)
            .then(|| first.provider()?.upstream_dialect(target, dialect))
            .flatten()
    }

    /// Something speaks against a chain if something does against each of its links; what will
    /// pass the soonest is told.
    fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        let mut soonest: Option<UnavailableReason> = None;
        for link in &self.shared.links {
            let against = link.unavailability(target, self.shared.rules.guarded)?;
            let is_sooner = |other: UnavailableReason| match (against.wait(), other.wait()) {
                (Some(wait), Some(other)) => wait < other,
                (wait, None) => wait.is_some(),
                (None, Some(_)) => false,
            };
            if soonest.is_none_or(is_sooner) {
                soonest = Some(against);
            }
        }
        soonest
    }

    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        let call = self.shared.adapted(call.clone());
        let mut prospects = Vec::new();
        for link in self.shared.order(false) {
            prospects.extend(link.plan(&call).await);
        }
        prospects
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let call = self.shared.adapted(call);
        let mut journey = Journey::new(&self.shared, call, "answer");
        let ProviderResponse { meta, chunks } = journey.answer().await?;
        Ok(ProviderResponse { meta, chunks: again::until_output(chunks, journey) })
    }

    /// The first link that is asked counts, and no other: another model would count otherwise.
    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let call = self.shared.adapted(call);
        Journey::new(&self.shared, call, "count_tokens").count().await
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<Embedded> {
        Journey::new(&self.shared, call, "embed").embed().await
    }
}

impl Shared {
    /// The call, as the rules want it treated.
    fn adapted(&self, mut call: ProviderRequest) -> ProviderRequest {
        call.context.breaker.bypass_breaker |= !self.rules.guarded;
        call
    }

    /// The links, in the order in which this request asks them.
    fn order(&self, is_real: bool) -> impl Iterator<Item = &Link> {
        let count = self.links.len();
        let mut order: Vec<usize> = (0..count).collect();
        match self.rules.order {
            Order::Listed => {}
            Order::InTurn => {
                let step = usize::from(is_real);
                order.rotate_left(self.turn.fetch_add(step, Ordering::Relaxed) % count.max(1));
            }
            Order::Weighted => {
                let weight = |at: &usize| self.links.get(*at).map_or(0.0, Link::weight);
                if is_real {
                    // The larger of powers of draws: an order by weight, without replacement.
                    let draw = |at: usize| (at, (self.random)().powf(1.0 / weight(&at)));
                    let mut lots: Vec<_> = order.into_iter().map(draw).collect();
                    lots.sort_by(|(_, one), (_, other)| other.total_cmp(one));
                    order = lots.into_iter().map(|(at, _)| at).collect();
                } else {
                    order.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
                }
            }
        }
        order.into_iter().filter_map(|at| self.links.get(at))
    }

    /// Whether a link may be asked now although all are given a pause.
    fn may_press(&self, now: Instant) -> bool {
        let mut pressed = self.pressed.lock().unwrap_or_else(PoisonError::into_inner);
        let may = pressed.is_none_or(|last| now.duration_since(last) >= PRESSED_EVERY);
        if may {
            *pressed = Some(now);
        }
        may
    }

    /// Credentials are not targets: nobody counts them.
    fn tell(&self, link: &Link, operation: Option<&'static str>) {
        if self.rules.order == Order::InTurn {
            return;
        }
        match operation {
            Some(operation) => told::asked(&self.id, link.name(), operation),
            None => told::answered(&self.id, link.name()),
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("id", &self.shared.id)
            .field("links", &self.shared.links)
            .field("rules", &self.shared.rules)
            .finish_non_exhaustive()
    }
}
