//! The shutdown layer: responses end before the gateway does.

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use gateway_core::{
    ChunkStream, EmbeddingCall, EmbeddingResult, ErrorKind, GatewayError, Provider, ProviderLayer,
    ProviderRequest, ProviderResponse, Result,
};
use std::{
    fmt,
    future::Future as _,
    sync::Arc,
    task::{Poll, ready},
};
use tokio_util::sync::CancellationToken;

/// A provider layer that ends open responses with an error at shutdown.
///
/// A response that is ready by then is still returned. Requests in progress are cancelled upstream.
pub struct ShutdownLayer {
    inner: Arc<dyn Provider>,
    shutdown: CancellationToken,
}

impl ShutdownLayer {
    /// Ends the responses of `inner` when `shutdown` is cancelled.
    pub fn new(inner: Arc<dyn Provider>, shutdown: CancellationToken) -> Self {
        Self { inner, shutdown }
    }
}

#[async_trait]
impl ProviderLayer for ShutdownLayer {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let response = self.shutdown.run_until_cancelled(self.inner.generate(call));
        let mut answer = response.await.unwrap_or_else(|| Err(shutting_down()))?;
        answer.chunks = until_shutdown(self.shutdown.clone(), answer.chunks);
        Ok(answer)
    }

    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let counting = self.shutdown.run_until_cancelled(self.inner.count_tokens(call));
        counting.await.unwrap_or_else(|| Err(shutting_down()))
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        let embedding = self.shutdown.run_until_cancelled(self.inner.embed(call));
        embedding.await.unwrap_or_else(|| Err(shutting_down()))
    }
}

impl fmt::Debug for ShutdownLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").field("inner", &self.inner.id()).finish_non_exhaustive()
    }
}

/// Passes `chunks` on until `shutdown` is cancelled.
fn until_shutdown(shutdown: CancellationToken, chunks: ChunkStream) -> ChunkStream {
    let mut shutdown = Box::pin(shutdown.cancelled_owned());
    let mut chunks = Some(chunks);
    Box::pin(stream::poll_fn(move |cx| {
        let Some(open) = &mut chunks else { return Poll::Ready(None) };
        if let Poll::Ready(chunk) = open.poll_next_unpin(cx) {
            return Poll::Ready(chunk);
        }
        ready!(shutdown.as_mut().poll(cx));
        chunks = None;
        Poll::Ready(Some(Err(shutting_down())))
    }))
}

fn shutting_down() -> GatewayError {
    GatewayError::new(ErrorKind::ShuttingDown, "the gateway is shutting down; retry the request")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ChatRequest, Chunk, ResponseMeta, StreamEvent};
    use std::time::Duration;
    use tokio::time;

    /// Answers after so many seconds, then says `a` every second: `times` times.
    struct Slow {
        head: u64,
        times: usize,
    }

    #[async_trait]
    impl Provider for Slow {
        fn id(&self) -> &'static str {
            "slow"
        }

        async fn generate(&self, _: ProviderRequest) -> Result<ProviderResponse> {
            time::sleep(Duration::from_secs(self.head)).await;
            let chunks = stream::iter(0..self.times).then(|_| async {
                time::sleep(Duration::from_secs(1)).await;
                Ok(Chunk::from_events(vec![StreamEvent::Text("a".into())]))
            });
            Ok(ProviderResponse { meta: ResponseMeta::default(), chunks: Box::pin(chunks) })
        }
    }

    /// What is seen of such an answer if the last call is made after 2.5 seconds.
    async fn check(head: u64, times: usize, expected: &str) {
        let shutdown = CancellationToken::new();
        let provider = ShutdownLayer::new(Arc::new(Slow { head, times }), shutdown.clone());
        let asking = async {
            let call = ProviderRequest::new(ChatRequest::user("m", "hello"));
            let mut seen = String::new();
            match ProviderLayer::generate(&provider, call).await {
                Err(error) => seen.push_str(error.code()),
                Ok(mut answer) => {
                    while let Some(chunk) = answer.chunks.next().await {
                        seen.push_str(chunk.map_or_else(|_| "!", |_| "a"));
                    }
                }
            }
            seen
        };
        let calling = async {
            time::sleep(Duration::from_millis(2500)).await;
            shutdown.cancel();
        };
        let (seen, ()) = tokio::join!(asking, calling);
        assert_eq!(seen, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn response_finished_before_shutdown_is_unchanged() {
        check(0, 2, "aa").await;
        check(2, 0, "").await;
    }

    #[tokio::test(start_paused = true)]
    async fn response_open_at_shutdown_ends_with_error() {
        check(0, 5, "aa!").await;
        check(9, 5, "server_shutting_down").await;
    }
}
