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
        let Some(meta) = error.take_meta() else { return };
        self.attempts = self.attempts.saturating_add(meta.attempts);
        let ResponseMeta { provider, model, attempts_log: steps, .. } = meta;
        if steps.is_empty() {
            let outcome = AttemptOutcome::Failed(error.kind());
            let (provider, model) = (Arc::clone(&provider), Arc::clone(&model));
            self.steps.push(Attempt { provider, model, outcome });
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
        self.steps.push(Attempt { provider, model, outcome: AttemptOutcome::Skipped(against) });
    }

    /// Tells `meta`, and what went before it.
    pub(crate) fn tell(&mut self, mut meta: ResponseMeta) -> ResponseMeta {
        meta.attempts = meta.attempts.saturating_add(self.attempts);
        if !self.steps.is_empty() {
            let later = std::mem::replace(&mut meta.attempts_log, self.steps.clone());
            meta.attempts_log.extend(later);
        }
        meta
    }

    /// Lets `error` tell all that went before it.
    pub(crate) fn blame(self, error: GatewayError) -> GatewayError {
        let Self { attempts, steps, last } = self;
        if attempts == 0 && steps.is_empty() {
            return error;
        }
        let (provider, model) = last.unwrap_or_default();
        error.with_meta(ResponseMeta {
            provider,
            model,
            attempts,
            attempts_log: steps,
            ..ResponseMeta::default()
        })
    }
}

/// An answer that has begun, as far as it must be told of if it breaks off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun(ResponseMeta);

impl Begun {
    pub(crate) fn of(meta: &ResponseMeta) -> Self {
        Self(ResponseMeta {
            provider: Arc::clone(&meta.provider),
            model: Arc::clone(&meta.model),
            attempts: meta.attempts,
            attempts_log: meta.attempts_log.clone(),
            ..ResponseMeta::default()
        })
    }

    /// An answer that broke off tells who gave it.
    pub(crate) fn broke_off(&self, error: GatewayError) -> GatewayError {
        if error.meta().is_some() { error } else { error.with_meta(self.0.clone()) }
    }
}
