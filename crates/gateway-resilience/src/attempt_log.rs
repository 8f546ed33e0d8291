//! The attempt log of a request: upstream calls, failed and skipped targets.

use gateway_core::{Attempt, AttemptOutcome, GatewayError, ResponseMeta, UnavailableReason};
use std::sync::Arc;

/// The attempts that preceded a response or a final failure.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttemptLog {
    attempts: u32,
    entries: Vec<Attempt>,
    /// Provider and model of the last failure.
    last_failed: Option<(Arc<str>, Arc<str>)>,
}

impl AttemptLog {
    /// Returns the number of failed upstream calls.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Moves the metadata of `error` into the log.
    pub(crate) fn push_failed(&mut self, error: &mut GatewayError) {
        let Some(meta) = error.take_meta() else { return };
        self.attempts = self.attempts.saturating_add(meta.attempts);
        let ResponseMeta { provider, model, attempts_log: entries, .. } = meta;
        if entries.is_empty() {
            let outcome = AttemptOutcome::Failed(error.kind());
            let (provider, model) = (Arc::clone(&provider), Arc::clone(&model));
            self.entries.push(Attempt { provider, model, outcome });
        }
        self.entries.extend(entries);
        self.last_failed = Some((provider, model));
    }

    /// Records a target that was skipped.
    pub(crate) fn push_skipped(
        &mut self,
        provider: &Arc<str>,
        model: &Arc<str>,
        against: UnavailableReason,
    ) {
        let (provider, model) = (Arc::clone(provider), Arc::clone(model));
        self.entries.push(Attempt { provider, model, outcome: AttemptOutcome::Skipped(against) });
    }

    /// Returns `meta` with the attempts that preceded it.
    pub(crate) fn attach_to_meta(&mut self, mut meta: ResponseMeta) -> ResponseMeta {
        meta.attempts = meta.attempts.saturating_add(self.attempts);
        if !self.entries.is_empty() {
            let later = std::mem::replace(&mut meta.attempts_log, self.entries.clone());
            meta.attempts_log.extend(later);
        }
        meta
    }

    /// Attaches all attempts to `error`.
    pub(crate) fn attach_to_error(self, error: GatewayError) -> GatewayError {
        let Self { attempts, entries, last_failed } = self;
        if attempts == 0 && entries.is_empty() {
            return error;
        }
        let (provider, model) = last_failed.unwrap_or_default();
        error.with_meta(ResponseMeta {
            provider,
            model,
            attempts,
            attempts_log: entries,
            ..ResponseMeta::default()
        })
    }
}

/// The metadata of a response that has started, for the error if it breaks off; nothing before.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartedResponse(Option<StartedMeta>);

#[derive(Clone, Debug)]
struct StartedMeta {
    provider: Arc<str>,
    model: Arc<str>,
    attempts: u32,
    attempts_log: Vec<Attempt>,
}

impl StartedResponse {
    pub(crate) fn of(meta: &ResponseMeta) -> Self {
        Self(Some(StartedMeta {
            provider: Arc::clone(&meta.provider),
            model: Arc::clone(&meta.model),
            attempts: meta.attempts,
            attempts_log: meta.attempts_log.clone(),
        }))
    }

    /// Attaches the metadata to an error that has none.
    pub(crate) fn attribute(&self, error: GatewayError) -> GatewayError {
        if error.meta().is_some() {
            return error;
        }
        error.with_meta(self.0.clone().map(Into::into).unwrap_or_default())
    }
}

impl From<StartedMeta> for ResponseMeta {
    fn from(started: StartedMeta) -> Self {
        let StartedMeta { provider, model, attempts, attempts_log } = started;
        Self { provider, model, attempts, attempts_log, ..Self::default() }
    }
}
