//! Shutdown: responses end before the gateway does.
//!
//! A response that is ready by then is still returned. Requests in progress are cancelled upstream.

use gateway_core::{ErrorKind, GatewayError, RegisteredWaker, Result};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Waits for `work`, but not beyond the shutdown. Pinned by the caller: the future is large, and is
/// not moved.
///
/// # Errors
///
/// Those of `work`; at shutdown [`ShuttingDown`](ErrorKind::ShuttingDown).
pub(crate) async fn until_shutdown<T>(
    shutdown: Option<&CancellationToken>,
    work: Pin<&mut impl Future<Output = Result<T>>>,
) -> Result<T> {
    match shutdown {
        Some(shutdown) => {
            let done = shutdown.run_until_cancelled(work).await;
            done.unwrap_or_else(|| Err(shutting_down()))
        }
        None => work.await,
    }
}

/// The shutdown, as an open response watches for it.
pub(crate) struct ShutdownWatch {
    shutdown: CancellationToken,
    /// Set up by the first wait.
    cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    waker: RegisteredWaker,
}

impl ShutdownWatch {
    pub(crate) fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, cancelled: None, waker: RegisteredWaker::default() }
    }

    /// Ready at shutdown, with the error that ends the response.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError> {
        let is_registered = !self.waker.renew(cx) && self.cancelled.is_some();
        if is_registered && !self.shutdown.is_cancelled() {
            return Poll::Pending;
        }
        let watch = || Box::pin(self.shutdown.clone().cancelled_owned());
        let cancelled = self.cancelled.get_or_insert_with(watch);
        cancelled.as_mut().poll(cx).map(|()| shutting_down())
    }
}

fn shutting_down() -> GatewayError {
    GatewayError::new(ErrorKind::ShuttingDown, "the gateway is shutting down; retry the request")
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
    use std::{sync::Arc, time::Duration};
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
        let provider = ResilientProvider::new(Arc::new(Slow { head, times }));
        let provider = provider.ending_with(shutdown.clone());
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
