//! Hedging: late embedding requests are sent a second time, and the first response wins.
//!
//! To make vectors twice costs little, and gives the same. Answers are never hedged: they are dear,
//! and no two are alike.

use async_trait::async_trait;
use gateway_core::{EmbeddingCall, EmbeddingResult, Provider, ProviderLayer, Result, sync};
use std::{
    collections::VecDeque,
    fmt, pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::{self, Instant};

/// A provider layer that hedges embedding requests slower than the 95th percentile.
///
/// At most one of twenty requests is made twice, and none while the provider is unwell. Whichever
/// request loses is cancelled.
pub struct HedgingLayer {
    inner: Arc<dyn Provider>,
    state: Mutex<LatencyWindow>,
}

/// A window of recent latencies and the hedging budget.
#[derive(Debug, Default)]
struct LatencyWindow {
    samples: VecDeque<Duration>,
    /// Second requests that may be made, in twentieths.
    twentieths: u32,
}

/// Number of recent requests in the window.
const WINDOW: usize = 100;
/// Minimum samples before any request is hedged.
const MIN_SAMPLES: usize = 20;
/// Maximum saved budget: five hedged requests.
const MAX_HEDGE_BUDGET: u32 = 100;

impl HedgingLayer {
    /// Wraps `inner` with hedging.
    pub fn new(inner: Arc<dyn Provider>) -> Self {
        Self { inner, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, LatencyWindow> {
        sync::lock(&self.state)
    }

    async fn embed_timed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        let began = Instant::now();
        let embedded = self.inner.embed(call).await;
        if embedded.is_ok() {
            self.lock().record(began.elapsed());
        }
        embedded
    }
}

impl LatencyWindow {
    fn record(&mut self, took: Duration) {
        if self.samples.len() >= WINDOW {
            self.samples.pop_front();
        }
        self.samples.push_back(took);
    }

    /// Counts a request and returns the delay after which it is hedged.
    fn hedge_after(&mut self) -> Option<Duration> {
        self.twentieths = (self.twentieths + 1).min(MAX_HEDGE_BUDGET);
        if self.samples.len() < MIN_SAMPLES {
            return None;
        }
        let mut samples: Vec<_> = self.samples.iter().copied().collect();
        samples.sort_unstable();
        samples.get(samples.len() * 19 / 20).copied()
    }

    fn may_hedge(&mut self) -> bool {
        let may = self.twentieths >= 20;
        if may {
            self.twentieths -= 20;
        }
        may
    }
}

#[async_trait]
impl ProviderLayer for HedgingLayer {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        let late = self.lock().hedge_after();
        let Some(late) = late else { return self.embed_timed(call).await };
        let mut first = pin::pin!(self.embed_timed(call.clone()));
        if let Ok(embedded) = time::timeout(late, &mut first).await {
            return embedded;
        }
        if self.inner.unavailability(&call.target).is_some() || !self.lock().may_hedge() {
            return first.await;
        }
        let mut second = pin::pin!(self.embed_timed(call));
        let mut embedded = tokio::select! {
            embedded = &mut first => match embedded {
                Ok(embedded) => embedded,
                Err(_) => second.await?,
            },
            embedded = &mut second => match embedded {
                Ok(embedded) => embedded,
                Err(_) => first.await?,
            },
        };
        embedded.meta.attempts = embedded.meta.attempts.saturating_add(1);
        Ok(embedded)
    }
}

impl fmt::Debug for HedgingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedged").field("inner", &self.inner.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{
        Context, EmbeddingRequest, EmbeddingResponse, GatewayError, ProviderRequest,
        ProviderResponse, ResponseMeta, Target,
    };
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Takes 10 ms, but every 21st time a second.
    #[derive(Default)]
    struct Slow(AtomicU64);

    #[async_trait]
    impl Provider for Slow {
        fn id(&self) -> &'static str {
            "slow"
        }

        async fn generate(&self, _: ProviderRequest) -> Result<ProviderResponse> {
            Err(GatewayError::new(gateway_core::ErrorKind::Internal, "no"))
        }

        async fn embed(&self, _: EmbeddingCall) -> Result<EmbeddingResult> {
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let millis = if number.is_multiple_of(21) { 1000 } else { 10 };
            time::sleep(Duration::from_millis(millis)).await;
            let meta = ResponseMeta { attempts: 1, ..ResponseMeta::default() };
            Ok(EmbeddingResult { meta, response: EmbeddingResponse::default() })
        }
    }

    /// How long `requests` take at most, and how often the provider is asked.
    async fn check(requests: usize, longest: u64, calls: u64) {
        let slow = Arc::new(Slow::default());
        let inner: Arc<dyn Provider> = Arc::<Slow>::clone(&slow);
        let hedged = HedgingLayer::new(inner);
        let mut most = Duration::ZERO;
        for _ in 0..requests {
            let call = EmbeddingCall {
                target: Target { model: "m".into(), card: None },
                request: Arc::new(EmbeddingRequest::default()),
                strict: false,
                context: Context::default(),
            };
            let began = Instant::now();
            ProviderLayer::embed(&hedged, call).await.unwrap();
            most = most.max(began.elapsed());
        }
        assert_eq!(
            (most.as_millis(), slow.0.load(Ordering::Relaxed)),
            (u128::from(longest), calls)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn late_embedding_is_hedged() {
        check(20, 10, 20).await;
        check(21, 20, 22).await;
        check(60, 20, 62).await;
    }
}
