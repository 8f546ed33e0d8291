//! Retries with backoff and a budget, before the first output.
//!
//! Only failures that may pass are retried, only before the first output, and only
//! within the provider's [`RetryBudget`].

use crate::{attempt_log::AttemptLog, retry_budget::RetryBudget};
use gateway_core::{ErrorKind, GatewayError, Result, sync};
use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::{self, Instant};

/// The number of attempts, the backoff and the retry budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Maximum number of upstream calls of a request; 1 disables retries. Default: 3.
    pub max_attempts: u32,
    /// Upper bound of the random delay before the second attempt; doubles with each. Default: 250
    /// ms.
    pub base_delay: Duration,
    /// Maximum delay: an upstream that asks for more is not retried. Default: 2 s.
    pub max_delay: Duration,
    /// Whether requests are retried that were sent and not answered. Embedding
    /// requests are always retried, because computing them twice costs little. Default: off.
    pub retry_non_idempotent: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(2),
            retry_non_idempotent: false,
        }
    }
}

/// Maximum number of upstream calls of a request, across all layers.
pub(crate) const MAX_UPSTREAM_CALLS: u32 = 4;

/// The retries of a provider.
pub(crate) struct Retries {
    policy: RetryPolicy,
    budget: Mutex<RetryBudget>,
    random: fn() -> f64,
    observer: Option<RetryObserver>,
}

/// An observer of retries.
pub type RetryObserver = Arc<dyn Fn() + Send + Sync>;

/// The retry state of one request.
pub(crate) struct RetryState {
    retries: Arc<Retries>,
    /// Maximum number of attempts.
    limit: u32,
    /// Maximum number of upstream calls.
    calls: u32,
    retry_non_idempotent: bool,
    attempt: u32,
    pub(crate) attempt_log: AttemptLog,
}

impl RetryState {
    /// The state of a request that may cost `allowed` upstream calls. Whether it may have been
    /// executed matters unless it is `idempotent`, or the policy says so.
    pub(crate) fn new(
        retries: &Arc<Retries>,
        allowed: Option<NonZeroU32>,
        idempotent: bool,
    ) -> Self {
        retries.budget().record_call(Instant::now());
        let calls = allowed.map_or(MAX_UPSTREAM_CALLS, NonZeroU32::get);
        let policy = &retries.policy;
        let retry_non_idempotent = idempotent || policy.retry_non_idempotent;
        let limit = policy.max_attempts.min(calls);
        let (retries, attempt_log) = (Arc::clone(retries), AttemptLog::default());
        Self { retries, limit, calls, retry_non_idempotent, attempt: 1, attempt_log }
    }

    /// Returns the number of upstream calls left.
    pub(crate) fn calls_left(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.calls.saturating_sub(self.attempt_log.attempts()).max(1))
    }

    /// Returns the error of a request that cannot be sent again.
    pub(crate) fn give_up(&mut self, mut error: GatewayError) -> GatewayError {
        self.attempt_log.push_failed(&mut error);
        std::mem::take(&mut self.attempt_log).attach_to_error(error)
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    ///
    /// `error`, if no further attempt is allowed.
    pub(crate) async fn backoff(&mut self, mut error: GatewayError) -> Result<()> {
        self.attempt_log.push_failed(&mut error);
        let retryable = should_retry(&error)
            || self.retry_non_idempotent && may_have_executed(&error)
            || self.attempt == 1 && is_malformed_tool_call(&error);
        let pause = self.next_delay(&error).filter(|_| retryable);
        let has_budget = || self.retries.budget().try_retry(Instant::now());
        let Some(pause) = pause.filter(|_| has_budget()) else {
            let error = std::mem::take(&mut self.attempt_log).attach_to_error(error);
            // With a `retry-after`, the caller may retry once it is over. Without one, the attempts
            // are used up, or the budget is: so many calls fail that the callers' own retries would
            // only add load.
            let is_final =
                retryable && self.retries.policy.max_attempts > 1 && error.retry_after().is_none();
            return Err(if is_final { error.as_final_attempt() } else { error });
        };
        self.attempt += 1;
        if let Some(observer) = &self.retries.observer {
            observer();
        }
        time::sleep(pause).await;
        Ok(())
    }

    /// Returns the delay before another attempt; `None` if none is left.
    fn next_delay(&self, error: &GatewayError) -> Option<Duration> {
        if self.attempt >= self.limit || self.attempt_log.attempts() >= self.calls {
            return None;
        }
        let policy = &self.retries.policy;
        let doubled = policy.base_delay.saturating_mul(1 << (self.attempt - 1).min(16));
        let drawn = doubled.min(policy.max_delay).mul_f64((self.retries.random)());
        let pause = drawn.max(error.retry_after().unwrap_or_default());
        (pause <= policy.max_delay).then_some(pause)
    }
}

impl Retries {
    /// The retries that `policy` allows. `random` returns numbers from 0 to 1; `observer` is called
    /// for every attempt after the first.
    pub(crate) fn new(
        policy: RetryPolicy,
        random: fn() -> f64,
        observer: Option<RetryObserver>,
    ) -> Self {
        let budget = Mutex::new(RetryBudget::new(Instant::now()));
        Self { policy, budget, random, observer }
    }

    fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        sync::lock(&self.budget)
    }
}

/// Returns whether the failure may pass and the request cannot have been executed.
///
/// A request that was sent and answered with silence may have been executed, and paid for. A
/// certificate that is wrong stays wrong.
fn should_retry(error: &GatewayError) -> bool {
    let kind = error.kind();
    let passing = matches!(
        kind,
        ErrorKind::RateLimited
            | ErrorKind::Upstream
            | ErrorKind::UpstreamOverloaded
            | ErrorKind::UpstreamUnreachable
    );
    // An upstream that says itself that it gave up has done nothing.
    let gave_up = kind == ErrorKind::UpstreamTimeout && error.upstream_status().is_some();
    (passing || gave_up) && error.code() != "upstream_tls"
}

/// Returns whether the provider could not parse the model's own tool call: models write
/// something else the second time, but those that slip twice do so again.
fn is_malformed_tool_call(error: &GatewayError) -> bool {
    error.kind() == ErrorKind::InvalidRequest && error.code() == "tool_use_failed"
}

/// Returns whether the request may have been executed without a response.
fn may_have_executed(error: &GatewayError) -> bool {
    matches!(error.kind(), ErrorKind::UpstreamCut | ErrorKind::UpstreamTimeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResilientProvider;
    use async_trait::async_trait;
    use futures_util::{StreamExt as _, stream};
    use gateway_core::{
        ChatRequest, Chunk, Provider, ProviderLayer, ProviderRequest, ProviderResponse,
        ResponseMeta, StreamEvent,
    };
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Plays one script an attempt, the last one for ever: `o` output, `p` preamble, `!` breaks,
    /// `5` refuses with a passing failure, `4` with a lasting one, `t` because of a call that the
    /// model wrote badly, `w` asks to wait for a minute.
    struct Script(&'static [&'static str], AtomicUsize);

    fn failure(kind: ErrorKind) -> GatewayError {
        GatewayError::new(kind, "failed")
    }

    #[async_trait]
    impl Provider for Script {
        fn id(&self) -> &'static str {
            "script"
        }

        async fn generate(&self, _: ProviderRequest) -> Result<ProviderResponse> {
            let at = self.1.fetch_add(1, Ordering::Relaxed).min(self.0.len() - 1);
            let minute = Some(Duration::from_mins(1));
            match self.0[at] {
                "5" => Err(failure(ErrorKind::Upstream)),
                "4" => Err(failure(ErrorKind::InvalidRequest)),
                "t" => Err(failure(ErrorKind::InvalidRequest).with_code("tool_use_failed")),
                "w" => Err(failure(ErrorKind::RateLimited).with_retry_after(minute)),
                script => {
                    let chunks = script.chars().map(|step| match step {
                        'o' => Ok(Chunk::from_events(vec![StreamEvent::Text("o".into())])),
                        'p' => Ok(Chunk::default()),
                        _ => Err(failure(ErrorKind::UpstreamOverloaded)),
                    });
                    let chunks = Box::pin(stream::iter(chunks.collect::<Vec<_>>()));
                    Ok(ProviderResponse { meta: ResponseMeta::default(), chunks })
                }
            }
        }
    }

    /// What a caller sees, and how many calls it took.
    async fn check(attempts: &'static [&'static str], expected: &str, calls: usize) {
        let script = Arc::new(Script(attempts, AtomicUsize::new(0)));
        let inner: Arc<dyn Provider> = Arc::<Script>::clone(&script);
        let retry = ResilientProvider::new(inner);
        let retry = retry.with_retries(RetryPolicy::default(), || 1.0, None);
        let mut seen = String::new();
        match ProviderLayer::generate(&retry, ProviderRequest::new(ChatRequest::user("m", "hello")))
            .await
        {
            Err(error) => seen.push_str(error.code()),
            Ok(mut answer) => {
                while let Some(chunk) = answer.chunks.next().await {
                    match chunk {
                        Ok(chunk) => seen.push(if chunk.output { 'o' } else { 'p' }),
                        Err(error) => seen.push_str(error.code()),
                    }
                }
            }
        }
        assert_eq!((seen.as_str(), script.1.load(Ordering::Relaxed)), (expected, calls));
    }

    #[tokio::test(start_paused = true)]
    async fn transient_failure_is_retried() {
        check(&["poo"], "poo", 1).await;
        check(&["5", "poo"], "poo", 2).await;
        check(&["p!", "5", "oo"], "oo", 3).await;
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_failure_is_not_retried() {
        check(&["4"], "invalid_request", 1).await;
        check(&["5", "4"], "invalid_request", 2).await;
        check(&["5"], "upstream_error", 3).await;
    }

    #[tokio::test(start_paused = true)]
    async fn malformed_tool_call_is_retried_once() {
        check(&["t", "poo"], "poo", 2).await;
        check(&["t", "t", "poo"], "tool_use_failed", 2).await;
        check(&["5", "t", "poo"], "tool_use_failed", 2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn no_retry_after_first_output() {
        check(&["o!", "oo"], "oupstream_overloaded", 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn long_retry_after_is_not_waited_for() {
        check(&["w", "oo"], "rate_limit_exceeded", 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn retry_budget_bounds_amplification() {
        let script = Arc::new(Script(&["5"], AtomicUsize::new(0)));
        let inner: Arc<dyn Provider> = Arc::<Script>::clone(&script);
        let policy = RetryPolicy { base_delay: Duration::ZERO, ..RetryPolicy::default() };
        let retry = ResilientProvider::new(inner).with_retries(policy, || 0.0, None);
        for _ in 0..1000 {
            let _ = ProviderLayer::generate(
                &retry,
                ProviderRequest::new(ChatRequest::user("m", "hello")),
            )
            .await;
        }
        let calls = script.1.load(Ordering::Relaxed);
        assert!((1100..=1115).contains(&calls), "{calls} calls for 1000 requests");
    }
}
