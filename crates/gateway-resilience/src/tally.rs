//! What an answer took: attempts, and who was asked in vain.

use gateway_core::{Attempt, AttemptOutcome, GatewayError, ResponseMeta, UnavailableReason};
use std::sync::Arc;

/// What went before the answer, or the failure, that is told in the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    attempts: u32,
    steps: Vec<Attempt>,
    /// Who failed last.
    last: Option<(Arc<str>, Arc<str>)>,
}

impl Tally {
    /// How often upstreams were called in vain.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Takes over what `error` tells of who failed.
    pub(crate) fn failed(&mut self, error: &mut GatewayError) {
        let Some(head) = error.take_head() else { return };
        self.attempts = self.attempts.saturating_add(head.attempts);
        let ResponseMeta { provider, model, steps, .. } = head;
        if steps.is_empty() {
            let fate = AttemptOutcome::Failed(error.kind());
            let (provider, model) = (Arc::clone(&provider), Arc::clone(&model));
            self.steps.push(Attempt { provider, model, fate });
        }
        self.steps.extend(steps);
        self.last = Some((provider, model));
    }

    /// Notes a target that was not asked.
    pub(crate) fn skipped(
        &mut self,
        provider: &Arc<str>,
        model: &Arc<str>,
        against: UnavailableReason,
    ) {
        let (provider, model) = (Arc::clone(provider), Arc::clone(model));
        self.steps.push(Attempt { provider, model, fate: AttemptOutcome::Skipped(against) });
    }

    /// Tells `head`, and what went before it.
    pub(crate) fn tell(&mut self, mut head: ResponseMeta) -> ResponseMeta {
        head.attempts = head.attempts.saturating_add(self.attempts);
        if !self.steps.is_empty() {
            let later = std::mem::replace(&mut head.steps, self.steps.clone());
            head.steps.extend(later);
        }
        head
    }

    /// Lets `error` tell all that went before it.
    pub(crate) fn blame(self, error: GatewayError) -> GatewayError {
        let Self { attempts, steps, last } = self;
        if attempts == 0 && steps.is_empty() {
            return error;
        }
        let (provider, model) = last.unwrap_or_default();
        error.by(ResponseMeta { provider, model, attempts, steps, ..ResponseMeta::default() })
    }
}

/// An answer that has begun, as far as it must be told of if it breaks off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun(ResponseMeta);

impl Begun {
    pub(crate) fn of(head: &ResponseMeta) -> Self {
        Self(ResponseMeta {
            provider: Arc::clone(&head.provider),
            model: Arc::clone(&head.model),
            attempts: head.attempts,
            steps: head.steps.clone(),
            ..ResponseMeta::default()
        })
    }

    /// An answer that broke off tells who gave it.
    pub(crate) fn broke_off(&self, error: GatewayError) -> GatewayError {
        if error.head().is_some() { error } else { error.by(self.0.clone()) }
    }
}
