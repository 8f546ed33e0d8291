//! One request on its way along a chain.

use super::{
    Condition, Order, Shared,
    link::{Link, Request},
};
use crate::{
    again::{Again, Asking},
    guarded::refusal,
    retry::MOST_ATTEMPTS,
    tally::{Begun, Tally},
};
use gateway_core::{
    Embedded, EmbeddingCall, ErrorKind, GatewayError, Provider, ProviderRequest, ProviderResponse,
    Result, UnavailableReason,
};
use std::{collections::VecDeque, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A request, and what of the chain it has not seen yet.
pub(super) struct Journey<R> {
    shared: Arc<Shared>,
    request: R,
    operation: &'static str,
    /// The links that were not considered yet.
    ahead: VecDeque<usize>,
    tally: Tally,
    /// Of all waits that were told, the shortest.
    wait: Option<Duration>,
    /// Of the links that are given a pause for their failures, the one whose pause is the shortest.
    open: Option<(Duration, usize)>,
    /// What spoke against those that were not asked; what lasts counts least.
    against: Option<UnavailableReason>,
    /// The last failure.
    failure: Option<GatewayError>,
    begun: Begun,
}

/// Whom to ask next, and how.
struct Next<R> {
    provider: Arc<dyn Provider>,
    link: usize,
    request: R,
}

impl<R: Request> Journey<R> {
    pub(super) fn new(shared: &Arc<Shared>, request: R, operation: &'static str) -> Self {
        let at = |link: &Link| shared.links.iter().position(|it| std::ptr::eq(it, link));
        let ahead = shared.order(true).filter_map(at).collect();
        Self {
            shared: Arc::clone(shared),
            request,
            operation,
            ahead,
            tally: Tally::default(),
            wait: None,
            open: None,
            against: None,
            failure: None,
            begun: Begun::default(),
        }
    }

    /// The next link that nothing speaks against.
    fn next(&mut self) -> Option<Next<R>> {
        while self.left() > 0
            && let Some(at) = self.ahead.pop_front()
        {
            let shared = Arc::clone(&self.shared);
            let link = shared.links.get(at)?;
            match link.refuses(&self.request) {
                None => return self.ask(at, false),
                Some(against) => self.skip(at, link, against),
            }
        }
        self.press()
    }

    /// If all that speaks against everybody is that they fail, one is asked all the same.
    fn press(&mut self) -> Option<Next<R>> {
        let (_, at) = self.open.take().filter(|_| self.tally.attempts() == 0)?;
        let is_asked_to = self.request.context().breaker.force_open_circuit;
        let may = is_asked_to
            || self.shared.rules.order != Order::InTurn && self.shared.may_press(Instant::now());
        if may { self.ask(at, true) } else { None }
    }

    fn ask(&self, at: usize, pressed: bool) -> Option<Next<R>> {
        let link = self.shared.links.get(at)?;
        self.shared.tell(link, Some(self.operation));
        let attempts = self.share();
        let target = link.target(self.request.target()).clone();
        let request = self.request.to(target, |context| {
            context.attempts = NonZeroU32::new(attempts);
            context.breaker.force_open_circuit |= pressed;
        });
        Some(Next { provider: Arc::clone(link.provider()?), link: at, request })
    }

    fn skip(&mut self, at: usize, link: &Link, against: UnavailableReason) {
        let model = &link.target(self.request.target()).model;
        self.tally.skipped(link.provider_id(), model, against);
        self.waits(against.wait());
        if let UnavailableReason::CircuitOpen { wait } = against
            && self.open.is_none_or(|(shortest, _)| wait < shortest)
        {
            self.open = Some((wait, at));
        }
        let passes = |against: UnavailableReason| against.wait().is_some();
        if self.against.is_none_or(|before| !passes(before) && passes(against)) {
            self.against = Some(against);
        }
    }

    fn waits(&mut self, wait: Option<Duration>) {
        self.wait = match (self.wait, wait) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// How often upstreams may still be called.
    fn left(&self) -> u32 {
        let all = self.request.context().attempts.map_or(MOST_ATTEMPTS, NonZeroU32::get);
        all.saturating_sub(self.tally.attempts())
    }

    /// How often the next link may call upstreams: what is left for each behind it is one call.
    fn share(&self) -> u32 {
        if !self.shared.rules.retry {
            return 1;
        }
        let behind = u32::try_from(self.ahead.len()).unwrap_or(u32::MAX);
        self.left().saturating_sub(behind).max(1)
    }

    /// Learns that a link failed.
    ///
    /// # Errors
    ///
    /// `error`, if nobody else is to be asked after it.
    fn failed(&mut self, mut error: GatewayError) -> Result<()> {
        self.tally.failed(&mut error);
        self.waits(error.retry_after());
        let condition = Condition::of(&error);
        if condition.is_none_or(|it| !self.shared.rules.on.contains(&it)) {
            return Err(std::mem::take(&mut self.tally).blame(error));
        }
        self.failure = Some(error);
        Ok(())
    }

    /// What is told when there is nobody left to ask.
    fn verdict(&mut self) -> GatewayError {
        let tally = std::mem::take(&mut self.tally);
        let is_choice = self.shared.rules.order != Order::InTurn;
        let error = match (self.failure.take(), self.against) {
            (Some(error), _) if error.kind().is_retryable() => {
                let error = error.with_retry_after(self.wait);
                let is_final = is_choice && self.wait.is_none();
                if is_final { error.as_final_attempt() } else { error }
            }
            (Some(error), _) => error,
            (None, Some(UnavailableReason::CircuitOpen { .. })) if is_choice => GatewayError::new(
                ErrorKind::Unavailable,
                "none of the providers that could answer is well enough to be asked",
            )
            .with_code("no_healthy_upstream")
            .with_retry_after(self.wait)
            .as_final_attempt(),
            (None, Some(against)) => {
                let error = refusal(against);
                let wait = self.wait.filter(|_| error.retry_after().is_some());
                error.with_retry_after(wait)
            }
            (None, None) => GatewayError::new(ErrorKind::Internal, "a chain without links"),
        };
        tally.blame(error)
    }

    fn succeeded(&self, at: usize) {
        if let Some(link) = self.shared.links.get(at) {
            self.shared.tell(link, None);
        }
    }
}

impl Journey<ProviderRequest> {
    pub(super) async fn answer(&mut self) -> Result<ProviderResponse> {
        while let Some(Next { provider, link, request }) = self.next() {
            match provider.generate(request).await {
                Ok(ProviderResponse { meta, chunks }) => {
                    self.succeeded(link);
                    self.begun = Begun::of(&meta);
                    return Ok(ProviderResponse { meta: self.tally.tell(meta), chunks });
                }
                Err(error) => self.failed(error)?,
            }
        }
        Err(self.verdict())
    }

    pub(super) async fn count(&mut self) -> Result<Option<u64>> {
        while let Some(Next { provider, request, .. }) = self.next() {
            match provider.count_tokens(request).await {
                Ok(counted) => return Ok(counted),
                Err(error) => self.failed(error)?,
            }
        }
        Err(self.verdict())
    }
}

impl Journey<EmbeddingCall> {
    pub(super) async fn embed(&mut self) -> Result<Embedded> {
        while let Some(Next { provider, link, request }) = self.next() {
            match provider.embed(request).await {
                Ok(embedded) => {
                    self.succeeded(link);
                    let meta = self.tally.tell(embedded.meta);
                    return Ok(Embedded { meta, ..embedded });
                }
                Err(error) => self.failed(error)?,
            }
        }
        Err(self.verdict())
    }
}

impl Again for Journey<ProviderRequest> {
    fn again(mut self, error: GatewayError) -> Asking<Self> {
        Box::pin(async move {
            let error = self.begun.broke_off(error);
            self.failed(error)?;
            let answer = self.answer().await?;
            Ok((self, answer))
        })
    }
}
