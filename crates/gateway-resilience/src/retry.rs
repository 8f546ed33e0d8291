//! Trying again, while nobody has seen anything yet.
//!
//! Only what could succeed the second time is tried again, only before the first output, only
//! within a budget: at most one retry for every ten calls, so that a provider that is down is not
//! hit twice as hard.

use crate::{
    again::{self, Again, Asking},
    tally::{Begun, Tally},
};
use async_trait::async_trait;
use gateway_core::{
    Embedded, EmbeddingCall, ErrorKind, GatewayError, Provider, ProviderLayer, ProviderRequest,
    ProviderResponse, Result,
};
use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{self, Instant};

/// How often to try again, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// How many calls a request may make in all; 1 never tries again.
    pub attempts: u32,
    /// The pause before the second attempt is drawn from 0 to this, and doubles with each.
    pub pause: Duration,
    /// The longest pause that is waited for: an upstream that wants more gets no second attempt.
    pub longest_pause: Duration,
    /// Try again, too, what may have been done: a request that was sent and not answered. What
    /// makes vectors is tried again in any case: to make them twice costs little.
    pub ambiguous: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 3,
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(2),
            ambiguous: false,
        }
    }
}

/// Upstreams are called no more often than this for one request, whatever it goes through.
pub(crate) const MOST_ATTEMPTS: u32 = 4;

/// A provider that is asked again when it fails before its first output.
pub struct Retry {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Arc<dyn Provider>,
    policy: Policy,
    budget: Mutex<Budget>,
    random: fn() -> f64,
    observer: Option<OnRetry>,
}

/// Learns that another attempt is made.
pub type OnRetry = Arc<dyn Fn() + Send + Sync>;

impl Retry {
    /// Asks `inner` again as `policy` says. `random` draws from 0 to 1.
    pub fn new(inner: Arc<dyn Provider>, policy: Policy, random: fn() -> f64) -> Self {
        let budget = Mutex::new(Budget::new(Instant::now()));
        Self { shared: Arc::new(Shared { inner, policy, budget, random, observer: None }) }
    }
}

impl Retry {
    /// Tells `observer` of every attempt beyond the first.
    #[must_use]
    pub fn observed(mut self, observer: OnRetry) -> Self {
        // Nobody else has it yet.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.observer = Some(observer);
        }
        self
    }
}

#[async_trait]
impl ProviderLayer for Retry {
    fn inner(&self) -> &dyn Provider {
        self.shared.inner.as_ref()
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let tries = Tries::new(&self.shared, call.context.attempts, self.shared.policy.ambiguous);
        let mut trying = Trying { tries, call, begun: Begun::default() };
        let ProviderResponse { meta, chunks } = trying.ask().await?;
        Ok(ProviderResponse { meta, chunks: again::until_output(chunks, trying) })
    }

    async fn count_tokens(&self, mut call: ProviderRequest) -> Result<Option<u64>> {
        let mut tries = Tries::new(&self.shared, call.context.attempts, true);
        loop {
            call.context.attempts = tries.left();
            match self.shared.inner.count_tokens(call.clone()).await {
                Ok(counted) => return Ok(counted),
                Err(error) => tries.pause(error).await?,
            }
        }
    }

    async fn embed(&self, mut call: EmbeddingCall) -> Result<Embedded> {
        let mut tries = Tries::new(&self.shared, call.context.attempts, true);
        loop {
            call.context.attempts = tries.left();
            match self.shared.inner.embed(call.clone()).await {
                Ok(embedded) => {
                    let meta = tries.tally.tell(embedded.meta);
                    return Ok(Embedded { meta, ..embedded });
                }
                Err(error) => tries.pause(error).await?,
            }
        }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("inner", &self.shared.inner.id()).finish_non_exhaustive()
    }
}

/// The attempts of one request.
struct Tries {
    shared: Arc<Shared>,
    /// How often it may be tried.
    limit: u32,
    /// How often upstreams may be called.
    calls: u32,
    ambiguous: bool,
    attempt: u32,
    tally: Tally,
}

impl Tries {
    fn new(shared: &Arc<Shared>, allowed: Option<NonZeroU32>, ambiguous: bool) -> Self {
        shared.spend(Budget::call);
        let calls = allowed.map_or(MOST_ATTEMPTS, NonZeroU32::get);
        let limit = shared.policy.attempts.min(calls);
        let (shared, tally) = (Arc::clone(shared), Tally::default());
        Self { shared, limit, calls, ambiguous, attempt: 1, tally }
    }

    /// How often upstreams may still be called.
    fn left(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.calls.saturating_sub(self.tally.attempts()).max(1))
    }

    /// Waits for the next attempt.
    ///
    /// # Errors
    ///
    /// `error`, if there is to be none.
    async fn pause(&mut self, mut error: GatewayError) -> Result<()> {
        self.tally.failed(&mut error);
        let worth_it = is_worth_it(&error)
            || self.ambiguous && is_ambiguous(&error)
            || self.attempt == 1 && is_a_slip(&error);
        let pause = self.next(&error).filter(|_| worth_it);
        let Some(pause) = pause.filter(|_| self.shared.spend(Budget::retry)) else {
            let error = std::mem::take(&mut self.tally).blame(error);
            // Whoever is told to wait may ask again then; whoever is not has had all attempts.
            let is_final =
                worth_it && self.shared.policy.attempts > 1 && error.retry_after().is_none();
            return Err(if is_final { error.as_final_attempt() } else { error });
        };
        self.attempt += 1;
        if let Some(observer) = &self.shared.observer {
            observer();
        }
        time::sleep(pause).await;
        Ok(())
    }

    /// How long to wait before another attempt; `None` if there is none left.
    fn next(&self, error: &GatewayError) -> Option<Duration> {
        if self.attempt >= self.limit || self.tally.attempts() >= self.calls {
            return None;
        }
        let policy = &self.shared.policy;
        let doubled = policy.pause.saturating_mul(1 << (self.attempt - 1).min(16));
        let drawn = doubled.min(policy.longest_pause).mul_f64((self.shared.random)());
        let pause = drawn.max(error.retry_after().unwrap_or_default());
        (pause <= policy.longest_pause).then_some(pause)
    }
}

impl Shared {
    fn spend(&self, how: fn(&mut Budget, Instant) -> bool) -> bool {
        how(&mut self.budget.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

/// What may go better the second time, and cannot have been done the first time.
///
/// A request that was sent and answered with silence may have been executed, and paid for. A
/// certificate that is wrong stays wrong.
fn is_worth_it(error: &GatewayError) -> bool {
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

/// A call of a tool that the model wrote so badly that its provider could not read it: models write
/// something else the second time, but those that slip twice do so again.
fn is_a_slip(error: &GatewayError) -> bool {
    error.kind() == ErrorKind::InvalidRequest && error.code() == "tool_use_failed"
}

/// What may have been done, although nothing came of it.
fn is_ambiguous(error: &GatewayError) -> bool {
    matches!(error.kind(), ErrorKind::UpstreamCut | ErrorKind::UpstreamTimeout)
}

/// A request whose answer has shown no output yet.
struct Trying {
    tries: Tries,
    call: ProviderRequest,
    begun: Begun,
}

impl Trying {
    /// Asks until an answer begins, or nothing more is to be tried.
    async fn ask(&mut self) -> Result<ProviderResponse> {
        loop {
            self.call.context.attempts = self.tries.left();
            match self.tries.shared.inner.generate(self.call.clone()).await {
                Ok(ProviderResponse { meta, chunks }) => {
                    self.begun = Begun::of(&meta);
                    return Ok(ProviderResponse { meta: self.tries.tally.tell(meta), chunks });
                }
                Err(error) => self.tries.pause(error).await?,
            }
        }
    }
}

impl Again for Trying {
    fn again(mut self, error: GatewayError) -> Asking<Self> {
        Box::pin(async move {
            self.tries.pause(self.begun.broke_off(error)).await?;
            let answer = self.ask().await?;
            Ok((self, answer))
        })
    }
}

/// Retries that may be made, in tenths.
#[derive(Debug)]
struct Budget {
    tenths: f64,
    at: Instant,
}

/// Every call earns a tenth of a retry, every second half a retry, up to ten.
impl Budget {
    const FULL: f64 = 100.0;

    const fn new(now: Instant) -> Self {
        Self { tenths: Self::FULL, at: now }
    }

    fn earn(&mut self, tenths: f64, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tenths = (self.tenths + tenths + 5.0 * seconds).min(Self::FULL);
    }

    fn call(&mut self, now: Instant) -> bool {
        self.earn(1.0, now);
        true
    }

    fn retry(&mut self, now: Instant) -> bool {
        self.earn(0.0, now);
        let enough = self.tenths >= 10.0;
        if enough {
            self.tenths -= 10.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt as _, stream};
    use gateway_core::{ChatRequest, Chunk, ResponseMeta, StreamEvent};
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
        let retry = Retry::new(inner, Policy::default(), || 1.0);
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
    async fn a_passing_failure_is_not_seen() {
        check(&["poo"], "poo", 1).await;
        check(&["5", "poo"], "poo", 2).await;
        check(&["p!", "5", "oo"], "oo", 3).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lasting_failure_is_not_repeated() {
        check(&["4"], "invalid_request", 1).await;
        check(&["5", "4"], "invalid_request", 2).await;
        check(&["5"], "upstream_error", 3).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_slip_of_the_model_is_forgiven_once() {
        check(&["t", "poo"], "poo", 2).await;
        check(&["t", "t", "poo"], "tool_use_failed", 2).await;
        check(&["5", "t", "poo"], "tool_use_failed", 2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_repeated_after_output() {
        check(&["o!", "oo"], "oupstream_overloaded", 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_wants_time_is_not_waited_for() {
        check(&["w", "oo"], "rate_limit_exceeded", 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_bounds_the_amplification() {
        let script = Arc::new(Script(&["5"], AtomicUsize::new(0)));
        let inner: Arc<dyn Provider> = Arc::<Script>::clone(&script);
        let policy = Policy { pause: Duration::ZERO, ..Policy::default() };
        let retry = Retry::new(inner, policy, || 0.0);
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
