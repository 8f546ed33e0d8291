//! One provider that is slow does not take everybody's places.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use gateway_core::{
    Embedded, EmbeddingCall, ErrorKind, GatewayError, Provider, ProviderLayer, ProviderRequest,
    ProviderResponse, Result,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

/// How long a call waits for a place.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many calls wait for a place.
const QUEUE: usize = 64;

/// A provider that answers so many calls at one time; a few more wait a moment.
///
/// A place is held until the answer has ended.
pub struct Bulkhead {
    inner: Arc<dyn Provider>,
    places: Arc<Semaphore>,
    queue: Semaphore,
}

impl Bulkhead {
    /// Lets `places` calls at one time through to `inner`.
    pub fn new(inner: Arc<dyn Provider>, places: usize) -> Self {
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self { inner, places, queue: Semaphore::new(QUEUE) }
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let full = || {
            let message = format!("the provider '{}' has too much to do", self.inner.id());
            GatewayError::new(ErrorKind::Overloaded, message)
                .with_code("provider_overloaded")
                .with_retry_after(Some(PATIENCE))
        };
        let _turn = self.queue.try_acquire().map_err(|_| full())?;
        let waiting = time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned());
        waiting.await.ok().and_then(std::result::Result::ok).ok_or_else(full)
    }
}

#[async_trait]
impl ProviderLayer for Bulkhead {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let place = self.enter().await?;
        let mut answer = self.inner.generate(call).await?;
        let chunks = answer.chunks.inspect(move |_| _ = &place);
        answer.chunks = Box::pin(chunks);
        Ok(answer)
    }

    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let _place = self.enter().await?;
        self.inner.count_tokens(call).await
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<Embedded> {
        let _place = self.enter().await?;
        self.inner.embed(call).await
    }
}

impl fmt::Debug for Bulkhead {
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

    async fn ask(bulkhead: &Bulkhead) -> Result<ProviderResponse> {
        ProviderLayer::generate(bulkhead, ProviderRequest::new(ChatRequest::user("m", "x"))).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_held_until_the_answer_has_ended() {
        let bulkhead = Bulkhead::new(Arc::new(Slow), 2);
        let mut first = ask(&bulkhead).await.unwrap();
        let _second = ask(&bulkhead).await.unwrap();
        first.chunks.next().await.unwrap().unwrap();
        let began = time::Instant::now();
        let error = ask(&bulkhead).await.unwrap_err();
        assert_eq!((error.code(), began.elapsed().as_secs()), ("provider_overloaded", 1));
        let (third, ()) = tokio::join!(ask(&bulkhead), async {
            time::sleep(PATIENCE / 2).await;
            drop(first);
        });
        assert!(third.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_queue_turns_away_at_once() {
        let bulkhead = Arc::new(Bulkhead::new(Arc::new(Slow), 1));
        let _held = ask(&bulkhead).await.unwrap();
        let waiting: tokio::task::JoinSet<_> = (0..QUEUE)
            .map(|_| Arc::clone(&bulkhead))
            .map(|bulkhead| async move { ask(&bulkhead).await.is_ok() })
            .collect();
        time::sleep(PATIENCE / 10).await;
        let began = time::Instant::now();
        assert!(ask(&bulkhead).await.is_err());
        assert_eq!(began.elapsed().as_millis(), 0);
        drop(waiting);
    }
}
