//! The run of one request through a fallback group.

use super::{
    FallbackCondition, FallbackOrder, FallbackShared,
    target::{FallbackRequest, FallbackTarget},
};
use crate::{
    attempt_log::{AttemptLog, StartedResponse},
    circuit_breaker::unavailable_error,
    replay::{AttemptFuture, NextAttempt, StartedAttempt},
    retry::MAX_UPSTREAM_CALLS,
};
use gateway_core::{
    ChunkStream, EmbeddingCall, EmbeddingResult, ErrorKind, GatewayError, Provider,
    ProviderRequest, ProviderResponse, Result, UnavailableReason,
};
use std::{collections::VecDeque, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A request and the targets that are still to be considered.
pub(super) struct FallbackRun<R> {
    shared: Arc<FallbackShared>,
    request: R,
    operation: &'static str,
    /// Indices of targets that were not considered yet.
    pending: VecDeque<usize>,
    attempt_log: AttemptLog,
    /// Shortest retry-after of all failures.
    wait: Option<Duration>,
    /// Of the targets that are given a pause for their failures, the one whose pause is the
    /// shortest.
    soonest_open: Option<(Duration, usize)>,
    /// Reason for skipped targets; temporary reasons take precedence.
    reason: Option<UnavailableReason>,
    /// Last failure that led to a fallback.
    failure: Option<GatewayError>,
    started: StartedResponse,
}

/// The next call: target and adapted request.
struct NextCall<R> {
    provider: Arc<dyn Provider>,
    index: usize,
    request: R,
}

/// Puts first the target that issued the last seal of the conversation, unless the configuration
/// says which target is first: another one would have to be asked without the seal.
fn prefer_seal_owner<R: FallbackRequest>(
    shared: &FallbackShared,
    request: &R,
    pending: &mut VecDeque<usize>,
) {
    if shared.rules.order == FallbackOrder::Priority {
        return;
    }
    let Some(owner) = request.latest_seal_owner() else { return };
    let issued = |at: &usize| {
        let target = shared.targets.get(*at);
        target.is_some_and(|it| it.seal_owners(request.target()).contains(&owner))
    };
    if let Some(issuer) = pending.iter().position(issued)
        && let Some(at) = pending.remove(issuer)
    {
        pending.push_front(at);
    }
}

impl<R: FallbackRequest> FallbackRun<R> {
    pub(super) fn new(shared: &Arc<FallbackShared>, request: R, operation: &'static str) -> Self {
        let mut pending = VecDeque::from(shared.order(true));
        if request.context().provider_key.is_some() {
            // The caller's key replaces each of the credentials: one call is enough.
            pending.truncate(1);
        }
        prefer_seal_owner(shared, &request, &mut pending);
        Self {
            shared: Arc::clone(shared),
            request,
            operation,
            pending,
            attempt_log: AttemptLog::default(),
            wait: None,
            soonest_open: None,
            reason: None,
            failure: None,
            started: StartedResponse::default(),
        }
    }

    /// Returns the next available target.
    fn next_call(&mut self) -> Option<NextCall<R>> {
        while self.calls_left() > 0
            && let Some(at) = self.pending.pop_front()
        {
            let shared = Arc::clone(&self.shared);
            let candidate = shared.targets.get(at)?;
            match candidate.unavailability_for(&self.request) {
                None => return self.call_to(at, false),
                Some(reason) => self.record_skip(at, candidate, reason),
            }
        }
        self.force_attempt()
    }

    /// Forces a probe of the target whose circuit closes soonest, if every circuit is open.
    fn force_attempt(&mut self) -> Option<NextCall<R>> {
        let (_, at) = self.soonest_open.take().filter(|_| self.attempt_log.attempts() == 0)?;
        let is_forced = self.request.context().breaker.force_open_circuit;
        let may = is_forced
            || self.shared.rules.order != FallbackOrder::RoundRobin
                && self.shared.may_force(Instant::now());
        if may { self.call_to(at, true) } else { None }
    }

    fn call_to(&self, at: usize, forced: bool) -> Option<NextCall<R>> {
        let candidate = self.shared.targets.get(at)?;
        self.shared.count(candidate, Some(self.operation));
        let attempts = self.call_allowance();
        let target = candidate.target(self.request.target()).clone();
        let request = self.request.retargeted(target, |context| {
            context.attempts = NonZeroU32::new(attempts);
            context.breaker.force_open_circuit |= forced;
        });
        Some(NextCall { provider: Arc::clone(candidate.provider()?), index: at, request })
    }

    fn record_skip(&mut self, at: usize, candidate: &FallbackTarget, reason: UnavailableReason) {
        let model = &candidate.target(self.request.target()).model;
        self.attempt_log.push_skipped(candidate.provider_id(), model, reason);
        self.note_wait(reason.wait());
        if let UnavailableReason::CircuitOpen { wait } = reason
            && self.soonest_open.is_none_or(|(shortest, _)| wait < shortest)
        {
            self.soonest_open = Some((wait, at));
        }
        let is_temporary = |reason: UnavailableReason| reason.wait().is_some();
        if self.reason.is_none_or(|before| !is_temporary(before) && is_temporary(reason)) {
            self.reason = Some(reason);
        }
    }

    fn note_wait(&mut self, wait: Option<Duration>) {
        self.wait = match (self.wait, wait) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Returns the number of upstream calls left.
    fn calls_left(&self) -> u32 {
        let all = self.request.context().attempts.map_or(MAX_UPSTREAM_CALLS, NonZeroU32::get);
        all.saturating_sub(self.attempt_log.attempts())
    }

    /// Returns the calls that the next target may use, keeping one for each target after it.
    fn call_allowance(&self) -> u32 {
        if !self.shared.rules.retry {
            return 1;
        }
        let behind = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
        self.calls_left().saturating_sub(behind).max(1)
    }

    /// Records the failure of a target.
    ///
    /// # Errors
    ///
    /// `error`, if no other target is to be called after it.
    fn record_failure(&mut self, mut error: GatewayError) -> Result<()> {
        self.attempt_log.push_failed(&mut error);
        self.note_wait(error.retry_after());
        let condition = FallbackCondition::of(&error);
        let is_final = !self.request.is_repeatable();
        if is_final || condition.is_none_or(|it| !self.shared.rules.on.contains(&it)) {
            return Err(std::mem::take(&mut self.attempt_log).attach_to_error(error));
        }
        self.failure = Some(error);
        Ok(())
    }

    /// Returns the error when no target is left.
    fn final_error(&mut self) -> GatewayError {
        let attempt_log = std::mem::take(&mut self.attempt_log);
        let is_choice = self.shared.rules.order != FallbackOrder::RoundRobin;
        let error = match (self.failure.take(), self.reason) {
            (Some(error), _) if error.kind().is_retryable() => {
                let error = error.with_retry_after(self.wait);
                let is_final = is_choice && self.wait.is_none();
                if is_final { error.as_final_attempt() } else { error }
            }
            (Some(error), _) => error,
            (None, Some(UnavailableReason::CircuitOpen { .. })) if is_choice => GatewayError::new(
                ErrorKind::Unavailable,
                "no healthy upstream: the circuit breaker of every target is open",
            )
            .with_code("no_healthy_upstream")
            .with_retry_after(self.wait)
            .as_final_attempt(),
            (None, Some(reason)) => {
                let subject = if is_choice { "every target of" } else { "provider" };
                let error = unavailable_error(reason, &format!("{subject} '{}'", self.shared.id));
                let wait = self.wait.filter(|_| error.retry_after().is_some());
                error.with_retry_after(wait)
            }
            (None, None) => {
                GatewayError::new(ErrorKind::Internal, "a fallback group without targets")
            }
        };
        attempt_log.attach_to_error(error)
    }

    fn record_success(&self, at: usize) {
        if let Some(candidate) = self.shared.targets.get(at) {
            self.shared.count(candidate, None);
        }
    }
}

impl FallbackRun<ProviderRequest> {
    pub(super) async fn generate(&mut self) -> Result<ProviderResponse> {
        while let Some(NextCall { provider, index, request }) = self.next_call() {
            match provider.generate(request).await {
                Ok(ProviderResponse { meta, chunks }) => {
                    self.record_success(index);
                    self.started = StartedResponse::of(&meta);
                    return Ok(ProviderResponse {
                        meta: self.attempt_log.attach_to_meta(meta),
                        chunks,
                    });
                }
                Err(error) => self.record_failure(error)?,
            }
        }
        Err(self.final_error())
    }

    pub(super) async fn count_tokens(&mut self) -> Result<Option<u64>> {
        while let Some(NextCall { provider, request, .. }) = self.next_call() {
            match provider.count_tokens(request).await {
                Ok(counted) => return Ok(counted),
                Err(error) => self.record_failure(error)?,
            }
        }
        Err(self.final_error())
    }
}

impl FallbackRun<EmbeddingCall> {
    pub(super) async fn embed(&mut self) -> Result<EmbeddingResult> {
        while let Some(NextCall { provider, index, request }) = self.next_call() {
            match provider.embed(request).await {
                Ok(embedded) => {
                    self.record_success(index);
                    let meta = self.attempt_log.attach_to_meta(embedded.meta);
                    return Ok(EmbeddingResult { meta, ..embedded });
                }
                Err(error) => self.record_failure(error)?,
            }
        }
        Err(self.final_error())
    }
}

impl NextAttempt for FallbackRun<ProviderRequest> {
    type Chunks = ChunkStream;

    fn next_attempt(mut self, error: GatewayError) -> AttemptFuture<Self> {
        Box::pin(async move {
            let error = self.started.attribute(error);
            self.record_failure(error)?;
            let ProviderResponse { meta, chunks } = self.generate().await?;
            Ok(StartedAttempt { next: self, meta, chunks })
        })
    }
}
