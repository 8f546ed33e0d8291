//! The bulkhead: a concurrency limit for each provider.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use gateway_core::{
    EmbeddingCall, EmbeddingResult, ErrorKind, GatewayError, Provider, ProviderLayer,
    ProviderRequest, ProviderResponse, Result,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

/// Maximum time a request waits for a slot.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of requests that wait for a slot.
const QUEUE_LENGTH: usize = 64;

/// A provider layer that limits concurrent requests; a few more wait briefly in a queue.
///
/// A slot is held until the answer has ended.
pub struct BulkheadLayer {
    inner: Arc<dyn Provider>,
    slots: Arc<Semaphore>,
    queue: Semaphore,
}

impl BulkheadLayer {
    /// Limits `inner` to `slots` concurrent requests.
    pub fn new(inner: Arc<dyn Provider>, slots: usize) -> Self {
        let slots = Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS)));
        Self { inner, slots, queue: Semaphore::new(QUEUE_LENGTH) }
    }

    async fn acquire_slot(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let full = || {
            let message = format!("provider '{}' is at its concurrency limit", self.inner.id());
            GatewayError::new(ErrorKind::Overloaded, message)
                .with_code("provider_overloaded")
                .with_retry_after(Some(QUEUE_TIMEOUT))
        };
        let _queued = self.queue.try_acquire().map_err(|_| full())?;
        let waiting = time::timeout(QUEUE_TIMEOUT, Arc::clone(&self.slots).acquire_owned());
        waiting.await.ok().and_then(std::result::Result::ok).ok_or_else(full)
    }
}

#[async_trait]
impl ProviderLayer for BulkheadLayer {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let slot = self.acquire_slot().await?;
        let mut answer = self.inner.generate(call).await?;
        let chunks = answer.chunks.inspect(move |_| _ = &slot);
        answer.chunks = Box::pin(chunks);
        Ok(answer)
    }

    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let _slot = self.acquire_slot().await?;
        self.inner.count_tokens(call).await
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        let _slot = self.acquire_slot().await?;
        self.inner.embed(call).await
    }
}

impl fmt::Debug for BulkheadLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead").field("inner", &self.inner.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use gateway_core::{ChatRequest, Chunk, ResponseMeta, StreamEvent};

    /// Says one word, and nothing more.
    struct Slow;

    #[async_trait]
    impl Provider for Slow {
        fn id(&self) -> &'static str {
            "slow"
        }

        async fn generate(&self, _: ProviderRequest) -> Result<ProviderResponse> {
            let word = Chunk::from_events(vec![StreamEvent::Text("a".into())]);
            let chunks = Box::pin(stream::iter([Ok(word)]).chain(stream::pending()));
            Ok(ProviderResponse { meta: ResponseMeta::default(), chunks })
        }
    }

    async fn generate(bulkhead: &BulkheadLayer) -> Result<ProviderResponse> {
        ProviderLayer::generate(bulkhead, ProviderRequest::new(ChatRequest::user("m", "x"))).await
    }

    #[tokio::test(start_paused = true)]
    async fn slot_is_held_until_response_ends() {
        let bulkhead = BulkheadLayer::new(Arc::new(Slow), 2);
        let mut first = generate(&bulkhead).await.unwrap();
        let _second = generate(&bulkhead).await.unwrap();
        first.chunks.next().await.unwrap().unwrap();
        let began = time::Instant::now();
        let error = generate(&bulkhead).await.unwrap_err();
        assert_eq!((error.code(), began.elapsed().as_secs()), ("provider_overloaded", 1));
        let (third, ()) = tokio::join!(generate(&bulkhead), async {
            time::sleep(QUEUE_TIMEOUT / 2).await;
            drop(first);
        });
        assert!(third.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn full_queue_rejects_immediately() {
        let bulkhead = Arc::new(BulkheadLayer::new(Arc::new(Slow), 1));
        let _held = generate(&bulkhead).await.unwrap();
        let waiting: tokio::task::JoinSet<_> = (0..QUEUE_LENGTH)
            .map(|_| Arc::clone(&bulkhead))
            .map(|bulkhead| async move { generate(&bulkhead).await.is_ok() })
            .collect();
        time::sleep(QUEUE_TIMEOUT / 10).await;
        let began = time::Instant::now();
        assert!(generate(&bulkhead).await.is_err());
        assert_eq!(began.elapsed().as_millis(), 0);
        drop(waiting);
    }
}
