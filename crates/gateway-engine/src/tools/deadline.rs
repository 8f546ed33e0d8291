//! The deadline of a request with all of its tool rounds.

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, stream};
use gateway_core::{
    ErrorKind, GatewayError, Moment, Provider, ProviderLayer, ProviderRequest, ProviderResponse,
    Result, ToolLoop,
};
use tokio::time::{self, Instant};

/// A tool loop that ends at a deadline. Its provider has deadlines of its own, but for each round
/// anew.
pub(super) struct DeadlineLayer {
    inner: ToolLoop,
    until: Option<Instant>,
}

impl DeadlineLayer {
    pub(super) fn new(inner: ToolLoop, until: Option<Moment>) -> Self {
        Self { inner, until: until.map(Instant::from_std) }
    }
}

#[async_trait]
impl ProviderLayer for DeadlineLayer {
    fn inner(&self) -> &dyn Provider {
        &self.inner
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let Some(until) = self.until else { return self.inner().generate(call).await };
        let ProviderResponse { meta, chunks } = in_time(until, self.inner().generate(call)).await?;
        let chunks = stream::try_unfold(chunks, move |mut chunks| async move {
            let chunk = in_time(until, chunks.try_next()).await?;
            Ok(chunk.map(|chunk| (chunk, chunks)))
        });
        Ok(ProviderResponse { meta, chunks: Box::pin(chunks) })
    }
}

async fn in_time<T>(until: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    time::timeout_at(until, work).await.unwrap_or_else(|_| {
        let message = "the tool loop timed out";
        Err(GatewayError::new(ErrorKind::UpstreamTimeout, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ChatRequest, Chunk, ResponseMeta, StreamEvent};
    use std::{sync::Arc, time::Duration};

    /// Streams a chunk each second, without end.
    struct Endless;

    #[async_trait]
    impl Provider for Endless {
        fn id(&self) -> &'static str {
            "endless"
        }

        async fn generate(&self, _: ProviderRequest) -> Result<ProviderResponse> {
            let chunks = stream::unfold((), |()| async {
                time::sleep(Duration::from_secs(1)).await;
                Some((Ok(Chunk::from_events(vec![StreamEvent::Text("x".to_owned())])), ()))
            });
            Ok(ProviderResponse { meta: ResponseMeta::default(), chunks: Box::pin(chunks) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn endless_tool_loop_ends_at_deadline() {
        let until = Instant::now() + Duration::from_millis(3500);
        let within = DeadlineLayer::new(ToolLoop::new(Arc::new(Endless)), Some(until.into_std()));
        let mut request = ChatRequest::user("m", "go on");
        request.stream = true;
        let mut chunks =
            ProviderLayer::generate(&within, ProviderRequest::new(request)).await.unwrap().chunks;
        for _ in 0..3 {
            chunks.try_next().await.unwrap();
        }
        let error = chunks.try_next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UpstreamTimeout);
        assert_eq!(Instant::now(), until);
    }
}
