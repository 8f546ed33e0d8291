//! The bulkhead: a concurrency limit for each provider.

use gateway_core::{ErrorKind, GatewayError, Result};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

/// Maximum time a request waits for a slot.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of requests that wait for a slot.
const QUEUE_LENGTH: usize = 64;

/// The slots for concurrent requests to a provider; a few more requests wait briefly in a queue.
pub(crate) struct Bulkhead {
    slots: Arc<Semaphore>,
    queue: Semaphore,
}

/// A slot, held until the response has ended.
pub(crate) type Slot = OwnedSemaphorePermit;

impl Bulkhead {
    /// A bulkhead with so many slots.
    pub(crate) fn new(slots: usize) -> Self {
        let slots = Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS)));
        Self { slots, queue: Semaphore::new(QUEUE_LENGTH) }
    }

    /// Takes a slot for a request to the provider `id`.
    ///
    /// # Errors
    ///
    /// [`Overloaded`](ErrorKind::Overloaded) if none becomes free in time, or too many wait.
    pub(crate) async fn acquire(&self, id: &str) -> Result<Slot> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let full = || {
            let message = format!("provider '{id}' is at its concurrency limit");
            GatewayError::new(ErrorKind::Overloaded, message)
                .with_code("provider_overloaded")
                .with_retry_after(Some(QUEUE_TIMEOUT))
        };
        let _queued = self.queue.try_acquire().map_err(|_| full())?;
        let waiting = time::timeout(QUEUE_TIMEOUT, Arc::clone(&self.slots).acquire_owned());
        waiting.await.ok().and_then(std::result::Result::ok).ok_or_else(full)
    }
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

    async fn generate(bulkhead: &ResilientProvider) -> Result<ProviderResponse> {
        ProviderLayer::generate(bulkhead, ProviderRequest::new(ChatRequest::user("m", "x"))).await
    }

    #[tokio::test(start_paused = true)]
    async fn slot_is_held_until_response_ends() {
        let bulkhead = ResilientProvider::new(Arc::new(Slow)).with_concurrency(2);
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
        let bulkhead = Arc::new(ResilientProvider::new(Arc::new(Slow)).with_concurrency(1));
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
